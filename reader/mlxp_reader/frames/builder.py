"""Frames built from an index: which columns they have, of which types, and what a query compares."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from mlxp.run_directory.layout import RunDirectory
from mlxp.run_directory.superseded import beginnings
from mlxp_reader.columns.artifacts import ArtifactArray, ArtifactColumn, Recorded
from mlxp_reader.columns.asked_values import asked_values
from mlxp_reader.columns.cells import is_missing
from mlxp_reader.columns.lazy_cells import Rows
from mlxp_reader.columns.metric_array import MetricArray
from mlxp_reader.columns.metric_values import MetricColumn, Times
from mlxp_reader.columns.missing import ABSENT, IS_ABSENT, NULL, kind_of
from mlxp_reader.columns.missing import integers as marked_integers
from mlxp_reader.columns.missing import texts as marked_texts
from mlxp_reader.columns.mixed import MixedArray
from mlxp_reader.columns.run_statistics import statistic
from mlxp_reader.evidence.cells import ORIGIN
from mlxp_reader.frames.attempts import Attempts
from mlxp_reader.frames.frame import DataFrame
from mlxp_reader.query.names import Asked, FieldKind, is_metadata
from mlxp_reader.records import encoding, index
from mlxp_reader.store.lists import MetricOfRuns
from mlxp_reader.store.record_times import times_of_records

Load = Callable[[str, str, npt.NDArray[np.intp]], MetricOfRuns]
Mask = npt.NDArray[np.bool_]

_EXACT_IN_FLOAT = 2**53
_ATTEMPT = "info.attempt"


class _Source(NamedTuple):
    """A metrics file and a key in it, and the runs that have it; a dot in either may give two of them one name."""

    log_name: str
    key: str
    rows: Rows


class FrameBuilder:
    """The columns of all runs of an index, each made on first use.

    Parameters
    ----------
    table
        The index.
    directories
        For each run, the directory that holds the run's own directory.
    load
        Returns the values of a metric, given the log name, the key and rows of the index.
    joins_attempts
        Whether records that a later attempt of the run has logged again are left out.
    """

    def __init__(self, table: pa.Table, directories: Sequence[str], load: Load, *, joins_attempts: bool = True) -> None:
        self._table = table
        self._directories = directories
        self._load = load
        self._stored = set(table.schema.names)  # which the schema makes anew whenever it is asked
        with index.no_garbage_collection():
            self._metrics = _runs_by_metric(index.shared(table, "metrics"))
        for name in self._stored & self._metrics.keys():
            del self._metrics[name]  # a field of the info keeps its name even if a log is called info
        self._artifacts = _runs_by_folder(index.shared(table, "artifacts"))
        metadata = [name for name in table.schema.names if is_metadata(name)]
        self.fields: dict[str, FieldKind] = {
            **{name: "value" for name in table.schema.names if name == index.SOURCE},
            **{name: "value" for name in metadata if name.startswith("config.")},
            **{name: "value" for name in metadata if name.startswith("info.")},
            **dict.fromkeys(self._metrics, "metric"),
            **dict.fromkeys(self._artifacts, "artifact"),
        }
        self._arrays: dict[str, Any] = {}
        self._cells: dict[tuple[int, ...], Rows] = {}
        self._loaded: dict[str, MetricColumn] = {}
        self._decoded: dict[str, list[Any]] = {}
        self.resumed = self._resumed()
        """The rows of runs that were resumed."""
        self._attempts = Attempts(self.resumed if joins_attempts else [], self._run_at, load, self._has)

    def frame(self, rows: Mask | None, origin: dict[str, Any] | None = None) -> DataFrame:
        """Return the runs at `rows`, all by default, as a frame of its own, which may know where it is from."""
        with index.no_garbage_collection():
            frame = self._runs_at(rows)
        if origin is not None:
            frame.attrs[ORIGIN] = {**origin, "count": len(frame)}
        return frame

    def _runs_at(self, rows: Mask | None) -> DataFrame:
        if rows is None:
            return _frame({name: self._copied(name) for name in self.fields})
        places = np.flatnonzero(rows)
        taken: dict[int, Rows] = {}
        arrays = {name: self._taken(name, places, taken) for name in self.fields}
        # The remaining values of a column with texts and numbers may all be numbers.
        return _frame(arrays | {name: _tightest(*_numbered(arrays[name])) for name in self._mixed})

    @cached_property
    def _mixed(self) -> list[str]:
        """The columns of several kinds that have any values, and so may be of one kind in some of the runs."""
        mixed = [name for name, array in self._arrays.items() if isinstance(array, MixedArray)]
        return [name for name in mixed if not all(map(is_missing, encoding.distinct(self._table[name])[0]))]

    def values(self, name: str) -> Any:
        """Return what a query compares: for each run, the value of a field or a statistic of a metric."""
        if name not in self.fields:
            asked = Asked.of(name, self.fields)
            if asked.takes_steps:
                return asked_values(self.frame(None), name)
            return self._statistic(asked.metric, asked.statistic)
        field = self._table.schema.field(name)
        return self._table[name] if encoding.is_exactly_typed(field) else self._decoded_values(name)

    @property
    def log_ids(self) -> npt.NDArray[np.int64]:
        """The ids of all runs."""
        ids: npt.NDArray[np.int64] = self._table["log_id"].to_numpy()
        return ids

    def sources(self, metric: str) -> list[_Source]:
        """Return where the values of a metric are."""
        return self._metrics[metric]

    def attempts_in(self, log_name: str, row: int) -> tuple[list[int], npt.NDArray[np.int64]]:
        """Return with which records of a metrics file later attempts of a run began, and which records do not count."""
        return beginnings(self._run_at(row), log_name), self._attempts.superseded(log_name, row)

    def _resumed(self) -> list[int]:
        if _ATTEMPT not in self.fields:
            return []
        counts = self._decoded_values(_ATTEMPT)
        return [row for row, count in enumerate(counts) if isinstance(count, int) and count > 1]

    def _run_at(self, row: int) -> Path:
        return Path(self._directories[row], str(self._table["log_id"][row].as_py()))

    def _has(self, log_name: str, key: str, row: int) -> bool:
        sources = self._metrics.get(f"{log_name}.{key}", ())
        return any(source.log_name == log_name and row in source.rows for source in sources)

    def type_name(self, name: str) -> str:
        """Return the type of a field's values as `Reader.fields` shows it."""
        if name in self._metrics:
            return "METRIC"
        if name in self._artifacts:
            return "Artifact"
        field = self._table.schema.field(name)
        if encoding.holds_text(field):
            types = dict.fromkeys(type(value) for value in encoding.distinct(self._table[name])[0])
        else:
            types = dict.fromkeys([encoding.python_type(field)])
        return " | ".join(str(kind) for kind in types)

    def _decoded_values(self, name: str) -> list[Any]:
        if name not in self._decoded:
            self._decoded[name] = encoding.decoded(self._table.schema.field(name), self._table[name])
        return self._decoded[name]

    def _array(self, name: str) -> Any:
        if name not in self._arrays:
            self._arrays[name] = self._made(name)
        return self._arrays[name]

    def _copied(self, name: str) -> Any:
        return self._metric_array(name) if name in self._metrics else self._array(name).copy()

    def _taken(self, name: str, rows: Rows, taken: dict[int, Rows]) -> Any:
        if name in self._metrics:
            return self._metric_array(name, rows, taken)
        if name in self._stored and not encoding.holds_text(field := self._table.schema.field(name)):
            return _plain(field, self._table[name].take(pa.array(rows)))  # of texts, only those of the runs are copied
        return self._array(name).take(rows)

    def _made(self, name: str) -> Any:
        if name in self._artifacts:
            return self._artifact_array(name)
        field = self._table.schema.field(name)
        column = self._table[name]
        if encoding.holds_text(field):
            return _tightest(*encoding.distinct(column))
        return _plain(field, column)

    def _metric_array(self, name: str, places: Rows | None = None, taken: dict[int, Rows] | None = None) -> MetricArray:
        """Return a new column of a metric; `taken` are the `places` of what several metrics share."""
        sources = self._metrics[name]
        shared = tuple(id(source.rows) for source in sources)  # of all metrics of a file, unless runs differ in them
        if shared not in self._cells:
            rows = np.full(len(self._table), -1, dtype=np.intp)
            for source in sources:
                rows[source.rows] = source.rows
            self._cells[shared] = rows
        rows = self._cells[shared]
        if places is not None and taken is not None:
            if id(rows) not in taken:
                taken[id(rows)] = rows[places]
            rows = taken[id(rows)]
        return MetricArray.of_rows(self._column(name), rows)

    def _column(self, name: str) -> MetricColumn:
        if name not in self._loaded:
            self._loaded[name] = MetricColumn(name, len(self._table), self._values_at, self._times_at)
        return self._loaded[name]

    def _values_at(self, name: str, rows: Rows) -> list[Any]:
        sources = self._metrics[name]
        if len(sources) == 1:
            return self._values_in(sources[0], name, rows)
        found: dict[int, Any] = {}
        for source in sources:
            here = np.intersect1d(rows, source.rows)
            found |= zip(here.tolist(), self._values_in(source, name, here), strict=True)
        return [found[row] for row in rows.tolist()]

    def _values_in(self, source: _Source, name: str, rows: Rows) -> list[Any]:
        column = self._load(source.log_name, source.key, rows)
        records = {int(rows[run]): numbers for run, numbers in column.records.items()}
        cells = self._attempts.counting(source.log_name, rows, column.cells(), records)
        self._loaded[name].records |= records
        return cells

    def _times_at(self, name: str, row: int) -> Times | None:
        log_name = next(source.log_name for source in self._metrics[name] if row in source.rows)
        run = Path(self._directories[row]) / str(self._table["log_id"][row])
        return times_of_records(RunDirectory(run), log_name)

    def _artifact_array(self, name: str) -> ArtifactArray:
        column = ArtifactColumn(self._directories, self._table["log_id"].to_pylist(), self._artifacts[name])
        return ArtifactArray.of_rows(column, column.rows)

    def _statistic(self, metric: str, name: str) -> Any:
        rows = np.concatenate([source.rows for source in self._metrics[metric]])
        column = self._column(metric)
        column.load(rows)
        runs: list[Any] = [None] * len(self._table)
        for row in rows.tolist():
            runs[row] = column.values(row)
        return statistic(name, runs)


