"""Columns of metrics: pandas arrays whose cells are loaded when somebody looks into them.

Operations of pandas that only move cells around load nothing, even in a plain `pandas.DataFrame`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pandas.api.extensions import register_extension_dtype

from mlxp_reader.columns.arrow_storage import chunks_of, register
from mlxp_reader.columns.cells import CellDtype, Objects, is_missing, objects
from mlxp_reader.columns.lazy_cells import LazyCellArray, Rows
from mlxp_reader.columns.metric_values import MetricValues, ReadAhead, Times, load_cells, shortened


@register_extension_dtype
class MetricDtype(CellDtype):
    """The type of a column of metrics."""

    name = "metric"
    type = MetricValues

    @staticmethod
    def __from_arrow__(array: pa.Array | pa.ChunkedArray) -> "MetricArray":
        return MetricArray.of([cell for chunk in chunks_of(array) for cell in _cells_of_arrow(chunk)])


def _cells_of_arrow(array: pa.Array) -> list[Any]:
    if pa.types.is_string(array.type):
        from mlxp_reader.records.encoding import from_text

        return [np.nan if text is None else from_text(text) for text in array.to_pylist()]
    return [np.nan if values is None else values for values in array.to_numpy(zero_copy_only=False)]


_OVER_RUNS: dict[str, Callable[..., Any]] = {
    "mean": np.mean,
    "median": np.median,
    "sum": np.sum,
    "min": np.min,
    "max": np.max,
    "std": np.std,
    "var": np.var,
}


class MetricArray(LazyCellArray):
    """A column of metrics, one sequence of values per run; NaN where a run does not have the metric."""

    _cell_dtype = MetricDtype()

    def __init__(self, cells: Objects) -> None:
        super().__init__(cells)
        self._read_ahead: ReadAhead | None = None

    def __iter__(self) -> Iterator[Any]:
        read_ahead = self._shared_read_ahead()
        if self.source is not None:
            column, rows = self.source
            for row in rows.tolist():
                yield np.nan if row < 0 else MetricValues(column, row, read_ahead)
            return
        for cell in self.cells:
            yield MetricValues(cell.column, cell.row, read_ahead) if isinstance(cell, MetricValues) else cell

    def _slice(self, rows: Rows) -> "MetricArray":
        # pandas slices a column to form groups: the slices share one read-ahead.
        part = super()._slice(rows)
        part._read_ahead = self._shared_read_ahead()  # noqa: SLF001 - of our own class
        return part

    def _like(self, cells: Objects) -> "MetricArray":
        part = MetricArray(cells)
        part._read_ahead = self._shared_read_ahead() if cells.base is not None else None
        return part

    def _shared_read_ahead(self) -> ReadAhead:
        if self._read_ahead is None:
            self._read_ahead = ReadAhead(self._each)
        return self._read_ahead

    @classmethod
    def _are_same(cls, a: Any, b: Any) -> bool:
        return super()._are_same(a, b) or str(a) == str(b)  # as NaN is in pandas

    def load(self) -> "MetricArray":
        """Load all values at once, and return the column itself."""
        if self.source is None:
            load_cells(self.cells)
        else:
            column, rows = self.source
            column.load(rows[rows >= 0])
        return self

    def runs(self) -> list[Any]:
        """Return the values of each run as a read-only array or a list; None for a run without any."""
        self.load()
        if self.source is None:
            return [None if is_missing(cell) else cell.loaded for cell in self.cells]
        column, rows = self.source
        return [None if row < 0 else column.values(row) for row in rows.tolist()]

    def record_numbers(self) -> list[npt.NDArray[np.int64] | None]:
        """Return the record numbers of each run's values; None if these are 0, 1, 2, ... or there are none."""
        self.load()
        if self.source is None:
            return [None if is_missing(cell) else cell.column.record_numbers(cell.row) for cell in self.cells]
        column, rows = self.source
        return [column.record_numbers(row) for row in rows.tolist()]

    def times(self) -> list[Times | None]:
        """Return when each record of each run was logged, in seconds since the run started; None if nobody knows."""
        if self.source is None:
            return [None if is_missing(cell) else cell.column.times(cell.row) for cell in self.cells]
        column, rows = self.source
        return [None if row < 0 else column.times(row) for row in rows.tolist()]

    def __reduce__(self) -> Any:
        return MetricArray, (self.load().cells,)

    @classmethod
    def _cell(cls, value: Any) -> Any:
        if cls._is_one_cell(value) and is_missing(value):
            return np.nan
        if isinstance(value, MetricValues):
            return value
        if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes):
            return MetricValues.of(value)
        raise TypeError(f"a cell of a metric column is a sequence of values, not {value!r}")

    @classmethod
    def _is_one_cell(cls, value: Any) -> bool:
        return isinstance(value, MetricValues) or super()._is_one_cell(value)

    @classmethod
    def _fits(cls, values: list[Any]) -> bool:
        return bool(values) and all(isinstance(value, MetricValues) for value in values)

    def _formatter(self, boxed: bool = False) -> Callable[[Any], str]:  # noqa: ARG002
        return lambda cell: str(cell) if is_missing(cell) else shortened(cell) if cell.is_loaded else "METRIC"

    @classmethod
    def _sort_key(cls, cell: MetricValues) -> Any:
        return tuple(cell.tolist())

    def _values_for_factorize(self) -> tuple[Objects, float]:
        return self.load().cells, np.nan

    def _reduce(self, name: str, *, skipna: bool = True, keepdims: bool = False, **kwargs: Any) -> Any:
        """Return one value per step: ``numpy.mean(column, axis=0)``, for example, is the mean curve of the runs."""
        if name == "count":  # of runs that have the metric
            return super()._reduce(name, skipna=skipna, keepdims=keepdims, **kwargs)
        if name not in _OVER_RUNS or keepdims:
            raise TypeError(f"a column of metrics does not support operation '{name}'; column.metric has statistics")
        runs = [np.asarray(values) for values in self.runs() if values is not None or not skipna]
        lengths = {len(values) if values.ndim else 0 for values in runs}
        if len(lengths) != 1:
            told = f"from {min(lengths)} to {max(lengths)} values" if lengths else "no values"
            raise TypeError(f"a column of metrics does not support operation '{name}' here: the runs have {told} each")
        return np.asarray(_OVER_RUNS[name](np.stack(runs), axis=0, **kwargs))

    def _explode(self) -> tuple[Any, npt.NDArray[np.uint64]]:
        cells = [[cell] if is_missing(cell) else cell.tolist() or [np.nan] for cell in self.load()]
        flat = pd.Series([value for cell in cells for value in cell])
        counts = np.array([len(cell) for cell in cells], dtype=np.uint64)
        return flat.array if not isinstance(flat.dtype, np.dtype) else flat.to_numpy(), counts

    def memory_usage(self, deep: bool = False) -> int:  # noqa: ARG002 - loaded values belong to the reader
        """Return the size in bytes of the references to the values."""
        return self.nbytes

    def to_plain(self) -> Objects:
        """Return the values of each run: numbers as read-only arrays that share memory, anything else as lists."""
        return objects([np.nan if values is None else values for values in self.runs()])

    def _values_for_json(self) -> Objects:
        return objects([cell if is_missing(cell) else cell.tolist() for cell in self.load().cells])

    def __arrow_array__(self, type: pa.DataType | None = None) -> pa.Array:  # noqa: A002 - Arrow's name
        cells = self.runs()
        kinds = {cell.dtype if isinstance(cell, np.ndarray) else object for cell in cells if cell is not None}
        if kinds <= {np.dtype(np.int64), np.dtype(np.float64)}:
            return pa.array(cells, type=pa.list_(pa.int64() if kinds == {np.dtype(np.int64)} else pa.float64()))
        from mlxp_reader.records.encoding import to_text

        texts = [None if is_missing(cell) else to_text(cell.tolist()) for cell in self.cells]
        return pa.array(texts, type=pa.string())


MetricDtype.array_type = MetricArray
register("metric")
