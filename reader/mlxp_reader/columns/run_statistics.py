"""Statistics of metrics over all runs at once, as pandas arrays; `mlxp_reader.query.statistics` lists them.

Most skip NaN, as everywhere in pandas: a run that diverged in the end still has a best value. ``last`` and ``first``
are the values as logged, and ``count`` is how many were logged.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlxp.errors import InvalidKeyError
from mlxp_reader.columns.mixed import MixedArray
from mlxp_reader.query.statistics import Statistic, listed, statistic_of

_Array = npt.NDArray[Any]


def statistic(name: str, runs: Sequence[Any], steps: Sequence[Any] | None = None) -> Any:
    """Return a statistic for each run, as a pandas array; it is missing where a run has no value for it.

    Parameters
    ----------
    name
        One of `STATISTICS`, or one with a number, such as ``at(100)``.
    runs
        The values of each run: an array of numbers, a list of anything, or None.
    steps
        The steps of these values, as arrays; by default their places, from 0.

    Raises
    ------
    InvalidKeyError
        If there is no statistic of that name.

    Examples
    --------
    >>> statistic("min", [np.array([3, 1, 2]), None]).tolist()
    [1, <NA>]
    """
    try:
        row = statistic_of(name)
    except ValueError as error:
        raise InvalidKeyError(str(error)) from None
    if row is None:
        raise InvalidKeyError(f"there is no statistic '{name}'; there are {listed('and')}")
    if name in {"last", "first"} and any(isinstance(values, list) for values in runs):
        return _ends_of_anything(runs, -1 if name == "last" else 0)
    arrays = [_numbers(values) for values in runs]
    lengths = np.array([len(array) for array in arrays], dtype=np.intp)
    missing = np.array([values is None for values in runs], dtype=np.bool_)
    if row.takes_steps:
        at = [_numbers(of_run) for of_run in steps] if steps is not None else [np.arange(len(one)) for one in arrays]
        row = replace(row, compute=_with_steps(row.compute, at))
    return _spread(row, arrays, lengths, missing)


def _with_steps(compute: Callable[..., _Array], steps: list[_Array]) -> Callable[..., _Array]:
    return lambda values, lengths: compute(values, lengths, np.concatenate([one for one in steps if len(one)]))


def _ends_of_anything(runs: Sequence[Any], at: int) -> MixedArray:
    ends = [pd.NA if values is None or not len(values) else values[at] for values in runs]
    return MixedArray.of([end.item() if isinstance(end, np.generic) else end for end in ends])


_NOTHING = np.zeros(0, dtype=np.int64)


def _numbers(values: Any) -> _Array:
    if values is None:
        return _NOTHING
    if isinstance(values, np.ndarray):
        return values.astype(np.int64) if values.dtype == np.bool_ else values
    # NaN keeps the places of values that are not numbers, since argmin and argmax count them.
    return np.array([value if isinstance(value, int | float) else np.nan for value in values], dtype=np.float64)


def _spread(row: Statistic, arrays: list[_Array], lengths: npt.NDArray[np.intp], missing: npt.NDArray[np.bool_]) -> Any:
    """Return the statistic of all runs, computed for those that have values."""
    there = np.flatnonzero(lengths)
    if len(there):
        computed = row.compute(np.concatenate([arrays[run] for run in there]), lengths[there])
    else:
        computed = np.zeros(0, dtype=np.float64 if row.of_nothing is None else np.int64)
    values = np.full(len(lengths), row.of_nothing or 0, dtype=computed.dtype)
    values[there] = computed
    if row.of_nothing is None:
        missing = lengths == 0
    if values.dtype.kind == "i":
        return pd.arrays.IntegerArray(values, missing)
    return pd.arrays.FloatingArray(values, missing)
