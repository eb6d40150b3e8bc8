"""Curves of unequal length on common steps: a table of runs and steps, NaN where a run has no value."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from mlxp.errors import InvalidKeyError
from mlxp_reader.columns.curves import Curves

Curve = tuple[npt.NDArray[Any], npt.NDArray[np.float64]]
"""Ascending steps, each of them once, and the value at each."""

ALIGNMENTS = ("union", "interpolate", "intersect")
"""On all steps that any run has; on these, with the values in between filled in; or on those that all runs have."""


def curves_by_run(found: Curves, metric: str, runs: int) -> list[Curve]:
    """Return the curve of each of all `runs`; for a step that was logged several times, the last value counts."""
    values = found.columns[metric]
    if values.dtype == object:
        raise InvalidKeyError(f"the values of {metric} are not numbers, so they have no mean and no curve")
    edges = np.searchsorted(found.run, np.arange(runs + 1))
    steps, numbers = found.step, values.astype(np.float64, copy=False)
    pieces = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    return [in_order(steps[start:end], numbers[start:end]) for start, end in pieces]


def in_order(steps: npt.NDArray[Any], values: npt.NDArray[np.float64]) -> Curve:
    """Return steps and values as a curve: the steps in order, without NaN, and only the last of repeated steps."""
    if steps.dtype.kind == "f" and np.isnan(steps).any():
        there = ~np.isnan(steps)
        steps, values = steps[there], values[there]
    if (steps[1:] > steps[:-1]).all():
        return steps, values
    ordered, last = np.unique(steps[::-1], return_index=True)
    return ordered, values[::-1][last]


def align(curves: Sequence[Curve], how: str | None = "union") -> Curve:
    """Return common steps, and a table of the values of each curve at them.

    If `how` is None, the steps are the union. Values are interpolated if one curve lacks steps within it that another
    one has, because a mean would jump there to that of the others.

    Raises
    ------
    InvalidKeyError
        If `how` is not one of `ALIGNMENTS`.

    Examples
    --------
    >>> steps, table = align([(np.array([0, 2]), np.array([1.0, 3.0])), (np.array([0, 1]), np.array([5.0, 7.0]))])
    >>> steps.tolist(), table.tolist()
    ([0, 1, 2], [[1.0, nan, 3.0], [5.0, 7.0, nan]])
    """
    if how not in (*ALIGNMENTS, None):
        raise InvalidKeyError(f"there is no alignment '{how}'; there are {', '.join(ALIGNMENTS)}")
    if not curves:
        return np.empty(0), np.empty((0, 0))
    first = curves[0][0]
    if all(np.array_equal(first, steps) for steps, _ in curves[1:]) and how != "interpolate":
        return first, np.array([values for _, values in curves])
    if how == "intersect":
        common = reduce(np.intersect1d, (steps for steps, _ in curves))
        return common, np.array([values[np.searchsorted(steps, common)] for steps, values in curves])
    union = np.unique(np.concatenate([steps for steps, _ in curves]))
    if how == "interpolate" or (how is None and not _have_all(curves, union)):
        return union, np.array([_interpolated(curve, union) for curve in curves])
    table = np.full((len(curves), len(union)), np.nan)
    for row, (steps, values) in zip(table, curves, strict=True):
        row[np.searchsorted(union, steps)] = values
    return union, table


def _have_all(curves: Sequence[Curve], union: npt.NDArray[Any]) -> bool:
    """Tell whether each curve has all steps of the `union` as far as it reaches."""
    reaches = (np.searchsorted(union, [steps[0], steps[-1]]) for steps, _ in curves)
    return all(last - first + 1 == len(steps) for (first, last), (steps, _) in zip(reaches, curves, strict=True))


def _interpolated(curve: Curve, at: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the values between the first and the last one of a curve; there are none outside.

    Next to NaN or infinity that was logged, there is no other number in between.
    """
    steps, values = curve
    if not len(steps):
        return np.full(len(at), np.nan)
    after = np.searchsorted(steps, at).clip(0, len(steps) - 1)
    before = np.where(steps[after] == at, after, after - 1).clip(0)
    found = np.interp(at, steps, np.where(np.isfinite(values), values, 0.0), left=np.nan, right=np.nan)
    # The sum of an infinite and a finite number is infinite, that with NaN is NaN.
    with np.errstate(invalid="ignore"):
        ends = values[before] + values[after]
    is_within = (at >= steps[0]) & (at <= steps[-1])
    return np.asarray(np.where(is_within & ~np.isfinite(ends), ends, found))
