"""Compares levels of a key, such as methods, over seeds and tasks: which differ, by how much, and how sure that is."""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mlxp.errors import InvalidKeyError
from mlxp_reader.analysis import resampling
from mlxp_reader.analysis.mean_tests import holm
from mlxp_reader.analysis.pairwise import Question, row
from mlxp_reader.analysis.run_numbers import Numbers
from mlxp_reader.analysis.samples import Samples, samples_of
from mlxp_reader.analysis.selection import direction_of, tell_of_selection
from mlxp_reader.columns.keys import as_names, shown
from mlxp_reader.columns.runs import Runs
from mlxp_reader.notices import notice, some

TESTS = ("t", "wilcoxon", "stratified")
"""What `compare` may be asked to test by; without pairs, Student's t is Welch's."""

_COLUMNS = [
    *("a", "b", "n_a", "n_b", "n_pairs", "missing_a", "missing_b", "mean_a", "mean_b", "difference", "low", "high"),
    *("p", "p_holm", "test", "p_better", "wins", "effect", "seeds_needed", "seeds_low", "seeds_high"),
]
_IN_UNITS = ("mean_", "difference", "low", "high", "iqm_")
"""How the columns begin that are in the units of the value."""

_OF_TASKS = ["iqm", "iqm_low", "iqm_high", "rank"]


