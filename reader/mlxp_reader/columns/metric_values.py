"""The values of metrics: loaded the first time that somebody looks into them, then shared.

`MetricValues` is what a user holds: a sequence that knows where its values are. The values of all runs share a
`MetricColumn`, which keeps what is loaded. Nothing here depends on pandas.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

RunValues = npt.NDArray[Any] | list[Any]
"""The values of one metric in one run: a read-only array of integers, floats or booleans, or a list of anything."""

Times = npt.NDArray[np.float64]

_READ_AHEAD = 512
"""The factor by which each load grows when cells are looked at one after the other."""


class MetricColumn:
    """The values of one metric in all runs of a reader; each run's values are loaded once, when touched.

    Parameters
    ----------
    load
        A function that returns the values of a metric for an ascending array of rows.
    times
        A function that returns when each record of a metric was logged in a row, in seconds, or None.
    """

    def __init__(
        self,
        name: str,
        rows: int,
        load: Callable[[str, npt.NDArray[np.intp]], Sequence[RunValues]],
        times: Callable[[str, int], Times | None] = lambda _, __: None,
    ) -> None:
        self.name = name
        self._times = times
        self.records: dict[int, npt.NDArray[np.int64]] = {}
        """The number of each value's record, for each loaded row where these are not simply 0, 1, 2, ..."""
        self._load = load
        self._values: npt.NDArray[np.object_] = np.empty(rows, dtype=object)
        self._loaded = bytearray(rows)
        self._lock = threading.RLock()

    def is_loaded(self, row: int) -> bool:
        """Tell whether the values of `row` are in memory."""
        return bool(self._loaded[row])

    @property
    def loaded(self) -> int:
        """How many rows are in memory."""
        return sum(self._loaded)

    def cell(self, row: int) -> "MetricValues":
        """Return the values of `row` without loading them."""
        return MetricValues(self, row)

    def values(self, row: int) -> RunValues:
        """Return the values of `row`."""
        if not self._loaded[row]:
            self.load([row])
        values: RunValues = self._values[row]
        return values

    def times(self, row: int) -> Times | None:
        """Return when each record of `row` was logged, in seconds since the run started, or None."""
        return self._times(self.name, row)

    def record_numbers(self, row: int) -> npt.NDArray[np.int64] | None:
        """Return the number of the record that holds each value of a loaded `row`; None stands for 0, 1, 2, ..."""
        return self.records.get(row)

    def load(self, rows: Sequence[int] | npt.NDArray[np.intp]) -> None:
        """Load those of `rows` that are not in memory yet."""
        with self._lock:
            wanted = np.unique(np.asarray(rows, dtype=np.intp))
            missing = wanted[np.frombuffer(self._loaded, dtype=np.bool_)[wanted] == 0]
            if len(missing):
                for row, values in zip(missing, self._load(self.name, missing), strict=True):
                    # The run lists the metric but has no value of it: nothing was logged yet, or the file is lost.
                    self._values[row] = _NOTHING if values is None else values
                    self._loaded[row] = True


_NOTHING = np.empty(0, dtype=np.float64)
_NOTHING.flags.writeable = False


class _Given:
    """Values that a user puts into a column."""

    def __init__(self, values: RunValues) -> None:
        self._given = values

    def is_loaded(self, row: int) -> bool:  # noqa: ARG002 - there is one row only
        return True

    def values(self, row: int) -> RunValues:  # noqa: ARG002
        return self._given

    def record_numbers(self, row: int) -> None:  # noqa: ARG002 - nobody knows
        return None

    def times(self, row: int) -> None:  # noqa: ARG002 - as above
        return None


