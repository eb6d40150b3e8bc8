"""One number per run from its values of a metric: the last, the smallest, ... of all runs at once.

``min``, ``max``, ``mean``, ``argmin`` and ``argmax`` pass over NaN, like numpy's ``nanmin``, and over what is no
number; of nothing but NaN, the first three are NaN. ``argmin`` and ``argmax`` are places among the run's values, and
``count`` counts all of them. A run without values, or for which a statistic makes no sense, is masked in the result.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mlxp.errors import InvalidKeyError
from mlxp_reader.lists import Column, Lists
from mlxp_reader.names import STATISTICS

__all__ = ["statistic"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Result = tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]
"""A value per list, and whether there is one."""


def statistic(column: Column, name: str) -> np.ma.MaskedArray[Any, Any]:
    """Return the statistic `name` of each run's values, masked where there is none.

    Integers, floats and booleans give an array of their type, integers and floats one of floats, and anything else one
    of objects.

    Raises
    ------
    InvalidKeyError
        If there is no such statistic.

    Examples
    --------
    >>> lists = Lists.of("float", np.array([2, -1]), [np.array([0.5, 0.25])])
    >>> column = Column((lists,), np.array([0, -1]), np.array([0, 0]))
    >>> statistic(column, "last").tolist()
    [0.25, None]
    """
    if name not in STATISTICS:
        raise InvalidKeyError(f"there is no statistic '{name}'; the statistics are {', '.join(STATISTICS)}")
    runs_of: list[Integers] = []
    found: list[npt.NDArray[Any]] = []
    for number, lists in enumerate(column.parts):
        runs = np.flatnonzero(column.part == number)
        values, present = _of_lists(lists, name)
        rows = column.row[runs]
        runs_of.append(runs[present[rows]])
        found.append(values[rows[present[rows]]])
    values = np.zeros(len(column), dtype=_common_type(found))
    mask = np.ones(len(column), dtype=np.bool_)
    for runs, some in zip(runs_of, found, strict=True):
        values[runs] = some
        mask[runs] = False
    return np.ma.MaskedArray(values, mask)


def _common_type(arrays: Sequence[npt.NDArray[Any]]) -> np.dtype[Any]:
    types = {array.dtype for array in arrays if len(array)}
    if len(types) == 1:
        return types.pop()
    if not types:
        return np.dtype(np.float64)
    is_exact = all(array.dtype.kind == "f" or (array.dtype.kind == "i" and _is_small(array)) for array in arrays)
    return np.dtype(np.float64 if is_exact else object)


def _is_small(integers: npt.NDArray[Any]) -> bool:
    return bool((np.abs(integers) <= 2**53).all())


def _of_lists(lists: Lists, name: str) -> Result:
    counts = np.diff(lists.offsets)
    if name == "count":
        return counts, counts > 0
    filled = np.flatnonzero(counts)
    if not isinstance(lists.values, np.ndarray):
        return _one_by_one(lists, filled, name)
    values, present = _of_numbers(lists.values, lists.offsets[filled], counts[filled], name)
    results = np.zeros(len(lists), dtype=values.dtype)
    is_present = np.zeros(len(lists), dtype=np.bool_)
    results[filled], is_present[filled] = values, present
    return results, is_present


def _of_numbers(values: npt.NDArray[Any], starts: Integers, counts: Integers, name: str) -> Result:
    """Return the statistic of the slices of `values` from `starts` on, which follow each other and are not empty."""
    if not len(starts):
        return np.empty(0, values.dtype), np.empty(0, np.bool_)
    always = np.ones(len(starts), dtype=np.bool_)
    if name == "first":
        return values[starts], always
    if name == "last":
        return values[starts + counts - 1], always
    if name == "mean":
        return _means(values, starts, counts), always
    best = (np.fmin if name.endswith("min") else np.fmax).reduceat(values, starts)
    return (best, always) if name in ("min", "max") else _places(values == np.repeat(best, counts), starts)


def _means(values: npt.NDArray[Any], starts: Integers, counts: Integers) -> Floats:
    floats = values.astype(np.float64, copy=False)
    is_nan = np.isnan(floats)
    with np.errstate(invalid="ignore", over="ignore"):  # infinity less infinity, and nothing but NaN
        if not is_nan.any():
            return np.asarray(np.add.reduceat(floats, starts) / counts)
        numbers = counts - np.add.reduceat(is_nan, starts, dtype=np.int64)
        return np.asarray(np.add.reduceat(np.where(is_nan, 0.0, floats), starts) / numbers)


def _places(is_best: npt.NDArray[np.bool_], starts: Integers) -> Result:
    """Return for each slice the place of its first best value; there is none if it holds nothing but NaN."""
    found = np.flatnonzero(is_best)
    slices, first = np.unique(np.searchsorted(starts, found, side="right") - 1, return_index=True)
    places, present = np.zeros(len(starts), dtype=np.int64), np.zeros(len(starts), dtype=np.bool_)
    places[slices], present[slices] = found[first] - starts[slices], True
    return places, present


def _one_by_one(lists: Lists, filled: Integers, name: str) -> Result:
    results, present = np.empty(len(lists), dtype=object), np.zeros(len(lists), dtype=np.bool_)
    for row in filled.tolist():
        cell = list(lists.cell(row))
        if name in ("first", "last"):
            results[row], present[row] = cell[0 if name == "first" else -1], True
        elif places := [place for place, value in enumerate(cell) if isinstance(value, int | float)]:
            results[row] = _SLOW[name](cell, places)
            present[row] = results[row] is not None
    return results, present


def _place_of(best: Callable[..., Any]) -> Callable[[list[Any], list[int]], int | None]:
    def place(cell: list[Any], places: list[int]) -> int | None:
        numbers = [place for place in places if not math.isnan(cell[place])]
        return best(numbers, key=cell.__getitem__) if numbers else None

    return place


def _value_of(best: Callable[..., Any]) -> Callable[[list[Any], list[int]], Any]:
    def value(cell: list[Any], places: list[int]) -> Any:
        place = _place_of(best)(cell, places)
        return math.nan if place is None else cell[place]

    return value


def _mean(cell: list[Any], places: list[int]) -> float:
    numbers = [cell[place] for place in places if not math.isnan(cell[place])]
    return sum(numbers) / len(numbers) if numbers else math.nan


_SLOW: dict[str, Callable[[list[Any], list[int]], Any]] = {
    "min": _value_of(min),
    "max": _value_of(max),
    "mean": _mean,
    "argmin": _place_of(min),
    "argmax": _place_of(max),
}