def _frame(arrays: dict[str, Any]) -> DataFrame:
    """Return a frame of arrays that are new; pandas' constructor takes three times as long to look at each of them."""
    index = pd.RangeIndex(len(next(iter(arrays.values()), ())))
    frame: DataFrame = DataFrame._from_arrays(  # type: ignore[attr-defined]  # what pandas' own readers use  # noqa: SLF001
        list(arrays.values()), columns=pd.Index(list(arrays)), index=index, verify_integrity=False
    )
    return frame


def _runs_by_metric(metrics: index.Shared) -> dict[str, list[_Source]]:
    """Return for each metric where its values are."""
    rows_by_source: dict[tuple[str, str], list[Rows]] = {}
    for logs, rows in _with_rows(metrics):
        for log_name, keys in logs.items():
            for key in keys:
                rows_by_source.setdefault((log_name, key), []).append(rows)
    found: dict[str, list[_Source]] = {}
    in_order: dict[tuple[int, ...], Rows] = {}  # a file may have as many metrics as it has characters
    for (log_name, key), rows_of_source in rows_by_source.items():
        shared = tuple(map(id, rows_of_source))
        if shared not in in_order:
            in_order[shared] = _in_order(rows_of_source, len(metrics.of_run))
        source = _Source(log_name, key, in_order[shared])
        found.setdefault(f"{log_name}.{key}", []).append(source)
    return found


