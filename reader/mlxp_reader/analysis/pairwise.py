"""What there is to say about two levels: their means, the difference, and what a test says of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlxp.errors import InvalidKeyError
from mlxp_reader.analysis.mean_tests import (
    MeanDifference,
    Needed,
    needed_pairs,
    needed_runs,
    paired_t,
    stratified_t,
    welch_t,
    wilcoxon,
)
from mlxp_reader.analysis.run_numbers import Numbers
from mlxp_reader.analysis.samples import Samples

FEWEST_PAIRS = 3
"""With fewer common seeds, a test of pairs finds next to nothing; all runs are used then."""

_FEWEST_TASKS = 6


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of each pair; see `compare`.

    Attributes
    ----------
    sign
        1 if high values are good, -1 if low ones are.
    missing
        ``"worst"`` if runs without a finite value rank last, else ``"drop"``.
    """

    test: str
    alpha: float
    sign: int
    missing: str = "drop"
    detect: float | None = None


@dataclass(frozen=True, slots=True)
class _Sides:
    """The values of both levels in each of the tasks that both have; aligned if they are paired."""

    a: list[Numbers]
    b: list[Numbers]
    are_paired: bool

    @property
    def differences(self) -> Numbers:
        """One difference per pair, of the first task."""
        return self.a[0] - self.b[0]

    @property
    def size(self) -> float:
        """How large the values are, which tells what of a difference is rounding."""
        return max((float(np.abs(task).max()) for task in (*self.a, *self.b)), default=0.0)


def row(samples: Samples, a: int, b: int, question: Question) -> dict[str, Any]:
    """Return the columns of `compare` for two levels, given by their places."""
    samples, question, scale = _within_reach(samples, a, b, question)
    both = np.isfinite(samples.numbers[a]) & np.isfinite(samples.numbers[b])
    sides = _sides(samples, a, b, both)
    has_tasks = samples.tasks != [None]
    ranked = _ranked(samples, a, b, question)
    judged = _mean_difference(sides, ranked, question, has_tasks=has_tasks)
    needed = Needed() if has_tasks else _needed(sides, question)
    finite = [int(np.isfinite(samples.numbers[level]).sum()) for level in (a, b)]
    lacking = [int(samples.diverged[level].sum()) for level in (a, b)]
    return {
        "a": samples.levels[a],
        "b": samples.levels[b],
        "n_a": finite[0],
        "n_b": finite[1],
        "n_pairs": int(both.sum()) if samples.are_paired else 0,
        "missing_a": lacking[0],
        "missing_b": lacking[1],
        "mean_a": _mean_of_means(sides.a) * scale,
        "mean_b": _mean_of_means(sides.b) * scale,
        "difference": judged.difference * scale,
        "low": judged.low * scale,
        "high": judged.high * scale,
        "p": judged.p,
        "test": judged.test,
        "p_better": _p_better(*ranked, question.sign),
        "wins": _wins(sides, ranked, question, has_tasks=has_tasks),
        "effect": _effect(sides),
        "seeds_needed": needed.estimate,
        "seeds_low": needed.low,
        "seeds_high": needed.high,
        "note": "; ".join(filter(None, [judged.note, *_notes(samples, sides, a, b)])),
    }


def mean_difference(samples: Samples, a: int, b: int, question: Question) -> MeanDifference:
    """Return what a test says of two levels, given by their places; differences may be in another unit."""
    samples, question, _ = _within_reach(samples, a, b, question)
    both = np.isfinite(samples.numbers[a]) & np.isfinite(samples.numbers[b])
    ranked = _ranked(samples, a, b, question)
    return _mean_difference(_sides(samples, a, b, both), ranked, question, has_tasks=samples.tasks != [None])


def _within_reach(samples: Samples, a: int, b: int, question: Question) -> tuple[Samples, Question, float]:
    """Return values of two levels whose squares are numbers, what is then asked, and the unit of the values."""
    sizes = np.abs(samples.numbers[[a, b]])
    largest = float(sizes[np.isfinite(sizes)].max(initial=0.0))
    if largest == 0 or 1e-100 < largest < 1e100:
        return samples, question, 1.0
    with np.errstate(all="ignore"):  # values of other levels may be too large or too small for this unit
        scaled = replace(samples, numbers=samples.numbers / largest)
    return scaled, replace(question, detect=None if question.detect is None else question.detect / largest), largest


def _sides(samples: Samples, a: int, b: int, both: Any) -> _Sides:
    counts = both.sum(axis=1)
    most = np.isfinite(samples.numbers[[a, b]]).sum(axis=2).max()
    enough = min(FEWEST_PAIRS, most) if samples.tasks == [None] else 1
    are_paired = samples.are_paired and bool(counts.max(initial=0) >= max(enough, 1))
    there = [both, both] if are_paired else [np.isfinite(samples.numbers[level]) for level in (a, b)]
    tasks = [at for at in range(len(counts)) if all(one[at].any() for one in there)]
    of_a, of_b = (
        [samples.numbers[level][at][one[at]] for at in tasks] for level, one in zip((a, b), there, strict=True)
    )
    return _Sides(of_a, of_b, are_paired)


def _ranked(samples: Samples, a: int, b: int, question: Question) -> tuple[Numbers, Numbers]:
    """Return all values of both levels; infinitely bad are those that never came, and may be those that diverged."""
    worst = -question.sign * math.inf
    both = [a, b]  # not all levels, for each of the pairs of which this would be done
    left_out = worst if question.missing == "worst" else math.nan
    numbers = np.where(samples.diverged[both], left_out, samples.numbers[both])
    numbers = np.where(samples.never[both], worst, numbers)
    return numbers[0], numbers[1]


