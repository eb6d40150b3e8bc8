"""Reads MLflow's plain files: ``mlruns/<experiment>/<run>/`` with meta.yaml, params, metrics, tags and artifacts."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mlxp.importers.foreign_run import ForeignRun, Format, Identity, UnreadableRunError
from mlxp.importers.reading import files_in, folders_below, python_value, take_files, text_of, yaml_at
from mlxp.run_directory.status import Status

_STATUS: Final = {3: Status.COMPLETE, 4: Status.FAILED, 5: Status.KILLED}
"""What MLflow's numbers mean; 1 is RUNNING, 2 is SCHEDULED."""

_STATUS_NAMES: Final = {"FINISHED": 3, "FAILED": 4, "KILLED": 5}
_FOLDERS: Final = frozenset({"params", "metrics", "tags", "artifacts"})
_OF_OTHERS: Final = re.compile(r"^(artifact_location|model_id):", re.MULTILINE)


def _folders(source: Path) -> Iterator[Path]:
    for folder in folders_below(source, _is_run):
        if ".trash" not in folder.relative_to(source).parts:
            yield folder


def _is_run(folder: Path, names: set[str]) -> bool:
    if "meta.yaml" not in names or not names & _FOLDERS:
        return False
    # Experiments and logged models have such a file, too.
    return _OF_OTHERS.search(text_of(folder / "meta.yaml")) is None


def _identity(folder: Path) -> Identity:
    meta = _meta(folder)
    started = meta.get("start_time")
    return Identity(f"MLflow {meta['run_id']}", started / 1000 if isinstance(started, int | float) else 0.0)


def _meta(folder: Path) -> dict[Any, Any]:
    meta = yaml_at(folder / "meta.yaml")
    run_id = meta.get("run_id") or meta.get("run_uuid")
    if not isinstance(run_id, str) or not run_id:
        raise UnreadableRunError(f"{folder / 'meta.yaml'} is damaged: it has no run_id")
    return {**meta, "run_id": run_id}


def _read(folder: Path) -> ForeignRun:
    meta, tags = _meta(folder), _texts(folder / "tags")
    number = _STATUS_NAMES.get(str(meta.get("status")), meta.get("status"))
    start, end = (time / 1000 if type(time := meta.get(key)) is int else None for key in ("start_time", "end_time"))
    run = ForeignRun(
        config={name: python_value(text) for name, text in _texts(folder / "params").items()},
        status=_STATUS.get(number) if isinstance(number, int) else None,
        started_at=start,
        ended_at=end,
        info={"git": {"commit": commit} if (commit := tags.get("mlflow.source.git.commit")) else None},
        told={
            "run_id": meta["run_id"],
            "run_name": meta.get("run_name") or tags.get("mlflow.runName"),
            "experiment": yaml_at(folder.parent / "meta.yaml").get("name"),
            "lifecycle_stage": meta.get("lifecycle_stage"),
            "tags": tags,
        },
        parent=f"MLflow {tags['mlflow.parentRunId']}" if "mlflow.parentRunId" in tags else None,
    )
    _read_metrics(folder / "metrics", run)
    take_files(run, folder / "artifacts")
    _tell_what_is_left_out(folder, meta, run)
    return run


def _texts(folder: Path) -> dict[str, str]:
    """Return the text of each file in a folder; a name with a slash is one in a folder."""
    return {path.relative_to(folder).as_posix(): text_of(path) for path in files_in(folder)}


def _read_metrics(folder: Path, run: ForeignRun) -> None:
    values: list[tuple[int, str, float, int]] = []
    for name, text in _texts(folder).items():
        for words in map(str.split, text.split("\n")):
            try:
                values += [(int(words[0]), name, float(words[1]), int(words[2]))] if words else []
            except (ValueError, IndexError):
                run.left_out.add("damaged lines of metrics")
            if len(words) > 3:
                run.left_out.add("the dataset or model that a value of a metric belongs to")
    stepped = _with_steps(values)
    for time, name, value, step in sorted(values, key=lambda line: line[0]):
        run.records.add(name, value, step if name in stepped else None, time / 1000)


def _with_steps(values: list[tuple[int, str, float, int]]) -> set[str]:
    """Return the names of metrics that were logged with a step.

    MLflow's step is 0 where none is given. So it says nothing where a metric has several values, all of them at 0.
    """
    at_others = {name for *_, name, _, step in values if step}
    repeated = {name for name, count in Counter(name for _, name, *_ in values).items() if count > 1}
    if not at_others and repeated:
        return set()
    return {name for _, name, *_ in values} - (repeated - at_others)


def _tell_what_is_left_out(folder: Path, meta: dict[Any, Any], run: ForeignRun) -> None:
    place = str(meta.get("artifact_uri") or "")
    if not run.artifacts and "://" in place and not place.startswith("file:"):
        run.left_out.add("artifacts that are not in the folder of the run, but on a server")
    for name, kind in (("inputs", "links to datasets"), ("outputs", "links to logged models")):
        if (folder / name).is_dir() and os.listdir(folder / name):  # noqa: PTH208 - whether there is one
            run.left_out.add(kind)


FORMAT: Final = Format(
    "MLflow", "mlflow", "a folder of MLflow's plain files (mlruns)", _folders, _identity, _read, files_in
)