def compare(  # noqa: PLR0913 - each is one choice of what is compared
    frame: Runs,
    value: str | Sequence[str],
    between: str | Sequence[str],
    paired: str | Sequence[str] = (),
    tasks: str | Sequence[str] = (),
    *,
    over: str | Sequence[str] = (),
    against: Any = "best",
    best: str | None = None,
    test: str = "t",
    per: str | None = None,
    missing: str = "drop",
    repeats: str | None = None,
    ratio: bool = False,
    step: str | None = None,
    detect: float | None = None,
    alpha: float = 0.05,
    exclude: str | Iterable[str] | None = None,
) -> pd.DataFrame:
    """Return how much the levels of a key differ, one row per pair of levels, with the result of a test.

    Runs with the same values of the keys `paired` are compared with each other. A level with one run has no test. Runs
    without a finite value are left out and counted. A paired test ignores seeds that only one level has.

    Parameters
    ----------
    value
        A statistic of a metric such as ``"test.acc.last"``, or a column of numbers. Several, such as one metric per
        task on which each run was evaluated, are averaged within each run.
    between
        The key whose levels are compared, such as ``"model"``.
    paired
        The keys that define pairs, such as ``"seed"``: runs of different levels with equal values share their
        randomness. The design of the experiment decides whether there are pairs, never the smaller p.
    tasks
        The keys that identify tasks, such as ``"data"``, if each task has its own runs. The test then applies to tasks
        like these, and its unit is the task. With ``test="stratified"``, it applies to exactly these tasks.
    over
        The keys in which runs of one level differ, if they define no pairs.
    against
        ``"best"`` compares the level with the best mean to each of the others, ``"all"`` compares every pair, and the
        name of a level compares that level to each of the others.
    best
        ``"max"`` if high values are good and ``"min"`` if low ones are. By default, a statistic ``max`` or ``min`` in
        `value` decides; otherwise high values are good, and a warning says so.
    test
        ``"t"`` (paired or Welch's), ``"wilcoxon"`` or ``"stratified"``.
    per
        ``"task"`` for a row per pair and task.
    missing
        ``"drop"``, or ``"worst"`` to rank runs without a finite value last in `p_better`, in `wins` and by
        ``"wilcoxon"``.
    repeats
        ``"mean"`` to average runs of the same level, task and seed; otherwise they are an error.
    ratio
        Whether a / b is asked for instead of a - b, such as how many times as fast one level learns. Means are then
        geometric ones, and the tests compare logarithms.
    step
        The key that tells the step, where that matters, such as ``"time"`` for ``"val.acc.rises_to(0.9)"`` in seconds;
        see `history`.
    detect
        The difference (or ratio) that matters, for which `seeds_needed` is computed instead of for the one found.
    alpha
        One minus the coverage of the intervals.
    exclude
        Patterns of keys to ignore although they vary; see `over`.

    Returns
    -------
    pandas.DataFrame
        The columns are

        - ``a``, ``b``: the two levels; ``task``, if asked for;
        - ``n_a``, ``n_b``, ``n_pairs``: how many runs have a finite value, and how many pairs;
        - ``missing_a``, ``missing_b``: how many runs have none;
        - ``mean_a``, ``mean_b``, ``difference`` (a - b, or ``ratio``): over the pairs, if the test is paired;
        - ``low``, ``high``: its interval (95 % by default), not adjusted for several pairs;
        - ``p``, ``p_holm``: two-sided, and adjusted by Holm for all rows (of a task);
        - ``test``: the test and its unit, ``"none"`` if there is none;
        - ``p_better``: the probability that a run of a is better than one of b, ties counting half;
        - ``wins``: in how many pairs (tasks, if these are the unit) a is better, such as ``"5/5"``;
        - ``effect``: the difference in standard deviations (their root mean square over both levels);
        - ``seeds_needed``, ``seeds_low``, ``seeds_high``: how many seeds a new experiment needs to find the difference
          in 80 % of cases, with a 95 % range; infinite if there is no limit, and missing with `tasks`;
        - with `tasks`, ``iqm_a``, ``iqm_low_a``, ``iqm_high_a``: the interquartile mean over runs and tasks with its
          interval by 10,000 resamples, and ``rank_a``, the average rank over tasks, from 1; the same for b;
        - ``note``: what to know about the row.

    Raises
    ------
    InvalidKeyError
        If there is no such key, level or metric, if another key varies within a level, if a seed occurs twice, or if
        the test cannot be done.

    Notes
    -----
    If a test finds no difference, there may still be one. `seeds_needed` is for planning a new experiment: adding seeds
    until p is small finds differences that do not exist.

    A run that never reaches what ``rises_to`` or ``falls_to`` asks for counts with the last step of all runs of its
    task, and ranks last. Without it, a level of which only the lucky runs got there would look fast.

    Examples
    --------
    >>> from mlxp_reader import DataFrame
    >>> runs = DataFrame(
    ...     {
    ...         "config.model": list("aaaaabbbbb"),
    ...         "config.seed": [1, 2, 3, 4, 5] * 2,
    ...         "acc": [0.900, 0.912, 0.921, 0.909, 0.898, 0.911, 0.924, 0.931, 0.921, 0.909],
    ...     }
    ... )
    >>> found = runs.compare("acc", between="model", paired="seed", best="max")
    >>> found[["a", "b", "difference", "p", "test", "p_better", "wins"]].round(6).iloc[0].to_dict()
    {'a': 'b', 'b': 'a', 'difference': 0.0112, 'p': 7e-06, 'test': 'paired t', 'p_better': 0.8, 'wins': '5/5'}
    """
    for name in as_names(value):
        tell_of_selection(name)
    _check("test", test, TESTS)
    _check("missing", missing, ("drop", "worst"))
    _check("repeats", repeats, (None, "mean"))
    _check("per", per, (None, "task"))
    if not 0 < alpha < 1:
        raise InvalidKeyError(f"alpha is between 0 and 1, such as 0.05, not {alpha!r}")
    if per and not as_names(tasks):
        raise InvalidKeyError("per='task' needs tasks=, the keys that tell tasks apart")
    if ratio and detect is not None and detect <= 0:
        raise InvalidKeyError(f"detect is a ratio that matters, such as 1.2, not {detect!r}")
    samples = samples_of(frame, value, between, paired, tasks, over=over, repeats=repeats, exclude=exclude, step=step)
    question = Question(test, alpha, sign_of(best, as_names(value)), missing, detect)
    found = compared(samples, against, question, per_task=per is not None, ratio=ratio)
    found.attrs["value"] = ", ".join(as_names(value))
    return found


def compared(
    samples: Samples, against: Any, question: Question, *, per_task: bool = False, ratio: bool = False
) -> pd.DataFrame:
    """Return what `compare` does, given the values of the runs.

    Raises
    ------
    InvalidKeyError
        If there is no such level, if the test cannot be done, or if values that are not positive have no ratio.
    """
    if ratio:
        samples = _logarithms(samples)
        question = replace(question, detect=None if question.detect is None else math.log(question.detect))
    single = [_of_task(samples, at) for at in range(len(samples.tasks))] if per_task else [samples]
    parts = [_compared(part, against, question) for part in single]
    if per_task:
        for part, task in zip(parts, samples.tasks, strict=True):
            part.insert(0, "task", [task] * len(part))
    found = pd.concat(parts, ignore_index=True)
    if ratio:
        in_units = [name for name in found.columns if name.startswith(_IN_UNITS)]
        found[in_units] = np.exp(found[in_units])
        found = found.rename(columns={"difference": "ratio"})
    found.attrs |= {
        "best": "max" if question.sign > 0 else "min",
        "alpha": question.alpha,
        "family": f"{max(map(len, parts))} comparisons, adjusted by Holm",
        "draws": resampling.DRAWS,
        "seed": resampling.SEED,
    }
    return found


