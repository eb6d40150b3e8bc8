"""Which cells of a table are marked as the best, and by which rule."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mlxp.errors import InvalidKeyError
from mlxp_reader.analysis.mean_tests import holm
from mlxp_reader.analysis.pairwise import Question, mean_difference
from mlxp_reader.analysis.samples import Samples
from mlxp_reader.analysis.seeds import SeedGroups

Numbers = npt.NDArray[np.float64]
Marks = npt.NDArray[np.int64]

_ALPHA = 0.05
_FEW_SEEDS = 5
"""With fewer seeds, a test rarely finds a difference of three standard errors."""


@dataclass(frozen=True, slots=True)
class Marking:
    """What is to be marked; see `DataFrame.table`."""

    best: str | Mapping[str, str] | None
    second: bool
    ties: str | None
    best_in: str

    def is_along_rows(self, across: Collection[str]) -> bool:
        """Tell whether the cells of a row are compared with one another, given the keys of the columns."""
        return self.best_in == "row" or self.best_in in across


@dataclass(frozen=True, slots=True)
class Measured:
    """One value of a table.

    Attributes
    ----------
    name
        What it is called.
    group
        The number of the group of runs of each cell, -1 if it has none.
    mean, half
        The mean of each cell and half of its interval.
    groups, by_run
        All groups, and the number of each run.
    blocks, across
        For each key of the rows, a mark of its value in each row, the same for equal values; and so for columns.
    """

    name: str
    group: npt.NDArray[np.intp]
    mean: Numbers
    half: Numbers
    groups: SeedGroups
    by_run: Numbers
    blocks: Mapping[str, list[Any]] = field(default_factory=dict)
    across: Mapping[str, list[Any]] = field(default_factory=dict)

    def samples(self) -> Samples:
        """Return the numbers of each group by seed."""
        seeds = self.groups.by_run.groups(self.groups.over)
        shape = (len(self.groups), 1, int(seeds.max(initial=-1)) + 1)
        finite = np.isfinite(self.by_run)
        place = self.groups.number * shape[2] + seeds
        size = shape[0] * shape[2]
        sums = np.bincount(place, np.where(finite, self.by_run, 0.0), minlength=size)
        with np.errstate(invalid="ignore"):
            means = sums / np.bincount(place, finite, minlength=size)
        diverged = np.bincount(place, ~finite, minlength=size) > 0
        levels = list(range(len(self.groups)))
        left_out = diverged.reshape(shape)
        return Samples(levels, [None], means.reshape(shape), left_out, np.zeros_like(left_out), are_paired=True)


@dataclass(slots=True)
class _Tested:
    """Which tests were made."""

    names: set[str] = field(default_factory=set)
    pairs: set[int] = field(default_factory=set)
    has_alone: bool = False
    """Whether a cell is the best that nothing could be tested against."""


def choice(of: str | Mapping[str, str] | None, name: str) -> str | None:
    """Return what was chosen for one value: one word for all, or a word for each."""
    return of.get(name) if isinstance(of, Mapping) else of


def marked(measures: Sequence[Measured], marking: Marking) -> tuple[Marks, str]:
    """Return for each place of a table 1 if it is among the best, 2 if it is the second, else 0; and the rule in words.

    Raises
    ------
    InvalidKeyError
        If there is no such rule or direction.
    """
    ties, best_in = marking.ties, marking.best_in
    if ties not in {None, "ci", "test"}:
        raise InvalidKeyError(f"ties is 'test', 'ci' or None, not {ties!r}")
    keys = [*measures[0].blocks, *measures[0].across]
    if best_in not in {"column", "row", *keys}:
        raise InvalidKeyError(f"best_in is 'column', 'row' or one of {', '.join(keys)}, not {best_in!r}")
    rows, columns = measures[0].mean.shape
    marks, tested = np.zeros((rows, columns, len(measures)), dtype=np.int64), _Tested()
    for place, measure in enumerate(measures):
        direction = choice(marking.best, measure.name)
        if direction is not None:
            _mark(measure, marks[:, :, place], _sign(direction), marking, tested)
    rule = _rule(marking, tested, measures[0].across) if marking.best else ""
    return marks.reshape(rows, columns * len(measures)), rule


def _sign(direction: str) -> int:
    if direction not in {"max", "min"}:
        raise InvalidKeyError(f"best is 'max' or 'min', not {direction!r}")
    return 1 if direction == "max" else -1


def _mark(measure: Measured, marks: Marks, sign: int, marking: Marking, tested: _Tested) -> None:
    """Mark the cells of one value, line by line."""
    samples = measure.samples() if marking.ties == "test" else None
    half = measure.half if marking.ties else np.full_like(measure.half, np.nan)
    of_cells = [sign * measure.mean, half, measure.group]
    for line in _lines(measure, marking.best_in):
        score, width, group = (array[line] for array in of_cells)
        is_best = _overlapping(score, width) if samples is None else _tested(score, group, samples, tested)
        marks[line] = _ranks(score, is_best, marking.second)


def _lines(measure: Measured, best_in: str) -> list[Any]:
    """Return the places of the cells that are compared with one another."""
    rows, columns = measure.mean.shape
    if best_in == "row":
        return [np.s_[row, :] for row in range(rows)]
    if best_in in measure.across:
        return [(row, part) for row in range(rows) for part in _together(measure.across[best_in])]
    parts = _together(measure.blocks.get(best_in, [0] * rows))
    return [(part, column) for part in parts for column in range(columns)]


def _together(marks: list[Any]) -> list[npt.NDArray[np.intp]]:
    return [np.flatnonzero([one == mark for one in marks]) for mark in dict.fromkeys(marks)]


def _overlapping(score: Numbers, half: Numbers) -> npt.NDArray[np.bool_]:
    if np.isnan(score).all():
        return np.zeros(len(score), dtype=np.bool_)
    top = int(np.nanargmax(score))
    return np.asarray((score == score[top]) | (score + half >= score[top] - half[top]))


def _tested(score: Numbers, group: npt.NDArray[np.intp], samples: Samples, tested: _Tested) -> npt.NDArray[np.bool_]:
    """Return which cells are the best mean, or are not separated from it.

    A cell whose spread is unknown, or from which diverged runs are left out, cannot show that it is better than others:
    if it has the best mean, the best of the others is marked with it. Without any such other, nothing is marked, and
    neither is a cell without others.
    """
    is_best = np.zeros(len(score), dtype=np.bool_)
    known = np.flatnonzero(np.isfinite(score) & (group >= 0))
    runs = np.isfinite(samples.numbers[group[known], 0]).sum(axis=1)
    is_sure = (runs > 1) & ~samples.diverged[group[known], 0].any(axis=1)
    if not is_sure.any() or np.count_nonzero(group >= 0) < 2:
        return is_best
    sure = known[is_sure]
    reference = int(sure[np.argmax(score[sure])])
    others = [at for at in known[runs > 1].tolist() if at != reference]
    question = Question("t", _ALPHA, 1)
    differences = [mean_difference(samples, int(group[reference]), int(group[at]), question) for at in others]
    adjusted = holm(np.array([one.p for one in differences], dtype=np.float64))
    is_best[[at for at, p in zip(others, adjusted, strict=True) if p >= _ALPHA]] = True
    is_best[reference] = True
    is_best[known[score[known] >= score[reference]]] = True
    tested.names |= {one.test for one in differences}
    tested.has_alone |= not others
    both = [np.isfinite(samples.numbers[group[[reference, at]], 0]).all(axis=0).sum() for at in others]
    tested.pairs |= {int(count) for count, one in zip(both, differences, strict=True) if one.test == "paired t"}
    return is_best


def _ranks(score: Numbers, is_best: npt.NDArray[np.bool_], second: bool) -> Marks:
    ranks = is_best.astype(np.int64)
    rest = np.where(is_best, np.nan, score)
    if second and not np.isnan(rest).all():
        ranks[rest == np.nanmax(rest)] = 2
    return ranks


def _per(marking: Marking, across: Collection[str]) -> str:
    line = "row" if marking.is_along_rows(across) else "column"
    return line if marking.best_in in {"column", "row"} else f"{marking.best_in} and {line}"


def _rule(marking: Marking, tested: _Tested, across: Collection[str]) -> str:
    if marking.ties is None:
        return ""
    if marking.ties == "ci":
        return "bold: the best mean, and all whose 95 % intervals overlap its own, which is not a test"
    if not tested.names and tested.has_alone:
        return "bold: the best mean; no other cell has several finite runs, so nothing was tested"
    if not tested.names:
        return "nothing is bold: testing a difference takes two cells with several runs each"
    seeds = f"{min(tested.pairs)} to {max(tested.pairs)}" if len(tested.pairs) > 1 else "".join(map(str, tested.pairs))
    paired = f"a paired t test over {seeds} common seeds" if tested.pairs else ""
    welch = "Welch's t test" if "Welch t" in tested.names else ""
    tests = " or ".join(filter(None, [paired, welch])) or "a sign test"
    few = min(tested.pairs, default=_FEW_SEEDS) < _FEW_SEEDS
    how = f"{tests} (Holm, per {_per(marking, across)})"
    return (
        f"bold: the best mean and all that {how} does not separate from it at 5 %;"
        f" bold does not mean equal{'; with so few seeds, a test finds only large differences' if few else ''}"
    )