def _in_order(rows: list[Rows], runs: int) -> Rows:
    is_one = np.zeros(runs, dtype=np.bool_)  # much faster than to sort them
    is_one[np.concatenate(rows)] = True
    return np.flatnonzero(is_one)


def _runs_by_folder(artifacts: index.Shared) -> dict[str, list[Recorded]]:
    """Return for each column of artifacts what the runs have there."""
    found: dict[str, list[Recorded]] = {}
    for types, rows in _with_rows(artifacts):
        for artifact_type, folders in types.items():
            for folder, names in folders.items():
                # The names of MLXP 1: artifact.pickle. and artifact.pickle..plots.final
                dotted = f".{folder.replace('/', '.')}" if folder else ""
                column = found.setdefault(f"artifact.{artifact_type}.{dotted}", [])
                column.append(Recorded(artifact_type, folder, tuple(names), rows))
    return found


def _with_rows(shared: index.Shared) -> Iterator[tuple[Any, Rows]]:
    """Yield each content with the rows of the runs that have it."""
    order = np.argsort(shared.of_run, kind="stable")
    ends = np.cumsum(np.bincount(shared.of_run, minlength=len(shared.contents)))
    for content, rows in zip(shared.contents, np.split(order, ends[:-1]), strict=False):
        if content and len(rows):
            yield content, rows


