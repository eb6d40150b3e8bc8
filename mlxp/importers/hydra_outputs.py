"""Reads what Hydra itself leaves of an application: ``outputs/`` and ``multirun/``, with ``.hydra`` in each folder."""

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from mlxp.importers import lightning, tensorboard
from mlxp.importers.foreign_run import ForeignRun, Format, Identity, UnreadableRunError
from mlxp.importers.reading import files_in, folders_below, take_files, yaml_at, yaml_content
from mlxp.running.references import without_references

_CONFIG: Final = Path(".hydra/config.yaml")
_UNKNOWN: Final = "???"
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)[/_](\d\d-\d\d-\d\d)(?:/|$)")
"""What Hydra calls folders, unless it is told otherwise."""


def _folders(source: Path) -> Iterator[Path]:
    yield from folders_below(source, _is_run, nested=True)


def _is_run(folder: Path, names: set[str]) -> bool:
    return ".hydra" in names and (folder / _CONFIG).is_file()


def _identity(folder: Path) -> Identity:
    place = folder.resolve()
    written = [path.read_bytes() for path in sorted((folder / ".hydra").glob("*.yaml"))]
    content = hashlib.sha256(b"\0".join(written)).hexdigest()
    return Identity(f"Hydra {place.parent.name}/{place.name} {content}", _started_at(place) or 0.0)


def _started_at(folder: Path) -> float | None:
    found = _TIME.search(folder.as_posix())
    try:
        time = datetime.strptime(f"{found[1]} {found[2]}", "%Y-%m-%d %H-%M-%S") if found else None  # noqa: DTZ007
    except ValueError:
        return None
    return time.timestamp() if time else None  # local time, as Hydra writes it


def _read(folder: Path) -> ForeignRun:
    hydra = yaml_at(folder / ".hydra/hydra.yaml").get("hydra")
    settings: dict[str, Any] = hydra if isinstance(hydra, dict) else {}
    job, content = _inner(settings, "job"), yaml_at(folder / _CONFIG)
    run = ForeignRun(
        config={str(name): value for name, value in without_references(content).items()},
        started_at=_started_at(folder.resolve()),
        info={"overrides": _overrides(folder / ".hydra/overrides.yaml")},
        told={
            "job": {name: job[name] for name in ("name", "num", "id") if job.get(name) not in {None, _UNKNOWN}},
            "version": _inner(settings, "runtime").get("version"),
            "choices": _inner(_inner(settings, "runtime"), "choices"),
        },
    )
    if isinstance(cwd := _inner(settings, "runtime").get("cwd"), str):
        run.info["work_dir"] = cwd
    if _inner(settings, "runtime").get("output_dir") == run.info.get("work_dir") and run.info.get("work_dir"):
        run.left_out.add("files beside .hydra, where a run was started in its own folder")
    else:
        own = [path for path in _files(folder) if not path.is_relative_to(folder / ".hydra")]
        take_files(run, folder, paths=own)
    _read_metrics(folder, run)
    return run


def _inner(content: dict[str, Any], key: str) -> dict[str, Any]:
    value = content.get(key)
    return value if isinstance(value, dict) else {}


def _overrides(file: Path) -> list[str]:
    content = yaml_content(file) if file.is_file() else []
    if content is not None and not isinstance(content, list):
        raise UnreadableRunError(f"{file} is damaged: it holds no list")
    return [str(one) for one in content or []]


def _read_metrics(folder: Path, run: ForeignRun) -> None:
    """Take the metrics that Lightning or TensorBoard has left in the folder; those of one run, not to mix any."""
    for other in (lightning.FORMAT, tensorboard.FORMAT):
        inner = list(other.folders(folder))
        if len(inner) == 1:
            read = other.read(inner[0])
            run.records = read.records
            run.left_out |= read.left_out & set(tensorboard.LEFT_OUT.values())
        elif inner:
            run.left_out.add(f"metrics of several runs of {other.tool} in one folder; import that folder for itself")
        if inner:
            return


def _files(folder: Path) -> list[Path]:
    """Return the files of a run; not those of another one in its folder."""
    others = [one for one in _folders(folder) if one != folder]
    return [path for path in files_in(folder) if not any(path.is_relative_to(one) for one in others)]


FORMAT: Final = Format(
    "Hydra", "hydra", "a folder of Hydra's outputs (outputs, multirun)", _folders, _identity, _read, _files
)
