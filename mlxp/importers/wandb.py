"""Reads the local files of Weights & Biases: ``wandb/run-<time>-<id>/``, online or offline.

The metrics are in a binary file of protocol buffers, which only the package wandb can decode; the files of old
versions have them as lines of JSON. Everything else is in plain files, as far as the run got.
"""

import importlib
import json
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from mlxp.importers.foreign_run import ForeignRun, Format, Identity, UnreadableRunError, seconds
from mlxp.importers.reading import files_in, folders_below, json_at, take_files, text_of, yaml_at
from mlxp.run_directory.status import Status

_RUN: Final = re.compile(r"(?:offline-)?(run-(\d{8}_\d{6})-.+)")
_READ: Final = frozenset(
    {"config.yaml", "output.log", "wandb-metadata.json", "wandb-summary.json", "wandb-history.jsonl"}
)
_MEDIA: Final = "histograms, tables and other values with media; their files are artifacts"
_DAMAGED: Final = "damaged records"


def _folders(source: Path) -> Iterator[Path]:
    yield from folders_below(source, _is_run)


def _is_run(folder: Path, names: set[str]) -> bool:
    is_named = _RUN.fullmatch(folder.resolve().name) is not None
    return is_named and ("files" in names or any(name.endswith(".wandb") for name in names))


def _identity(folder: Path) -> Identity:
    found = _RUN.fullmatch(folder.resolve().name)
    name, time = found.groups() if found else (folder.name, "")
    try:
        started = datetime.strptime(time, "%Y%m%d_%H%M%S").timestamp()  # noqa: DTZ007 - local time, as W&B writes it
    except ValueError:
        started = 0.0
    return Identity(f"W&B {name}", started)


def _read(folder: Path) -> ForeignRun:
    files = folder / "files"
    metadata = json_at(files / "wandb-metadata.json")
    run = ForeignRun(
        config={name: _value(entry) for name, entry in yaml_at(files / "config.yaml").items() if _is_config(name)},
        started_at=seconds(metadata.get("startedAt")) or _identity(folder).started_at or None,
        stdout=output if (output := files / "output.log").is_file() else None,
        told={
            "run": folder.resolve().name,
            "summary": _plain(json_at(files / "wandb-summary.json")),
        },
    )
    _read_metadata(metadata, run)
    stored = sorted(folder.glob("*.wandb"))
    if stored:
        _read_store(stored[0], run)
    else:
        _read_lines(files / "wandb-history.jsonl", run)
    take_files(run, files, _READ)
    return run


def _is_config(name: object) -> bool:
    return name not in {"wandb_version", "_wandb"}


def _value(entry: Any) -> Any:
    return entry["value"] if isinstance(entry, dict) and "value" in entry else entry