class MetricValues(Sequence[Any]):
    """The values of one metric in one run, loaded on first use; they compare equal to a list of the same values.

    ``numpy.asarray`` returns them as a read-only array, and `tolist` as a list of Python numbers.

    Examples
    --------
    >>> values = MetricValues.of([0.5, 0.25])
    >>> values[-1], len(values), values == [0.5, 0.25]
    (0.25, 2, True)
    """

    __slots__ = ("_read_ahead", "column", "row")

    def __init__(self, column: MetricColumn | _Given, row: int, read_ahead: "ReadAhead | None" = None) -> None:
        self.column = column
        self.row = row
        self._read_ahead = read_ahead

    @classmethod
    def of(cls, values: Any) -> "MetricValues":
        """Return a cell that holds `values`."""
        return values if isinstance(values, cls) else cls(_Given(_as_values(values)), 0)

    @property
    def is_loaded(self) -> bool:
        """Whether the values are in memory."""
        return self.column.is_loaded(self.row)

    @property
    def loaded(self) -> RunValues:
        """The values, as a read-only array if they are numbers of one kind, else as a list."""
        if self._read_ahead is not None:
            if not self.column.is_loaded(self.row):
                self._read_ahead.load(self)
            self._read_ahead = None  # no longer needed
        return self.column.values(self.row)

    def copy(self) -> list[Any]:
        """Return the values as a list, which can be changed."""
        return self.tolist()

    def _computed(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return getattr(np.asarray(self), name)(*args, **kwargs)

    def mean(self, *args: Any, **kwargs: Any) -> Any:
        """Return the mean of the values, as a numpy array would; see also ``column.metric.mean()``."""
        return self._computed("mean", args, kwargs)

    def std(self, *args: Any, **kwargs: Any) -> Any:
        """Return the standard deviation of the values, as a numpy array would."""
        return self._computed("std", args, kwargs)

    def min(self, *args: Any, **kwargs: Any) -> Any:
        """Return the lowest value, as a numpy array would."""
        return self._computed("min", args, kwargs)

    def max(self, *args: Any, **kwargs: Any) -> Any:
        """Return the highest value, as a numpy array would."""
        return self._computed("max", args, kwargs)

    def sum(self, *args: Any, **kwargs: Any) -> Any:
        """Return the sum of the values, as a numpy array would."""
        return self._computed("sum", args, kwargs)

    def tolist(self) -> list[Any]:
        """Return the values as a list of Python numbers."""
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

    def _refuse(self, *others: object) -> Any:
        # A list and an array would give different answers, and nobody could tell which it was.
        if any(isinstance(other, np.ndarray) for other in others):
            return NotImplemented  # which computes with these as an array does
        raise TypeError(
            "the values of a metric cannot be added, multiplied or ordered as they are, since a list and an array "
            "would give different results; write numpy.asarray(values), or values.tolist() for a list; of several runs,"
            " numpy.stack(column) makes a table"
        )

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = _refuse
    __neg__ = __pos__ = __abs__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse

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
        # tabulate, and so DataFrame.to_markdown, puts this into a table.
        return format(shortened(self), spec)


def _unpickled(values: RunValues) -> MetricValues:
    return MetricValues.of(values)


def _as_values(values: Any) -> RunValues:
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


def shortened(cell: MetricValues) -> str:
    """Return the first few values as text."""
    shown = [f"{value:.6g}" if isinstance(value, float) else str(value) for value in cell[:3]]
    return f"[{', '.join(shown)}{', ...' if len(cell) > 3 else ''}]"


class ReadAhead:
    """Cells that are likely to be looked at one after the other; each load takes in more of them than the last.

    Parameters
    ----------
    cells
        A function that returns all of them; anything that is not a cell stands for a run without the metric.
    """

    def __init__(self, cells: Callable[[], Iterable[Any]]) -> None:
        self._cells = cells
        self._ahead = 1

    def load(self, cell: MetricValues) -> None:
        """Load `cell`, and some of the others if it is not the first."""
        cells = [cell]
        for other in self._cells() if self._ahead > 1 else ():
            if len(cells) == self._ahead:
                break
            if isinstance(other, MetricValues) and not other.is_loaded:
                cells.append(other)
        self._ahead *= _READ_AHEAD
        load_cells(cells)


def load_cells(cells: Iterable[Any]) -> None:
    """Load those of `cells` that are not loaded yet, all of one column at once."""
    rows: dict[MetricColumn, list[int]] = {}
    for cell in cells:
        if isinstance(cell, MetricValues) and isinstance(cell.column, MetricColumn):
            rows.setdefault(cell.column, []).append(cell.row)
    for column, of_column in rows.items():
        column.load(of_column)
