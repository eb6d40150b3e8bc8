"""The statistics of a metric, one row each: all code that uses their names takes them from here.

To add a statistic, add a row: queries, `with_stats`, ``series.metric``, tables, the completion and the help of the
command line, and the page of the query language then all have it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_Array = npt.NDArray[Any]
_Lengths = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Statistic:
    """One number per run, computed from the values that the run logged.

    Attributes
    ----------
    meaning
        A description that can follow "the" in a sentence.
    compute
        A function that takes the values of all runs, one after the other, and how many each run has (at least one). It
        returns one number per run.
    of_nothing
        The result for a run that has the metric but no value of it; None if there is no answer then.
    """

    meaning: str
    compute: Callable[[_Array, _Lengths], _Array]
    of_nothing: int | None = None


def _starts(lengths: _Lengths) -> _Lengths:
    return np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.intp)


def _first(values: _Array, lengths: _Lengths) -> _Array:
    return values[_starts(lengths)]


def _last(values: _Array, lengths: _Lengths) -> _Array:
    return values[np.cumsum(lengths) - 1]


def _min(values: _Array, lengths: _Lengths) -> _Array:
    return np.asarray(np.fmin.reduceat(values, _starts(lengths)))


def _max(values: _Array, lengths: _Lengths) -> _Array:
    return np.asarray(np.fmax.reduceat(values, _starts(lengths)))


def _mean(values: _Array, lengths: _Lengths) -> _Array:
    starts = _starts(lengths)
    there = ~np.isnan(values)
    with np.errstate(invalid="ignore"):  # inf - inf, and runs with only NaN
        sums = np.add.reduceat(np.where(there, values, 0.0), starts)
        return np.asarray(sums / np.add.reduceat(there.astype(np.int64), starts))


def _of_each(function: Callable[[_Array], Any], least: int) -> Callable[[_Array, _Lengths], _Array]:
    """Return a function that applies `function` to each run's values without NaN; NaN for fewer than `least`."""

    def compute(values: _Array, lengths: _Lengths) -> _Array:
        runs = (run[~np.isnan(run)] for run in np.split(values, np.cumsum(lengths)[:-1]))
        with np.errstate(invalid="ignore"):  # inf - inf
            return np.array([function(run) if len(run) >= least else np.nan for run in runs], dtype=np.float64)

    return compute


def _std(values: _Array) -> Any:
    return np.std(values, ddof=1)


def _count(values: _Array, lengths: _Lengths) -> _Array:  # noqa: ARG001 - every row takes these
    return lengths.astype(np.int64)


def _place_of(extreme: Callable[[_Array, _Lengths], _Array]) -> Callable[[_Array, _Lengths], _Array]:
    def place(values: _Array, lengths: _Lengths) -> _Array:
        hits = np.flatnonzero(values == np.repeat(extreme(values, lengths), lengths))
        runs = np.repeat(np.arange(len(lengths)), lengths)[hits]
        found, first = np.unique(runs, return_index=True)
        places = np.full(len(lengths), np.nan)  # a run with only NaN has no best value
        places[found] = hits[first] - _starts(lengths)[found]
        return places if np.isnan(places).any() else places.astype(np.int64)

    return place


STATISTICS = {
    "last": Statistic("last value that the run logged", _last),
    "first": Statistic("first value that the run logged", _first),
    "min": Statistic("lowest value, NaN passed over", _min),
    "max": Statistic("highest value, NaN passed over", _max),
    "mean": Statistic("mean of the values, NaN passed over", _mean),
    "median": Statistic("median of the values, NaN passed over", _of_each(np.median, 1)),
    "std": Statistic(
        "standard deviation of the values (of the sample, ddof=1, as pandas computes it), NaN passed over",
        _of_each(_std, 2),
    ),
    "count": Statistic("number of values that the run logged, NaN included", _count, of_nothing=0),
    "argmin": Statistic("position of the lowest value, from 0", _place_of(_min)),
    "argmax": Statistic("position of the highest value, from 0", _place_of(_max)),
}
"""The statistics of a metric, which has one value per record."""


def listed(last_word: str = "or") -> str:
    """Return the names of the statistics as a list for a sentence.

    Examples
    --------
    >>> listed()
    'last, first, min, max, mean, median, std, count, argmin or argmax'
    """
    *names, last = STATISTICS
    return f"{', '.join(names)} {last_word} {last}"