def _plain(field: pa.Field, column: pa.ChunkedArray) -> Any:
    """Return the values of a column of the index as a pandas array, if they are of one kind."""
    missing = np.asarray(column.is_null())
    return _typed(encoding.plain(column), missing, missing & (encoding.null_value(field) is None))


def _typed(column: pa.ChunkedArray, missing: Mask, null: Mask) -> Any:
    """Return values of one kind as a pandas array, which knows which of the `missing` ones are `null`."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return marked_texts(column.to_pandas(), missing, null)
    if not missing.any():
        return column.to_numpy()
    if pa.types.is_floating(column.type):
        return np.where(null, NULL, np.where(missing, ABSENT, column.to_numpy()))
    return marked_integers(column.fill_null(False if pa.types.is_boolean(column.type) else 0).to_numpy(), missing, null)


def _tightest(values: list[Any], codes: Rows) -> Any:
    """Return values of several kinds as an array of numbers, if that loses nothing, else as they are.

    `codes` tells which of the `values` a run has; -1 stands for none.
    """
    kinds = {type(value) for value in values if value is not None}
    if float in kinds and kinds <= {int, float} and all(_is_exact(value) for value in values):
        # The last one is for the runs without a value, whose code is -1.
        return np.array([*(NULL if value is None else value for value in values), ABSENT], dtype=np.float64)[codes]
    if len(kinds) == 1 and kinds <= {bool, int, float, str}:  # and both None and missing
        try:
            column = pa.chunked_array([pa.array([None if at < 0 else values[at] for at in codes.tolist()])])
            missing = np.asarray(column.is_null())
            return _typed(column, missing, missing & (codes >= 0))
        except (OverflowError, pa.ArrowInvalid, UnicodeEncodeError):
            pass  # a number or a text that no array but one of objects holds
    return MixedArray(MixedArray.of([*values, ABSENT]).cells[codes])


def _numbered(column: MixedArray) -> tuple[list[Any], Rows]:
    """Return the values of a column, and the number of each; -1 stands for none."""
    is_none = np.array([kind_of(cell) == IS_ABSENT for cell in column.cells], dtype=np.bool_)
    values = [None if none else cell for cell, none in zip(column.cells, is_none.tolist(), strict=True)]
    return values, np.where(is_none, -1, np.arange(len(column)))


def _is_exact(value: Any) -> bool:
    return type(value) is not int or abs(value) <= _EXACT_IN_FLOAT