def _plain(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a summary that are no media, and not W&B's own."""
    is_media = {name for name, value in summary.items() if isinstance(value, dict) and "_type" in value}
    return {name: value for name, value in summary.items() if name not in is_media and not name.startswith("_")}


def _read_metadata(metadata: Mapping[str, Any], run: ForeignRun) -> None:
    git = metadata.get("git")
    if isinstance(git, dict) and isinstance(git.get("commit"), str):
        run.info["git"] = {"commit": git["commit"]}
    for name, key in (("hostname", "host"), ("executable", "executable"), ("current_file_path", "program")):
        if isinstance(metadata.get(key), str):
            run.info[name] = metadata[key]
    arguments = metadata.get("args")
    if isinstance(arguments, list) and isinstance(metadata.get("program"), str):
        run.info["command"] = ["python", metadata["program"], *map(str, arguments)]


# --- metrics ---------------------------------------------------------------------------------------------------------


def _read_lines(file: Path, run: ForeignRun) -> None:
    for line in text_of(file).split("\n") if file.is_file() else ():
        try:
            row = json.loads(line) if line else {}
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            _add(row, row.get("_step"), run)
        else:
            run.left_out.add(_DAMAGED)


def _add(row: Mapping[str, Any], step: Any, run: ForeignRun) -> None:
    values = dict(_flat({name: value for name, value in row.items() if not name.startswith("_")}, run))
    time = row.get("_timestamp")
    if values:
        shared = {"step": step} if isinstance(step, int) else {}
        run.records.add_row(values, shared, float(time) if isinstance(time, int | float) else None)


def _flat(row: Mapping[str, Any], run: ForeignRun, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if not isinstance(value, dict):
            yield prefix + name, value
        elif "_type" in value:
            run.left_out.add(_MEDIA)
        else:
            yield from _flat(value, run, f"{prefix}{name}.")


def _read_store(file: Path, run: ForeignRun) -> None:
    """Read what the binary file says; it is complete even where the plain files have not been written."""
    try:
        messages = importlib.import_module("wandb.proto.wandb_internal_pb2")
    except ImportError as error:
        raise UnreadableRunError(f"{file}: only the package wandb can read its metrics: pip install wandb") from error
    for content in _chunks(file, run):
        record = messages.Record()
        try:
            record.ParseFromString(content)
            _take(record, run)
        except Exception:  # noqa: BLE001 - protobuf's error has another class in each of its implementations
            run.left_out.add(_DAMAGED)


def _chunks(file: Path, run: ForeignRun) -> Iterator[bytes]:
    """Yield the records of a log in LevelDB's format: blocks of 32 KiB, which hold records or parts of them.

    The last record may not be complete, since the run may be writing it.
    """
    content = file.read_bytes()
    place, record = 7, b""  # after W&B's own mark
    while place + 7 <= len(content):
        left = 2**15 - place % 2**15
        if left < 7:
            place += left
            continue
        checksum, size, kind = struct.unpack_from("<IHB", content, place)
        part = content[place + 7 : place + 7 + size]
        if len(part) < size or not 1 <= kind <= 4:
            return
        place += 7 + size
        record = part if kind in {_WHOLE, _FIRST} else record + part
        if checksum != zlib.crc32(part, zlib.crc32(bytes([kind]))):
            run.left_out.add(_DAMAGED)
        elif kind in {_WHOLE, _LAST}:
            yield record


_WHOLE, _FIRST, _LAST = 1, 2, 4


def _take(record: Any, run: ForeignRun) -> None:
    kind = record.WhichOneof("record_type")
    if kind == "history":
        row = _nested(record.history.item)
        _add(row, record.history.step.num if record.history.HasField("step") else row.get("_step"), run)
    elif kind == "summary":
        run.told["summary"] = {**run.told["summary"], **_plain(_nested(record.summary.update))}
    elif kind == "exit":
        run.status = Status.FAILED if record.exit.exit_code else Status.COMPLETE
        run.info["exit"] = {"reason": None, "code": record.exit.exit_code}
        if run.started_at is not None and record.exit.runtime:
            run.ended_at = run.started_at + record.exit.runtime
    elif kind == "environment":
        _read_metadata(_environment(record.environment), run)
    elif kind == "config":
        _take_config(record.config, run)
    elif kind == "run":
        _take_config(record.run.config, run)
        run.started_at = record.run.start_time.seconds + record.run.start_time.nanos / 1e9 or run.started_at
        told = {name: getattr(record.run, name) for name in ("entity", "project", "display_name", "run_group", "notes")}
        run.told.update({name: value for name, value in told.items() if value}, tags=list(record.run.tags))
        run.info.update({"hostname": record.run.host} if record.run.host else {})


def _environment(facts: Any) -> dict[str, Any]:
    """Return what a record tells of the program, in terms of wandb-metadata.json."""
    told: dict[str, Any] = {name: getattr(facts, name) for name in ("host", "executable", "program")}
    told["args"] = list(facts.args)
    told["git"] = {"commit": facts.git.commit or None}
    return {name: value for name, value in told.items() if value}


def _take_config(config: Any, run: ForeignRun) -> None:
    run.config.update({name: value for name, value in _nested(config.update).items() if _is_config(name)})


def _nested(items: Any) -> dict[str, Any]:
    """Return items, each of which has a name of one or several parts, as nested dicts."""
    result: dict[str, Any] = {}
    for item in items:
        *outer, last = item.nested_key or [item.key]
        place = result
        for name in outer:
            inner = place.get(name)
            place[name] = place = inner if isinstance(inner, dict) else {}
        place[last] = json.loads(item.value_json)
    return result


FORMAT: Final = Format("W&B", "wandb", "a folder of W&B's local files (wandb)", _folders, _identity, _read, files_in)
