"""The statistics of a metric, one row each: all code that uses their names takes them from here.

To add a statistic, add a row: queries, `with_stats`, ``series.metric``, tables, the completion and the help of the
command line, and the page of the query language then all have it. A user adds one with `statistic`.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlxp_reader.query.own_statistics import of_each_run

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
    takes_steps
        Whether `compute` also takes the steps of the values, as its last argument.
    is_when
        Whether the number tells when something happens for the first time, which may be never.
    """

    meaning: str
    compute: Callable[..., _Array]
    of_nothing: int | None = None
    takes_steps: bool = False
    is_when: bool = False


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
    "min": Statistic("lowest value, ignoring NaN", _min),
    "max": Statistic("highest value, ignoring NaN", _max),
    "mean": Statistic("mean of the values, ignoring NaN", _mean),
    "median": Statistic("median of the values, ignoring NaN", _of_each(np.median, 1)),
    "std": Statistic(
        "standard deviation of the values (of the sample, ddof=1, as pandas computes it), ignoring NaN",
        _of_each(_std, 2),
    ),
    "count": Statistic("number of values that the run logged, NaN included", _count, of_nothing=0),
    "argmin": Statistic("position of the lowest value, from 0", _place_of(_min)),
    "argmax": Statistic("position of the highest value, from 0", _place_of(_max)),
}
"""The statistics of a metric, which has one value per record."""


_Curve = Callable[[_Array, _Array], Any]


def _of_each_curve(function: _Curve) -> Callable[[_Array, _Lengths, _Array], _Array]:
    """Return a function that applies `function` to each run's steps, in order, and the values there, without NaN.

    Of several values at one step, the last one counts.
    """

    def compute(values: _Array, lengths: _Lengths, steps: _Array) -> _Array:
        ends = np.cumsum(lengths)
        found = []
        for start, end in zip(ends - lengths, ends, strict=True):
            value, step = values[start:end].astype(np.float64), steps[start:end].astype(np.float64)
            there = ~(np.isnan(value) | np.isnan(step))
            # Turned around, the first of equal steps is the last one that was logged.
            at, last = np.unique(step[there][::-1], return_index=True)
            found.append(function(at, value[there][::-1][last]) if len(at) else np.nan)
        return np.array(found, dtype=np.float64)

    return compute


def _area(steps: _Array, values: _Array) -> Any:
    with np.errstate(invalid="ignore"):
        return ((values[1:] + values[:-1]) * np.diff(steps)).sum() / 2 if len(steps) > 1 else np.nan


def _at(step: float) -> Statistic:
    def value(steps: _Array, values: _Array) -> Any:
        place = np.searchsorted(steps, step)
        return values[place] if place < len(steps) and steps[place] == step else np.nan

    return Statistic(f"value at step {step:g}", _of_each_curve(value), takes_steps=True)


def _mean_of_last(count: float) -> Statistic:
    if count < 1 or count != int(count):
        raise ValueError(f"last({count:g}) is the mean of the last values: their number is 1 or more, such as last(5)")
    return Statistic(f"mean of the last {count:g} values", _of_each(lambda run: np.mean(run[-int(count) :]), 1))


def _quantile(share: float) -> Statistic:
    if not 0 <= share <= 1:
        raise ValueError(f"quantile({share:g}) takes a share from 0 to 1, such as quantile(0.9)")
    return Statistic(
        f"{share:g} quantile of the values, ignoring NaN", _of_each(lambda run: np.quantile(run, share), 1)
    )


def _first_step(bound: float, *, rising: bool) -> Statistic:
    def step(steps: _Array, values: _Array) -> Any:
        hits = values >= bound if rising else values <= bound
        return steps[np.argmax(hits)] if hits.any() else np.nan

    told = f"first step at which the value is {bound:g} or {'more' if rising else 'less'}"
    return Statistic(told, _of_each_curve(step), takes_steps=True, is_when=True)


STATISTICS["auc"] = Statistic(
    "area under the curve over its steps, ignoring NaN", _of_each_curve(_area), takes_steps=True
)

WITH_NUMBER: dict[str, Callable[[float], Statistic]] = {
    "last": _mean_of_last,
    "at": _at,
    "quantile": _quantile,
    "rises_to": lambda bound: _first_step(bound, rising=True),
    "falls_to": lambda bound: _first_step(bound, rising=False),
}
"""The statistics that take a number, such as ``at(100)``: each is made from it."""

_CALL = re.compile(r"(\w+)\(\s*([-+\w.]+)\s*\)")


def statistic_of(text: str) -> Statistic | None:
    """Return the statistic that a text such as ``max`` or ``at(100)`` stands for; None if there is none.

    Raises
    ------
    ValueError
        If the number in parentheses is not one that the statistic takes.

    Examples
    --------
    >>> statistic_of("at(100)").meaning, statistic_of("mode")
    ('value at step 100', None)
    """
    if text in STATISTICS:
        return STATISTICS[text]
    call = _CALL.fullmatch(text)
    if call is None or call[1] not in WITH_NUMBER:
        return None
    try:
        number = float(call[2])
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{text}: a number stands in the parentheses, such as {call[1]}(1)")
    return WITH_NUMBER[call[1]](number)


def statistic(name: str) -> Callable[[Callable[[_Array], float]], Callable[[_Array], float]]:
    """Register a function of a run's values as a statistic that queries, tables and figures know by its name.

    Its results are kept in the user's cache: a function is not called again for values that it has seen, until its code
    changes, or anything that its code refers to. A function that reads files, or that draws random numbers, is not one
    of the values alone: make it no statistic.

    Parameters
    ----------
    name
        The name after the metric: ``"spikes"`` makes ``"train.loss.spikes"`` available.

    Returns
    -------
    Callable
        A decorator. The function takes one run's values, without NaN, as an array, and returns a number.

    Raises
    ------
    ValueError
        If the name is not a plain word, or if MLXP has a statistic of that name.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlxp_reader import DataFrame, statistic
    >>> @statistic("spread")
    ... def spread(values):
    ...     return values.max() - values.min()
    >>> runs = DataFrame({"config.seed": [1], "train.loss": pd.array([[3.0, 1.0, 2.0]], dtype="metric")})
    >>> runs.with_stats("train.loss.spread")["train.loss.spread"].tolist()
    [2.0]
    """
    if not name.isidentifier():
        raise ValueError(f"the name of a statistic is one word, such as 'spikes', not {name!r}")
    if name in _OURS or name in WITH_NUMBER:
        raise ValueError(f"MLXP has a statistic {name!r}; choose another name")

    def register(function: Callable[[_Array], float]) -> Callable[[_Array], float]:
        STATISTICS[name] = Statistic(f"result of {getattr(function, '__name__', name)}", of_each_run(function))
        return function

    return register


_OURS = frozenset(STATISTICS)


def listed(last_word: str = "or") -> str:
    """Return the names of the statistics as a list for a sentence.

    Examples
    --------
    >>> listed().endswith("auc, last(…), at(…), quantile(…), rises_to(…) or falls_to(…)")
    True
    """
    *names, last = [*STATISTICS, *(f"{name}(…)" for name in WITH_NUMBER)]
    return f"{', '.join(names)} {last_word} {last}"
