"""The settings of runs: the different values, and combinations of values, that occur among runs.

Values are compared as they are, not by their texts: 1000000.0 and 1000001.0 are two values, and so are 1 and ``True``.
None, NaN and missing values are values, too, and come last.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlxp_reader.columns.cells import CellArray
from mlxp_reader.columns.missing import NOTHING, THERE, kind_of, kinds_of
from mlxp_reader.columns.mixed import MixedDtype
from mlxp_reader.columns.runs import Runs

Codes = npt.NDArray[np.intp]

_NUMBER, _BOOL, _TEXT, _LIST, _OTHER, _NOTHING = range(6)


def rank(value: Any) -> tuple[int, Any]:
    """Return a sort key for values of any kind, which is the same for equal values and different for others.

    Examples
    --------
    >>> sorted(["b", None, 10, True, 2.0, "a"], key=rank)
    [2.0, 10, True, 'a', 'b', None]
    """
    if value is None or value is pd.NA or value is pd.NaT:
        return _NOTHING, kind_of(value)
    if isinstance(value, bool | np.bool_):
        return _BOOL, bool(value)
    if isinstance(value, int | float | np.number):
        return (_NOTHING, kind_of(value)) if value != value else (_NUMBER, value)  # noqa: PLR0124 - NaN
    if isinstance(value, str):
        return _TEXT, value
    if isinstance(value, list | tuple):
        return _LIST, tuple(map(rank, value))
    return _OTHER, str(value)


def codes(column: "pd.Series[Any]") -> tuple[Codes, list[Any]]:
    """Return the number of each run's value among the different ones, and the different ones in order.

    Examples
    --------
    >>> numbers, values = codes(pd.Series([0.5, None, 0.1, 0.5], dtype=object))
    >>> numbers.tolist(), values
    ([1, 2, 0, 1], [0.1, 0.5, None])
    """
    if isinstance(column.dtype, MixedDtype | pd.CategoricalDtype) or column.dtype == object:
        return _codes_of_cells(_cells(column))
    numbers, values = pd.factorize(column, sort=True)
    there = [value.item() if isinstance(value, np.generic) else value for value in values]
    if (numbers < 0).any():
        kinds = kinds_of(column)
        for kind in np.unique(kinds[kinds != THERE]).tolist():
            numbers = np.where(kinds == kind, len(there), numbers)
            there.append(NOTHING[kind])
    return numbers.astype(np.intp), there


def _cells(column: "pd.Series[Any]") -> Sequence[Any]:
    return column.array.cells.tolist() if isinstance(column.array, CellArray) else column.tolist()


def _codes_of_cells(cells: Sequence[Any]) -> tuple[Codes, list[Any]]:
    ranks: dict[Any, Any] = {}  # by kind and value, since most cells are equal to one before
    found = []
    for cell in cells:
        try:
            one = ranks.get(key := (cell.__class__, cell))
        except TypeError:  # a list that can be changed
            one, key = None, (list, id(cell))
        if one is None:
            one = ranks[key] = rank(cell)
        found.append(one)
    different = dict(zip(found, cells, strict=True))
    places = {one: at for at, one in enumerate(sorted(different))}
    return np.array([places[one] for one in found], dtype=np.intp), [different[one] for one in places]


def numbered(columns: Sequence[Codes], length: int) -> Codes:
    """Return the number of the combination of each of `length` runs, in the order of the columns' codes.

    Examples
    --------
    >>> numbered([np.array([1, 0, 1]), np.array([0, 5, 0])], 3).tolist()
    [1, 0, 1]
    """
    number = np.zeros(length, dtype=np.intp)
    for column in columns:
        number = np.unique(number * (1 + column.max(initial=0)) + column, return_inverse=True)[1].astype(np.intp)
    return number


class RunSettings:
    """The settings of some runs: which of them have which values, each column looked through once.

    Examples
    --------
    >>> settings = RunSettings(pd.DataFrame({"lr": [0.1, 0.1, 1.0], "depth": [2, 1, 1]}))
    >>> settings.groups(["lr", "depth"]).tolist(), settings.different("lr")
    ([1, 0, 2], [0.1, 1.0])
    """

    def __init__(self, frame: Runs | pd.DataFrame) -> None:
        self.frame = frame
        self._codes: dict[str, tuple[Codes, list[Any]]] = {}

    def _of(self, key: str) -> tuple[Codes, list[Any]]:
        if key not in self._codes:
            self._codes[key] = codes(self.frame[key])
        return self._codes[key]

    def codes(self, key: str) -> Codes:
        """Return the number of each run's value of a key among the different ones."""
        return self._of(key)[0]

    def different(self, key: str) -> list[Any]:
        """Return the different values of a key."""
        return self._of(key)[1]

    def values(self, key: str) -> list[Any]:
        """Return the value of each run; of equal ones, the same."""
        numbers, different = self._of(key)
        return [different[number] for number in numbers.tolist()]

    def groups(self, keys: Sequence[str]) -> Codes:
        """Return for each run the number of its combination of the values of some keys."""
        return numbered(list(map(self.codes, keys)), len(self.frame))

    def are_mixed(self, groups: Codes, key: str) -> bool:
        """Tell whether any of some groups has several values of a key."""
        both = numbered([groups, self.codes(key)], len(groups))
        return len(np.unique(both)) > len(np.unique(groups))


def group_numbers(frame: Runs | pd.DataFrame, keys: Sequence[str]) -> Codes:
    """Return for each run the number of its combination of the values of some keys."""
    return RunSettings(frame).groups(keys)


def varies(column: "pd.Series[Any]") -> bool:
    """Tell whether a column has several values.

    Examples
    --------
    >>> varies(pd.Series([1, True], dtype="mixed")), varies(pd.Series([None, None], dtype="mixed"))
    (True, False)
    """
    if not isinstance(column.dtype, MixedDtype) and column.dtype != object:
        numbers, _ = pd.factorize(column, use_na_sentinel=True)
        if len(numbers) and (numbers < 0).all():
            return len(np.unique(kinds_of(column))) > 1
        return len(numbers) > 0 and bool((numbers != numbers[0]).any())
    values = iter(_cells(column))
    first = next(values, None)
    # Runs that have the same value mostly share it.
    return any(value is not first and rank(value) != rank(first) for value in values)
