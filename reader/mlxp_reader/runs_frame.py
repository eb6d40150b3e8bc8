"""From the index to a frame: which columns there are, of which types, and what a query asks them for."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from mlxp_reader import encoding
from mlxp_reader.artifacts import ArtifactArray, ArtifactFolder
from mlxp_reader.expressions import MISSING
from mlxp_reader.frame import DataFrame
from mlxp_reader.lazy import MetricArray, MetricColumn, MetricValues
from mlxp_reader.lists import Column
from mlxp_reader.mixed import MixedArray
from mlxp_reader.names import is_metadata, split_statistic
from mlxp_reader.statistics import statistic

__all__ = ["FrameBuilder"]

Load = Callable[[str, str, npt.NDArray[np.intp]], Column]
Mask = npt.NDArray[np.bool_]

_EXACT_IN_FLOAT = 2**53


class FrameBuilder:
    """The columns of all runs of an index, each made on first use.

    Parameters
    ----------
    table
        The index.
    metrics, artifacts
        Of each run, what its record says; see `mlxp_reader.crawl.Record`.
    load
        Returns the values of a metric, given the log name, the key and rows of the index.
    """

    def __init__(
        self, table: pa.Table, metrics: Sequence[Any], artifacts: Sequence[Any], source: Path, load: Load
    ) -> None:
        self._table = table
        self._source = source
        self._load = load
        self._metrics = _runs_by_metric(metrics)
        self._artifacts = _runs_by_folder(artifacts)
        metadata = [name for name in table.schema.names if is_metadata(name)]
        self.fields = dict.fromkeys(
            [
                *(name for name in metadata if name.startswith("config.")),
                *(name for name in metadata if name.startswith("info.")),
                *self._metrics,
                *self._artifacts,
            ]
        )
        self._arrays: dict[str, Any] = {}
        self._loaded: dict[str, MetricColumn] = {}
        self._decoded: dict[str, list[Any]] = {}
        self._frame: DataFrame | None = None

    def frame(self, rows: Mask | None) -> DataFrame:
        """Return the runs at `rows`, all by default, as a frame of its own."""
        if self._frame is None:
            self._frame = DataFrame({name: self._array(name) for name in self.fields}, copy=False)
        if rows is None:
            return self._frame.copy()
        return self._frame.take(np.flatnonzero(rows)).reset_index(drop=True)

    def values(self, name: str) -> Any:
        """Return what a query compares: the values of a field, or a statistic of a metric, of each run."""
        asked = split_statistic(name) if name not in self.fields else None
        if asked is not None:
            return self._statistic(*asked)
        field = self._table.schema.field(name)
        return self._table[name] if encoding.is_exactly_typed(field) else self._decoded_values(name)

    def type_name(self, name: str) -> str:
        """Return the type of a field's values as `Reader.fields` shows it."""
        if name in self._metrics:
            return "METRIC"
        if name in self._artifacts:
            return "Artifact"
        types = dict.fromkeys(type(value) for value in self._decoded_values(name) if value is not MISSING)
        return " | ".join(str(kind) for kind in types)

    def _decoded_values(self, name: str) -> list[Any]:
        if name not in self._decoded:
            self._decoded[name] = encoding.decoded(self._table.schema.field(name), self._table[name])
        return self._decoded[name]

    def _array(self, name: str) -> Any:
        if name not in self._arrays:
            self._arrays[name] = self._made(name)
        return self._arrays[name]

    def _made(self, name: str) -> Any:
        if name in self._metrics:
            return self._metric_array(name)
        if name in self._artifacts:
            return self._artifact_array(name)
        field = self._table.schema.field(name)
        column = self._table[name]
        return _typed(column) if not encoding.holds_text(field) else _tightest(self._decoded_values(name))

    def _metric_array(self, name: str) -> MetricArray:
        column = self._column(name)
        cells = np.full(len(self._table), np.nan, dtype=object)
        for row in self._metrics[name][1]:
            cells[row] = MetricValues(column, row)
        return MetricArray(cells)

    def _column(self, name: str) -> MetricColumn:
        if name not in self._loaded:
            self._loaded[name] = MetricColumn(name, len(self._table), partial(self._cells, name))
        return self._loaded[name]

    def _cells(self, name: str, rows: npt.NDArray[np.intp]) -> list[Any]:
        (log_name, key), _ = self._metrics[name]
        column = self._load(log_name, key, rows)
        self._loaded[name].records |= {int(rows[run]): numbers for run, numbers in column.records.items()}
        return column.cells()

    def _artifact_array(self, name: str) -> ArtifactArray:
        ids = self._table["log_id"].to_pylist()
        cells = np.full(len(self._table), np.nan, dtype=object)
        for row, artifact_type, folder, names in self._artifacts[name]:
            cells[row] = ArtifactFolder(self._source / str(ids[row]), artifact_type, folder, names)
        return ArtifactArray(cells)

    def _statistic(self, metric: str, name: str) -> Any:
        rows = self._metrics[metric][1]
        column = self._column(metric)
        column.load(rows)
        runs: list[Any] = [None] * len(self._table)
        for row in rows:
            runs[row] = column.values(row)
        return statistic(name, runs)