def _mean_difference(
    sides: _Sides, ranked: tuple[Numbers, Numbers], question: Question, *, has_tasks: bool
) -> MeanDifference:
    if not sides.a:
        return MeanDifference(math.nan, note="nothing to compare")
    if has_tasks:
        return _over_tasks(sides, question)
    if question.test == "stratified":
        raise InvalidKeyError("test='stratified' needs tasks=, the keys that tell tasks apart")
    if question.test == "wilcoxon":
        if not sides.are_paired:
            raise InvalidKeyError("test='wilcoxon' needs pairs: name their keys as paired='seed' does, or use test='t'")
        return wilcoxon(_differences(ranked))
    if sides.are_paired:
        return paired_t(sides.differences, question.alpha, size=sides.size)
    return welch_t(sides.a[0], sides.b[0], question.alpha)


def _over_tasks(sides: _Sides, question: Question) -> MeanDifference:
    if question.test == "stratified":
        if sides.are_paired:
            tasks = [(a - b, np.empty(0)) for a, b in zip(sides.a, sides.b, strict=True)]
        else:
            tasks = list(zip(sides.a, sides.b, strict=True))
        return stratified_t(tasks, question.alpha, size=sides.size)
    differences = _task_differences(sides)
    if question.test == "wilcoxon":
        return replace(wilcoxon(differences), test="Wilcoxon over tasks")
    difference = paired_t(differences, question.alpha, name="over tasks", size=sides.size)
    if len(differences) < _FEWEST_TASKS:
        few = f"{len(differences)} task{'s' * (len(differences) != 1)}: little is found;"
        note = f"{few} test='stratified' speaks of exactly these"
        return replace(difference, note="one task has no spread" if len(differences) < 2 else note)
    return difference


def _task_differences(sides: _Sides) -> Numbers:
    return np.array([a.mean() - b.mean() for a, b in zip(sides.a, sides.b, strict=True)])


def _differences(ranked: tuple[Numbers, Numbers]) -> Numbers:
    """Return the differences of all pairs that are there; two that are infinitely bad are alike."""
    a, b = (values[0] for values in ranked)
    there = ~(np.isnan(a) | np.isnan(b))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nan_to_num(a[there] - b[there], nan=0.0, posinf=math.inf, neginf=-math.inf))


def _mean_of_means(tasks: Sequence[Numbers]) -> float:
    return float(np.mean([task.mean() for task in tasks])) if tasks else math.nan


def _p_better(of_a: Numbers, of_b: Numbers, sign: int) -> float:
    """Return the mean over tasks of the share of all pairs of runs in which a is better, ties counting half."""
    shares = []
    for one, other in zip(sign * of_a, sign * of_b, strict=True):
        mine, others = one[~np.isnan(one)], np.sort(other[~np.isnan(other)])
        if len(mine) and len(others):
            below = (np.searchsorted(others, mine, side) for side in ("left", "right"))
            shares.append(sum(below).mean() / (2 * len(others)))
    return float(np.mean(shares)) if shares else math.nan


def _wins(sides: _Sides, ranked: tuple[Numbers, Numbers], question: Question, *, has_tasks: bool) -> str:
    if not sides.a or not (has_tasks or sides.are_paired):
        return ""
    differences = _task_differences(sides) if has_tasks else _differences(ranked)
    return f"{int((question.sign * differences > 0).sum())}/{len(differences)}"


def _effect(sides: _Sides) -> float:
    """Return the difference in standard deviations, the mean over tasks."""
    if not sides.a or min(map(len, [*sides.a, *sides.b])) < 2:
        return math.nan
    spreads = [math.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2) for a, b in zip(sides.a, sides.b, strict=True)]
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = float(np.mean(_task_differences(sides) / np.array(spreads)))
    return effect if math.isfinite(effect) else math.nan


def _needed(sides: _Sides, question: Question) -> Needed:
    if not sides.a:
        return Needed()
    if sides.are_paired:
        return needed_pairs(sides.differences, question.alpha, question.detect, size=sides.size)
    return needed_runs(sides.a[0], sides.b[0], question.alpha, question.detect)


def _notes(samples: Samples, sides: _Sides, a: int, b: int) -> list[str]:
    there = [np.isfinite(samples.numbers[level]) for level in (a, b)]
    lacking = [int(samples.diverged[level].sum()) for level in (a, b)]
    alone = [int((one & ~(there[0] & there[1])).sum()) for one in there]
    notes = []
    if any(lacking):
        notes.append(f"left out without a finite value: {_of_each(lacking)}")
    if any(late := [int(samples.never[level].sum()) for level in (a, b)]):
        notes.append(f"{_of_each(late)} never got there, and count with the last step of all")
    if samples.are_paired and not sides.are_paired:
        notes.append(f"fewer than {FEWEST_PAIRS} common seeds: not paired")
    elif samples.are_paired and any(alone):
        notes.append(f"without a partner: {_of_each(alone)}")
    if samples.tasks != [None] and len(sides.a) < len(samples.tasks):
        notes.append(f"{len(samples.tasks) - len(sides.a)} of {len(samples.tasks)} tasks are of one side only")
    return notes


def _of_each(counts: Sequence[int]) -> str:
    return " and ".join(f"{count} of {side}" for count, side in zip(counts, "ab", strict=True) if count)