def _logarithms(samples: Samples) -> Samples:
    low = samples.numbers[np.isfinite(samples.numbers)].min(initial=math.inf)
    if low <= 0:
        raise InvalidKeyError(f"a ratio is of values above 0, and there is {low:g}: compare differences instead")
    return replace(samples, numbers=np.log(samples.numbers))


def _check(name: str, given: Any, allowed: tuple[Any, ...]) -> None:
    if given not in allowed:
        raise InvalidKeyError(f"{name} is {' or '.join(map(repr, allowed))}, not {given!r}")


def sign_of(best: str | None, names: Sequence[str]) -> int:
    """Return 1 if high values are good, -1 if low ones are; what is not told is taken for high, with a warning."""
    told = {direction_of(name) for name in names}
    if best is not None:
        _check("best", best, ("max", "min"))
        return -1 if best == "min" else 1
    if told not in ({"max"}, {"min"}):
        notice(f"high values of {some(list(names))} are taken as good: write best='max', or best='min'")
    return -1 if told == {"min"} else 1


def _of_task(samples: Samples, at: int) -> Samples:
    here = np.s_[:, at : at + 1]
    arrays = {name: getattr(samples, name)[here] for name in ("numbers", "diverged", "never")}
    return replace(samples, tasks=[None], **arrays)


def _compared(samples: Samples, against: Any, question: Question) -> pd.DataFrame:
    pairs, note = _pairs(samples, against, question.sign)
    rows = [row(samples, a, b, question) for a, b in pairs]
    adjusted = holm(np.array([one["p"] for one in rows], dtype=np.float64))
    columns = [*_COLUMNS]
    if samples.tasks != [None]:
        columns += [f"{name}_{side}" for side in "ab" for name in _OF_TASKS]
        about = _over_tasks(samples, sorted({level for pair in pairs for level in pair}), question)
        for one, pair in zip(rows, pairs, strict=True):
            one |= {
                f"{name}_{side}": about[level][name]
                for side, level in zip("ab", pair, strict=True)
                for name in _OF_TASKS
            }
    for one, p in zip(rows, adjusted.tolist(), strict=True):
        one |= {"p_holm": p, "note": "; ".join(filter(None, [note, one["note"]]))}
    return pd.DataFrame(rows, columns=[*columns, "note"])


def _over_tasks(samples: Samples, levels: Sequence[int], question: Question) -> dict[int, dict[str, float]]:
    """Return what there is to say about each level over all tasks."""
    from scipy import stats  # takes a second to import

    means = question.sign * mean(samples.numbers, axis=2)
    ranks = stats.rankdata(-means, axis=0, nan_policy="omit")
    about = {}
    for level in levels:
        tasks = [task[np.isfinite(task)] for task in samples.numbers[level]]
        low, high = resampling.interval_of_iqm(tasks, question.alpha)
        iqm = resampling.interquartile_mean(np.concatenate(tasks))
        about[level] = dict(zip(_OF_TASKS, (iqm, low, high, float(mean(ranks[level]))), strict=True))
    return about


def _pairs(samples: Samples, against: Any, sign: int) -> tuple[list[tuple[int, int]], str]:
    """Return which levels are compared, as places, and a note that the best one was selected from the data."""
    if len(samples.levels) < 2:
        raise InvalidKeyError(
            f"one level, {shown(samples.levels[0])}, is nothing to compare" if samples.levels else "there is no run"
        )
    means = sign * means_of(samples)
    order = sorted(range(len(means)), key=lambda at: (math.isnan(means[at]), -means[at], at))
    if against == "all":
        return list(itertools.combinations(order, 2)), ""
    if against == "best":
        return [(order[0], other) for other in order[1:]], "a was selected as the best" if len(order) > 2 else ""
    if against not in samples.levels:
        known = some(list(map(shown, samples.levels)))
        raise InvalidKeyError(f"there is no level {against!r}; there are {known}, and 'best' and 'all'")
    reference = samples.levels.index(against)
    return [(other, reference) for other in order if other != reference], ""


def means_of(samples: Samples) -> Numbers:
    """Return the mean of each level over the tasks that all have, or over those it has if there are none."""
    means = mean(samples.numbers, axis=2)
    everywhere = ~np.isnan(means).any(axis=0)
    return mean(means[:, everywhere] if everywhere.any() else means, axis=1)


def mean(values: Numbers, axis: int | None = None) -> Numbers:
    """Return the mean without NaN; NaN, and no warning, if nothing is there."""
    there = ~np.isnan(values)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(np.where(there, values, 0.0).sum(axis=axis) / there.sum(axis=axis))
