"""Reads what Lightning's CSVLogger and TensorBoardLogger write: ``lightning_logs/version_<number>/``."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mlxp.importers import tensorboard
from mlxp.importers.foreign_run import ForeignRun, Format, Identity
from mlxp.importers.reading import files_in, folders_below, take_files, text_of, yaml_at

_WHOLE: Final = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_READ: Final = frozenset({"hparams.yaml", "metrics.csv"})


def _folders(source: Path) -> Iterator[Path]:
    yield from folders_below(source, _is_run)


def _is_run(_: Path, names: set[str]) -> bool:
    has_metrics = "metrics.csv" in names or any(map(tensorboard.is_event_file, names))
    return "hparams.yaml" in names and has_metrics


def _identity(folder: Path) -> Identity:
    events = tensorboard.event_files(folder)
    if events:
        return tensorboard.identity(folder)
    # Nothing in these files tells one run from another, so that it is where they are.
    return Identity(f"Lightning {folder.resolve()}", (folder / "hparams.yaml").stat().st_mtime)


def _read(folder: Path) -> ForeignRun:
    table, events = folder / "metrics.csv", tensorboard.event_files(folder)
    run = ForeignRun() if table.is_file() else tensorboard.read(folder)
    run.config = {str(name): value for name, value in yaml_at(folder / "hparams.yaml").items()}
    if table.is_file():
        _read_table(table, run)
        if events:
            run.left_out.add("event files of TensorBoard, which have the metrics of metrics.csv once more")
    take_files(run, folder, {*_READ, *(path.name for path in events)})
    return run


def _read_table(file: Path, run: ForeignRun) -> None:
    complete, _, _torn = text_of(file).rpartition("\n")
    rows = csv.reader(io.StringIO(complete, newline=""))
    names = next(rows, [])
    for row in rows:
        if len(row) != len(names):
            run.left_out.add("damaged lines of metrics.csv")
            continue
        values = {name: _value(text) for name, text in zip(names, row, strict=True) if text}
        shared: dict[str, Any] = {name: values.pop(name) for name in ("step", "epoch") if name in values}
        run.records.add_row(values, shared)


def _value(text: str) -> Any:
    if _WHOLE.fullmatch(text):
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text


FORMAT: Final = Format(
    "Lightning", "lightning", "a folder of Lightning (lightning_logs)", _folders, _identity, _read, files_in
)
