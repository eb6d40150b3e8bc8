"""Columns of metrics: pandas arrays whose cells are loaded when somebody looks into them.

A cell is a sequence that knows *where* its values are. Operations of pandas that only move cells around load nothing,
in a plain `pandas.DataFrame` too; what is loaded of a column is recorded in the `MetricColumn` that its cells share.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pandas.api.extensions import register_extension_dtype

from mlxp_reader.cells import CellArray, CellDtype, Objects, is_missing, objects

__all__ = ["MetricArray", "MetricColumn", "MetricDtype", "MetricValues"]

Values = npt.NDArray[Any] | list[Any]
"""The values of one metric in one run: a read-only array of integers, floats or booleans, or a list of anything."""

_READ_AHEAD = 8
"""By how much more is loaded each time that cells are looked at one after the other."""


class MetricColumn:
    """The values of one metric in all runs of a reader, loaded once, where touched.

    Parameters
    ----------
    load
        Returns the values for an ascending array of rows.
    """

    def __init__(self, name: str, rows: int, load: Callable[[npt.NDArray[np.intp]], Sequence[Values]]) -> None:
        self.name = name
        self.records: dict[int, npt.NDArray[np.int64]] = {}
        """For each loaded row whose values are not those of records 0, 1, 2, ...: the number of each value's record."""
        self._load = load
        self._values: Objects = np.empty(rows, dtype=object)
        self._loaded = np.zeros(rows, dtype=np.bool_)
        self._lock = threading.RLock()

    def is_loaded(self, row: int) -> bool:
        """Tell whether the values of `row` are in memory."""
        return bool(self._loaded[row])

    @property
    def loaded(self) -> int:
        """How many rows are in memory."""
        return int(np.count_nonzero(self._loaded))

    def record_numbers(self, row: int) -> npt.NDArray[np.int64] | None:
        """Return the number of the record that holds each value of a loaded `row`; None stands for 0, 1, 2, ..."""
        return self.records.get(row)

    def values(self, row: int) -> Values:
        """Return the values of `row`."""
        if not self._loaded[row]:
            self.load([row])
        values: Values = self._values[row]
        return values

    def load(self, rows: Sequence[int]) -> None:
        """Load those of `rows` that are not in memory yet."""
        with self._lock:
            wanted = np.unique(np.asarray(rows, dtype=np.intp))
            missing = wanted[~self._loaded[wanted]]
            if len(missing):
                for row, values in zip(missing, self._load(missing), strict=True):
                    self._values[row] = values
                self._loaded[missing] = True


class _Given:
    """Values that a user puts into a column."""

    def __init__(self, values: Values) -> None:
        self._given = values

    def is_loaded(self, row: int) -> bool:  # noqa: ARG002 - there is one row only
        return True

    def values(self, row: int) -> Values:  # noqa: ARG002
        return self._given

    def record_numbers(self, row: int) -> None:  # noqa: ARG002
        return None


class MetricValues(Sequence[Any]):
    """The values of one metric in one run, loaded on first use; equal to the list of them.

    ``numpy.asarray`` gives them as a read-only array, `tolist` as a list of Python's numbers.

    Examples
    --------
    >>> values = MetricValues.of([0.5, 0.25])
    >>> values[-1], len(values), values == [0.5, 0.25]
    (0.25, 2, True)
    """

    __slots__ = ("_batch", "column", "row")

    def __init__(self, column: MetricColumn | _Given, row: int, batch: "_Batch | None" = None) -> None:
        self.column = column
        self.row = row
        self._batch = batch

    @classmethod
    def of(cls, values: Any) -> "MetricValues":
        """Return a cell that holds `values`."""
        return values if isinstance(values, cls) else cls(_Given(_as_values(values)), 0)

    @property
    def is_loaded(self) -> bool:
        """Whether the values are in memory."""
        return self.column.is_loaded(self.row)

    @property
    def loaded(self) -> Values:
        """The values, as a read-only array if they are numbers of one kind, else as a list."""
        if self._batch is not None and not self.is_loaded:
            self._batch.load(self)
        return self.column.values(self.row)

    @property
    def record_numbers(self) -> npt.NDArray[np.int64] | None:
        """The number of the record in the metrics file that holds each of the loaded values; None for 0, 1, 2, ..."""
        return self.column.record_numbers(self.row)

    def tolist(self) -> list[Any]:
        """Return the values as a list of Python's numbers."""
        values = self.loaded
        return values.tolist() if isinstance(values, np.ndarray) else list(values)

    def __len__(self) -> int:
        return len(self.loaded)

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> list[Any]: ...
    def __getitem__(self, at: Any) -> Any:
        found = self.loaded[at]
        return found.tolist() if isinstance(found, np.ndarray | np.generic) else found

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        array = np.asarray(self.loaded, dtype=dtype)
        return array.copy() if copy else array

    def __eq__(self, other: object) -> bool:
        if isinstance(other, MetricValues):
            return self._is(other) or self.tolist() == other.tolist()
        return self.tolist() == list(other) if isinstance(other, list | tuple | np.ndarray) else NotImplemented

    def _is(self, other: "MetricValues") -> bool:
        return self.column is other.column and self.row == other.row

    def __hash__(self) -> int:
        return hash(tuple(self.tolist()))

    def __copy__(self) -> "MetricValues":
        return self

    def __deepcopy__(self, memo: Any) -> "MetricValues":
        return self  # it cannot be changed

    def __reduce__(self) -> Any:
        return _unpickled, (self.loaded,)

    def __str__(self) -> str:
        return str(self.tolist())

    def __repr__(self) -> str:
        return repr(self.tolist())

    def __format__(self, spec: str) -> str:
        # What tabulate, and with it DataFrame.to_markdown, puts into a table.
        return format(_shortened(self), spec)


