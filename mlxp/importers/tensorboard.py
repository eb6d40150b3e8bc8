"""Reads event files, which TensorBoard shows: each folder that has some is a run.

They are decoded by the package tensorboard, which needs no TensorFlow.
"""

import hashlib
import importlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mlxp.importers.foreign_run import ForeignRun, Format, Identity, UnreadableRunError
from mlxp.importers.reading import files_in, folders_below, natural

_SIGN: Final = ".tfevents."
LEFT_OUT: Final = {
    "histograms": "histograms",
    "text": "texts",
    "audio": "audio",
    "pr_curves": "precision-recall curves",
    "mesh": "meshes",
}
"""What the values of TensorBoard's own plug-ins are called."""


def is_event_file(name: str) -> bool:
    """Tell whether a file has events, by its name."""
    return _SIGN in name and not name.endswith(".profile-empty")


def event_files(folder: Path) -> list[Path]:
    """Return the event files of a run, in the order in which they were begun."""
    found = [path for path in folder.iterdir() if is_event_file(path.name) and path.is_file()]
    return sorted(found, key=lambda path: natural(path.name.partition(_SIGN)[2]))


def _folders(source: Path) -> Iterator[Path]:
    """Yield the folders with event files; other than with other tools, a run may have others in it."""
    yield from folders_below(source, lambda _, names: any(map(is_event_file, names)), nested=True)


def identity(folder: Path) -> Identity:
    """Return what distinguishes a run: the name of its first file, and the first event in it, which has a time."""
    first = event_files(folder)[0]
    with first.open("rb") as file:
        head = file.read(21)
    if len(head) < 21:
        raise UnreadableRunError(f"{first} is damaged: it ends within its first event")
    started = struct.unpack_from("<d", head, 13)[0]  # after the size, its checksum, and the tag of the field
    return Identity(f"TensorBoard {first.name} {hashlib.sha256(head).hexdigest()}", started)


def read(folder: Path) -> ForeignRun:
    """Return the run in a folder."""
    run = ForeignRun(started_at=identity(folder).started_at)
    loader, to_array = _reader(folder)
    for file in event_files(folder):
        read = 0
        try:
            for event in loader(str(file)).Load():
                read += 1
                for value in event.summary.value:
                    _take(value, event, to_array, run)
        except Exception as error:  # the loader passes on whatever a damaged message raises
            raise UnreadableRunError(f"{file} is damaged: {error}") from error
        if read < _number_of_events(file):  # the loader stops there without a word
            run.left_out.add("events from the first one on that is damaged")
    return run


def _number_of_events(file: Path) -> int:
    """Return how many whole events a file has; the run may be writing another one."""
    number, place, end = 0, 0, file.stat().st_size
    with file.open("rb") as content:
        while place + 12 <= end:
            content.seek(place)
            place += struct.unpack("<Q", content.read(8))[0] + 16  # with the checksums of the size and of the event
            number += place <= end
    return number


def _reader(folder: Path) -> tuple[Any, Any]:
    try:
        module = importlib.import_module("tensorboard.backend.event_processing.event_file_loader")
        tensors = importlib.import_module("tensorboard.util.tensor_util")
    except ImportError as error:
        told = "event files are read by the package tensorboard, which is not installed: pip install 'mlxp[import]'"
        raise UnreadableRunError(f"{folder}: {told}") from error
    return module.EventFileLoader, tensors.make_ndarray


def _take(value: Any, event: Any, to_array: Any, run: ForeignRun) -> None:
    plugin = value.metadata.plugin_data.plugin_name
    if plugin == "scalars":
        run.records.add(value.tag, float(to_array(value.tensor).item()), event.step, event.wall_time)
    elif plugin == "images":
        for number, image in enumerate(value.tensor.string_val[2:]):  # after the width and the height
            run.artifacts[_image_name(value.tag, event.step, number)] = bytes(image)
    elif plugin == "hparams":
        _take_configuration(value.metadata.plugin_data.content, run)
    else:
        run.left_out.add(LEFT_OUT.get(plugin, f"values of the plug-in {plugin or '(none)'}"))


def _image_name(tag: str, step: int, number: int) -> str:
    folder = "/".join(part.lstrip(".") or "_" for part in tag.replace("\\", "/").split("/") if part) or "_"
    return f"{folder}/{step}{f'-{number}' if number else ''}.png"


def _take_configuration(content: bytes, run: ForeignRun) -> None:
    messages = importlib.import_module("tensorboard.plugins.hparams.plugin_data_pb2")
    data = messages.HParamsPluginData.FromString(content)
    for name, value in data.session_start_info.hparams.items():
        kind = value.WhichOneof("kind")
        run.config[name] = getattr(value, kind) if kind in {"number_value", "string_value", "bool_value"} else None


def _files(folder: Path) -> list[Path]:
    return event_files(folder)


def _read_run(folder: Path) -> ForeignRun:
    run = read(folder)
    if any(path.parent == folder for path in files_in(folder) if not is_event_file(path.name)):
        run.left_out.add("files beside the event files")
    return run


FORMAT: Final = Format(
    "TensorBoard", "tensorboard", "a folder with event files (TensorBoard)", _folders, identity, _read_run, _files
)