def _runs_by_metric(metrics: Sequence[Any]) -> dict[str, tuple[tuple[str, str], list[int]]]:
    """Return for each metric its log name and key, and the rows of the runs that have it."""
    found: dict[str, tuple[tuple[str, str], list[int]]] = {}
    for row, logs in enumerate(metrics):
        for log_name, keys in logs.items():
            for key in keys:
                found.setdefault(f"{log_name}.{key}", ((log_name, key), []))[1].append(row)
    return found


def _runs_by_folder(artifacts: Sequence[Any]) -> dict[str, list[tuple[int, str, str, tuple[str, ...]]]]:
    """Return for each type and folder of artifacts the rows of the runs that have it, and the names there."""
    found: dict[str, list[tuple[int, str, str, tuple[str, ...]]]] = {}
    for row, types in enumerate(artifacts):
        for artifact_type, folders in types.items():
            for folder, names in folders.items():
                # The names of MLXP 1: artifact.pickle. and artifact.pickle..plots.final
                dotted = f".{folder.replace('/', '.')}" if folder else ""
                column = found.setdefault(f"artifact.{artifact_type}.{dotted}", [])
                column.append((row, artifact_type, folder, tuple(names)))
    return found


def _typed(column: pa.ChunkedArray) -> Any:
    """Return values of one kind as an array of pandas; a null is a missing value."""
    if pa.types.is_string(column.type):
        return pd.array(column.to_pandas(), dtype="str")
    if pa.types.is_floating(column.type) or not column.null_count:
        return column.to_numpy()
    missing = np.asarray(column.is_null())
    if pa.types.is_boolean(column.type):
        return pd.arrays.BooleanArray(column.fill_null(False).to_numpy().astype(np.bool_), missing)
    return pd.arrays.IntegerArray(column.fill_null(0).to_numpy(), missing)


def _tightest(values: list[Any]) -> Any:
    """Return values of several kinds as an array of numbers, if that loses nothing, else as they are."""
    kinds = {type(value) for value in values if value is not None and value is not MISSING}
    if float in kinds and kinds <= {int, float} and all(_is_exact(value) for value in values):
        return np.array([np.nan if value is None or value is MISSING else value for value in values], dtype=np.float64)
    if len(kinds) == 1 and kinds <= {bool, int, float, str}:  # and both None and missing
        try:
            return _typed(pa.chunked_array([pa.array([None if value is MISSING else value for value in values])]))
        except (OverflowError, pa.ArrowInvalid, UnicodeEncodeError):
            pass  # a number or a text that no array but one of objects holds
    return MixedArray.of([np.nan if value is MISSING else value for value in values])


def _is_exact(value: Any) -> bool:
    return type(value) is not int or abs(value) <= _EXACT_IN_FLOAT