def _unpickled(values: Values) -> MetricValues:
    return MetricValues.of(values)


def _as_values(values: Any) -> Values:
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "bif":
        array: npt.NDArray[Any] = values.view()
    else:
        values = list(values)
        kinds = set(map(type, values))
        if not kinds or not kinds <= {int, float} or (kinds == {int} and any(abs(value) >= 2**63 for value in values)):
            return list(values)
        array = np.array(values, dtype=np.int64 if kinds == {int} else np.float64)
    array.flags.writeable = False
    return array


def _shortened(cell: MetricValues) -> str:
    shown = [f"{value:.6g}" if isinstance(value, float) else str(value) for value in cell[:3]]
    return f"[{', '.join(shown)}{', ...' if len(cell) > 3 else ''}]"


class _Batch:
    """Cells that are likely to be looked at one after the other: ever more of them are loaded at once."""

    def __init__(self, cells: Objects) -> None:
        self.cells = cells
        self._ahead = 1

    def load(self, cell: MetricValues) -> None:
        cells = [cell]
        for other in self.cells if self._ahead > 1 else ():
            if len(cells) == self._ahead:
                break
            if isinstance(other, MetricValues) and not other.is_loaded:
                cells.append(other)
        self._ahead *= _READ_AHEAD
        load_cells(cells)


def load_cells(cells: Sequence[Any] | Objects) -> None:
    """Load what is missing of `cells`, each column's in one go."""
    rows: dict[MetricColumn, list[int]] = {}
    for cell in cells:
        if isinstance(cell, MetricValues) and isinstance(cell.column, MetricColumn):
            rows.setdefault(cell.column, []).append(cell.row)
    for column, of_column in rows.items():
        column.load(of_column)


@register_extension_dtype
class MetricDtype(CellDtype):
    """The type of a column of metrics."""

    name = "metric"
    type = MetricValues

    @staticmethod
    def __from_arrow__(array: pa.Array | pa.ChunkedArray) -> "MetricArray":
        chunks = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
        return MetricArray.of([cell for chunk in chunks for cell in _cells_of_arrow(chunk)])


def _cells_of_arrow(array: pa.Array) -> list[Any]:
    if pa.types.is_string(array.type):
        from mlxp_reader.encoding import from_text

        return [np.nan if text is None else from_text(text) for text in array.to_pylist()]
    return [np.nan if values is None else values for values in array.to_numpy(zero_copy_only=False)]


class MetricArray(CellArray):
    """A column of metrics, one sequence of values per run; NaN where a run does not have the metric."""

    _cell_dtype = MetricDtype()

    def __init__(self, cells: Objects, batch: _Batch | None = None) -> None:
        super().__init__(cells)
        self._batch = batch

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

    def isna(self) -> npt.NDArray[np.bool_]:
        """Tell for each run whether it lacks the metric; nothing is loaded."""
        return np.fromiter((type(cell) is float for cell in self.cells), np.bool_, len(self.cells))

    def load(self) -> "MetricArray":
        """Load all cells at once, and return the column itself."""
        load_cells(self.cells)
        return self

    def _like(self, cells: Objects) -> "MetricArray":
        # pandas cuts a column into groups by slices: those look ahead together.
        return MetricArray(cells, self._shared_batch()) if cells.base is not None else MetricArray(cells)

    def _shared_batch(self) -> _Batch:
        if self._batch is None:
            self._batch = _Batch(self.cells)
        return self._batch

    def __iter__(self) -> Iterator[Any]:
        batch = self._shared_batch()
        for cell in self.cells:
            is_proxy = isinstance(cell, MetricValues)
            yield MetricValues(cell.column, cell.row, batch) if is_proxy else cell

    def _formatter(self, boxed: bool = False) -> Callable[[Any], str]:  # noqa: ARG002
        return lambda cell: str(cell) if is_missing(cell) else _shortened(cell) if cell.is_loaded else "METRIC"

    @classmethod
    def _sort_key(cls, cell: MetricValues) -> Any:
        return tuple(cell.tolist())

    def _values_for_factorize(self) -> tuple[Objects, float]:
        return self.load().cells, np.nan

    def _explode(self) -> tuple[Any, npt.NDArray[np.uint64]]:
        cells = [[cell] if is_missing(cell) else cell.tolist() or [np.nan] for cell in self.load()]
        flat = pd.Series([value for cell in cells for value in cell])
        counts = np.array([len(cell) for cell in cells], dtype=np.uint64)
        return flat.array if not isinstance(flat.dtype, np.dtype) else flat.to_numpy(), counts

    def memory_usage(self, deep: bool = False) -> int:  # noqa: ARG002 - what is loaded belongs to the reader
        """Return the bytes of the references to the values."""
        return self.nbytes

    def to_lists(self) -> Objects:
        """Return the cells as Python's lists, for a plain column of objects."""
        return objects([cell if is_missing(cell) else cell.tolist() for cell in self.load()])

    def _values_for_json(self) -> Objects:
        return self.to_lists()

    def __arrow_array__(self, type: pa.DataType | None = None) -> pa.Array:  # noqa: A002 - Arrow's name
        cells = [None if is_missing(cell) else cell.loaded for cell in self.load()]
        kinds = {cell.dtype if isinstance(cell, np.ndarray) else object for cell in cells if cell is not None}
        if kinds <= {np.dtype(np.int64), np.dtype(np.float64)}:
            return pa.array(cells, type=pa.list_(pa.int64() if kinds == {np.dtype(np.int64)} else pa.float64()))
        from mlxp_reader.encoding import to_text

        return pa.array([None if cell is None else to_text(list(cell)) for cell in cells], type=pa.string())


MetricDtype.array_type = MetricArray
