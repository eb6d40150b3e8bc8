"""Statistics of metrics: one number per run, over all runs at once.

NaN is passed over, as everywhere in pandas, by ``min``, ``max``, ``mean``, ``argmin`` and ``argmax``: a run that
diverged at last still has a best value. ``last`` and ``first`` are what was logged, ``count`` is how many values were.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlxp.errors import InvalidKeyError
from mlxp_reader.columns.mixed import MixedArray
from mlxp_reader.query.names import STATISTICS

_Array = npt.NDArray[Any]


def statistic(name: str, runs: Sequence[Any]) -> Any:
    """Return one of `STATISTICS` for each run, as a pandas array; it is missing where a run has no value for it.

    Parameters
    ----------
    runs
        The values of each run: an array of numbers, a list of anything, or None.

    Raises
    ------
    InvalidKeyError
        If there is no statistic of that name.

    Examples
    --------
    >>> statistic("min", [np.array([3, 1, 2]), None]).tolist()
    [1, <NA>]
    """
    if name not in STATISTICS:
        raise InvalidKeyError(f"there is no statistic '{name}'; there are {', '.join(STATISTICS)}")
    if name in {"last", "first"} and any(isinstance(values, list) for values in runs):
        return _ends_of_anything(runs, -1 if name == "last" else 0)
    arrays = [_numbers(values) for values in runs]
    lengths = np.array([len(array) for array in arrays], dtype=np.intp)
    if name == "count":
        missing = np.array([values is None for values in runs], dtype=np.bool_)
        counts = np.array([0 if values is None else len(values) for values in runs], dtype=np.int64)
        return pd.arrays.IntegerArray(counts, missing)
    there = np.flatnonzero(lengths)
    if not len(there):
        return pd.arrays.FloatingArray(np.zeros(len(runs)), np.ones(len(runs), np.bool_))
    flat = np.concatenate([arrays[run] for run in there])
    return _spread(_COMPUTATIONS[name](flat, lengths[there]), there, len(runs))


def _ends_of_anything(runs: Sequence[Any], at: int) -> MixedArray:
    ends = [pd.NA if values is None or not len(values) else values[at] for values in runs]
    return MixedArray.of([end.item() if isinstance(end, np.generic) else end for end in ends])


_NOTHING = np.zeros(0, dtype=np.int64)


def _numbers(values: Any) -> _Array:
    if values is None:
        return _NOTHING
    if isinstance(values, np.ndarray):
        return values.astype(np.int64) if values.dtype == np.bool_ else values
    # NaN keeps the places of the values that are no numbers, which argmin and argmax count.
    return np.array([value if isinstance(value, int | float) else np.nan for value in values], dtype=np.float64)


def _spread(computed: _Array, there: npt.NDArray[np.intp], total: int) -> Any:
    """Return the results of the runs that are `there` among all runs."""
    missing = np.ones(total, dtype=np.bool_)
    missing[there] = False
    values = np.zeros(total, dtype=computed.dtype)
    values[there] = computed
    if values.dtype.kind == "i":
        return pd.arrays.IntegerArray(values, missing)
    return pd.arrays.FloatingArray(values, missing)


def _starts(lengths: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    return np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.intp)


def _first(flat: _Array, lengths: npt.NDArray[np.intp]) -> _Array:
    return flat[_starts(lengths)]


def _last(flat: _Array, lengths: npt.NDArray[np.intp]) -> _Array:
    return flat[np.cumsum(lengths) - 1]


def _min(flat: _Array, lengths: npt.NDArray[np.intp]) -> _Array:
    return np.asarray(np.fmin.reduceat(flat, _starts(lengths)))


def _max(flat: _Array, lengths: npt.NDArray[np.intp]) -> _Array:
    return np.asarray(np.fmax.reduceat(flat, _starts(lengths)))


def _mean(flat: _Array, lengths: npt.NDArray[np.intp]) -> _Array:
    starts = _starts(lengths)
    there = ~np.isnan(flat)
    with np.errstate(invalid="ignore"):  # inf - inf, and runs that are NaN throughout
        sums = np.add.reduceat(np.where(there, flat, 0.0), starts)
        return np.asarray(sums / np.add.reduceat(there.astype(np.int64), starts))


def _position_of(extreme: Callable[[_Array, npt.NDArray[np.intp]], _Array]) -> Callable[..., _Array]:
    def position(flat: _Array, lengths: npt.NDArray[np.intp]) -> _Array:
        hits = np.flatnonzero(flat == np.repeat(extreme(flat, lengths), lengths))
        runs = np.repeat(np.arange(len(lengths)), lengths)[hits]
        found, first = np.unique(runs, return_index=True)
        positions = np.full(len(lengths), np.nan)  # a run that is NaN throughout has no best value
        positions[found] = hits[first] - _starts(lengths)[found]
        return positions if np.isnan(positions).any() else positions.astype(np.int64)

    return position


_COMPUTATIONS: dict[str, Callable[[_Array, npt.NDArray[np.intp]], _Array]] = {
    "last": _last,
    "first": _first,
    "min": _min,
    "max": _max,
    "mean": _mean,
    "argmin": _position_of(_min),
    "argmax": _position_of(_max),
}
