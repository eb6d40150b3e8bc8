"""Settings: the different values, and combinations of values, that occur among runs.

A value is itself, not its text: 1000000.0 and 1000001.0 are two values, and so are 1 and ``True``. None, NaN and what
is missing are values, too, which come last.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlxp_reader.columns.mixed import MixedDtype
from mlxp_reader.columns.runs import Runs

Codes = npt.NDArray[np.intp]

_NUMBER, _BOOL, _TEXT, _LIST, _OTHER, _NOTHING = range(6)


def rank(value: Any) -> tuple[int, Any]:  # noqa: PLR0911 - a table of kinds
    """Return what is the same for equal values, different for others, and sorts values of any kind.

    Examples
    --------
    >>> sorted(["b", None, 10, True, 2.0, "a"], key=rank)
    [2.0, 10, True, 'a', 'b', None]
    """
    if value is None:
        return _NOTHING, 0
    if value is pd.NA or value is pd.NaT:
        return _NOTHING, 2
    if isinstance(value, bool | np.bool_):
        return _BOOL, bool(value)
    if isinstance(value, int | float | np.number):
        return (_NOTHING, 1) if value != value else (_NUMBER, value)  # noqa: PLR0124 - NaN
    if isinstance(value, str):
        return _TEXT, value
    if isinstance(value, list | tuple):
        return _LIST, tuple(map(rank, value))
    return _OTHER, str(value)


def codes(column: "pd.Series[Any]") -> tuple[Codes, list[Any]]:
    """Return the number of each run's value among the different ones, and these in their order.

    Examples
    --------
    >>> numbers, values = codes(pd.Series([0.5, None, 0.1, 0.5], dtype=object))
    >>> numbers.tolist(), values
    ([1, 2, 0, 1], [0.1, 0.5, None])
    """
    if isinstance(column.dtype, MixedDtype | pd.CategoricalDtype) or column.dtype == object:
        ranks = list(map(rank, column.tolist()))
        different = dict(zip(ranks, column.tolist(), strict=True))
        places = {one: at for at, one in enumerate(sorted(different))}
        return np.array([places[one] for one in ranks], dtype=np.intp), [different[one] for one in places]
    numbers, values = pd.factorize(column, sort=True)
    there = [value.item() if isinstance(value, np.generic) else value for value in values]
    if (missing := numbers < 0).any():
        numbers = np.where(missing, len(there), numbers)
        there.append(column[missing].iloc[0])
    return numbers.astype(np.intp), there


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


def group_numbers(frame: Runs | pd.DataFrame, keys: Sequence[str]) -> Codes:
    """Return for each run the number of its combination of the values of some keys."""
    return numbered([codes(frame[key])[0] for key in keys], len(frame))


def varies_within(groups: Codes, column: Codes) -> bool:
    """Tell whether any of some groups has several values in a column."""
    return bool(len(np.unique(numbered([groups, column], len(groups)))) > len(np.unique(groups)))


def varies(column: "pd.Series[Any]") -> bool:
    """Tell whether a column has several values.

    Examples
    --------
    >>> varies(pd.Series([1, True], dtype="mixed")), varies(pd.Series([None, None], dtype="mixed"))
    (True, False)
    """
    if not isinstance(column.dtype, MixedDtype) and column.dtype != object:
        numbers, _ = pd.factorize(column, use_na_sentinel=True)
        return len(numbers) > 0 and bool((numbers != numbers[0]).any())
    values = iter(column.array)
    first = next(values, None)
    # Runs that have the same value mostly share it.
    return any(value is not first and rank(value) != rank(first) for value in values)
