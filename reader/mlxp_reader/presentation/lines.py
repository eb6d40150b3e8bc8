"""The lines of a picture of curves: one per run, or one per group of runs with a band that shows how much they differ.

This module computes what is drawn; `mlxp_reader.presentation.plots` decides how it looks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlxp.errors import InvalidKeyError
from mlxp_reader.analysis.alignment import Curve, align, curves_by_run, in_order
from mlxp_reader.analysis.seed_statistics import spread
from mlxp_reader.analysis.seeds import seed_groups
from mlxp_reader.columns.curves import beside, curves, is_wall_time, log_name_of, run_labels, step_name
from mlxp_reader.columns.keys import as_names, resolve_columns, short
from mlxp_reader.columns.runs import Runs
from mlxp_reader.notices import notice, some

Array = npt.NDArray[Any]

BANDS = ("std", "sem", "ci95", "bootstrap", "minmax", "min-max", "iqr")
"""What a band shows: around the mean, or for ``iqr``, the quartiles around the median."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be drawn; see `DataFrame.plot_metric`."""

    metric: str
    x: str
    step: str | None
    over: str | Sequence[str]
    by: list[str]
    band: str | None
    align: str | None
    smooth: float
    exclude: str | Iterable[str] | None


@dataclass(frozen=True, slots=True)
class Line:
    """One line, a run or a mean: of which setting, where, how far its band is, of how many runs at each place."""

    setting: dict[str, Any]
    x: Array
    middle: Array
    low: Array | None
    high: Array | None
    counts: Array
    is_mean: bool


def lines_of(frame: Runs, request: Request) -> tuple[list[Line], str]:
    """Return the lines of a frame of runs, and what their x axis shows.

    Raises
    ------
    InvalidKeyError
        If there is no such metric or key, or the metric is no curve.
    """
    if not 0 <= request.smooth < 1:
        raise InvalidKeyError(f"smooth is a number from 0 (not at all) to less than 1, not {request.smooth}")
    found, x_label = _curves(frame, request)
    _refuse_single_values(frame, request, found)
    found = [(at, smoothed(values, request.smooth)) for at, values in found]
    return _averaged(frame, found, request) if request.over else _single(frame, found, request), x_label


def _curves(frame: Runs, request: Request) -> tuple[list[Curve], str]:
    metric, x, step = request.metric, request.x, request.step
    log_name = log_name_of(frame, metric)
    if x == "step":
        label = short(step_name(frame, log_name, step) or "step").rpartition(".")[2]
        return curves_by_run(curves(frame, [metric], step), metric, len(frame)), label
    if x not in frame.columns and is_wall_time(frame, log_name, x):
        return curves_by_run(curves(frame, [metric], x), metric, len(frame)), "time (s)"
    place = x if x in frame.columns else f"{log_name}.{x}"
    _refuse_unrelated(frame, metric, place, step)
    found = beside(frame, metric, place, step)
    places, values = found.step, found.columns[metric]
    if np.dtype(object) in {values.dtype, places.dtype}:
        raise InvalidKeyError(f"{metric} or {place} holds text, which cannot be drawn")
    if len(values) and np.isnan(places).all():
        notice(f"{metric} and {place} were never logged at the same step")
    edges = np.searchsorted(found.run, np.arange(len(frame) + 1)).tolist()
    return [in_order(places[a:b], values[a:b].astype(np.float64)) for a, b in pairwise(edges)], x


def _refuse_unrelated(frame: Runs, metric: str, place: str, step: str | None) -> None:
    """Raise an error if `place` is of another file, and nothing tells which of its records belongs to which value."""
    mine, other = log_name_of(frame, metric), log_name_of(frame, place)
    if mine == other:
        return
    clocks = [(step_name(frame, log, step) or "").removeprefix(f"{log}.") for log in (mine, other)]
    if not clocks[0] or clocks[0] != clocks[1]:
        counted = [f"{log} counts by {clock or 'records'}" for log, clock in zip((mine, other), clocks, strict=True)]
        why = " and ".join(counted)
    elif _is_repeated(frame, metric, place, step):
        why = f"{other} has several records for one {clocks[0]} of {mine}"
    else:
        return
    raise InvalidKeyError(
        f"x={place!r} comes from another file than {metric}, and MLXP cannot tell which records belong together: {why};"
        f" log {place.removeprefix(f'{other}.')} beside {metric}, or draw against a step that both have,"
        " or against x='time', the seconds since the run started"
    )


def _is_repeated(frame: Runs, metric: str, place: str, step: str | None) -> bool:
    """Tell whether the file of `place` has more records of any step than that of `metric`."""
    counts = []
    for name in (metric, place):
        found = curves(frame, [name], step)
        counts.append(pd.Series(found.run).groupby([found.run, found.step]).size())
    both = pd.concat(counts, axis=1, join="inner")
    return bool((both[1] > both[0]).any())


def _refuse_single_values(frame: Runs, request: Request, found: list[Curve]) -> None:
    lengths = [len(x) for x, _ in found if len(x)]
    if request.x != "step" or len(lengths) < 2 or max(lengths) > 1:
        return
    over = resolve_columns(frame, as_names(request.over))
    key = next((short(key) for key in frame.diff() if key not in over), "KEY")
    raise InvalidKeyError(
        f"{request.metric} has one value per run, which is not a curve:"
        f" plot_sweep({key!r}, '{request.metric}.last') draws it along a key,"
        f" and table({key!r}, value='{request.metric}.last') shows it"
    )


def smoothed(values: Array, smooth: float) -> Array:
    """Return the moving average of a curve; NaN and infinite values stay as they are, and are part of no average.

    Examples
    --------
    >>> smoothed(np.array([3.0, np.inf, 1.0, np.nan]), 0.5).round(2).tolist()
    [3.0, inf, 1.67, nan]
    """
    there = np.isfinite(values)
    if not smooth or not there.any():
        return values
    averages = np.array(values, dtype=np.float64)
    # The first values count as much as there are; with plain weights, a curve would start at its first value.
    averages[there] = pd.Series(values[there]).ewm(alpha=1 - smooth, adjust=True).mean()
    return averages


def _single(frame: Runs, found: list[Curve], request: Request) -> list[Line]:
    ids = run_labels(frame).tolist()
    lines = []
    for run, (x, values) in enumerate(found):
        if len(x):
            told = {"run": ids[run], **{key: frame[key].iloc[run] for key in request.by}}
            lines.append(Line(told, x, values, None, None, np.ones(len(x), dtype=np.int64), is_mean=False))
    return lines


def _averaged(frame: Runs, found: list[Curve], request: Request) -> list[Line]:
    groups = seed_groups(frame, request.over, request.exclude, by=request.by or None, may_mix=True)
    if others := list(map(short, groups.mixed)):
        vary = f"var{'y' if len(others) > 1 else 'ies'}"
        notice(f"{some(others)} {vary} too, so several lines look alike; use hue, style or col for it")
    lines = []
    for group, values in enumerate(groups.values(groups.keys)):
        mine = [found[run] for run in groups.places(group) if len(found[run][0])]
        if mine:
            x, table = align(mine, request.align)
            told = dict(zip(groups.keys, values, strict=True))
            lines.append(Line(told, x, *spread_around(table, request.band), is_mean=True))
    return lines


def spread_around(table: Array, band: str | None) -> tuple[Array, Array | None, Array | None, Array]:
    """Return the middle of each column of `table`, the low and the high end of its band, and how many values it has."""
    middle, low, high = {
        "minmax": ("mean", "min", "max"),
        "min-max": ("mean", "min", "max"),
        "iqr": ("median", "q25", "q75"),
        "bootstrap": ("mean", "bootstrap_low", "bootstrap_high"),
    }.get(band or "", ("mean", band or "mean", band or "mean"))
    asked = ["bootstrap" if name.startswith("bootstrap") else name for name in (middle, low, high)]
    numbers = spread(table, list(dict.fromkeys([*asked, "count"])))
    centre, counts = numbers[middle], numbers["count"]
    if band is None:
        return centre, None, None, counts
    if low == high:
        with np.errstate(invalid="ignore"):  # of a run that diverged
            return centre, centre - numbers[low], centre + numbers[high], counts
    return centre, numbers[low], numbers[high], counts


def how_many(counts: Array) -> str:
    """Return how many runs a line stands for, as text.

    Examples
    --------
    >>> how_many(np.array([5, 5])), how_many(np.array([5, 4, 3])), how_many(np.array([1, 2]))
    ('n=5', 'n=5→3', 'n=1..2')
    """
    if counts.min() == counts.max():
        return f"n={counts[0]}"
    return f"n={counts.max()}→{counts[-1]}" if counts[-1] < counts.max() else f"n={counts.min()}..{counts.max()}"


def ends(counts: Array) -> npt.NDArray[np.intp]:
    """Return the places where runs drop out, after the last place where one is added."""
    change = np.diff(counts)
    rises = np.flatnonzero(change > 0)
    drops = np.flatnonzero(change < 0) + 1
    return np.asarray(drops[drops > rises.max(initial=-1)])


def alone(values: Array) -> npt.NDArray[np.bool_]:
    """Tell which values have none beside them, so that no line goes through them."""
    there = np.pad(np.isfinite(values), 1)
    return np.asarray(there[1:-1] & ~there[:-2] & ~there[2:])


def broken_off(values: Array) -> npt.NDArray[np.bool_]:
    """Tell which values are the last ones before NaN or infinity was logged."""
    there = np.append(np.isfinite(values), True)
    return np.asarray(there[:-1] & ~there[1:])


def kept(values: Array, most: int, also: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.intp], int]:
    """Return which points of a line are drawn: `also`, the highest and lowest of each bin; and how many a bin has."""
    if len(values) <= most:
        return np.arange(len(values)), 1
    width = -(-2 * len(values) // most)
    padded = _binned(values, width)
    starts = np.arange(len(padded)) * width
    lowest = np.where(np.isfinite(padded), padded, np.inf).argmin(axis=1)
    highest = np.where(np.isfinite(padded), padded, -np.inf).argmax(axis=1)
    gone = _changes(np.isfinite(values))
    at = np.concatenate([[0, len(values) - 1], also, gone, starts + lowest, starts + highest])
    return np.unique(at[at < len(values)]), width


def _changes(there: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Return the first and the last place of each gap, so that a line is not drawn across it."""
    edges = np.flatnonzero(there[1:] != there[:-1])
    if len(edges) > 1000:  # values that come and go at every other step
        return np.flatnonzero(~there)[:: max(1, len(there) // 1000)]
    return np.concatenate([edges, edges + 1])


def _binned(values: Array, width: int) -> Array:
    padding = np.full(-len(values) % width, np.nan)
    return np.concatenate([values, padding]).reshape(-1, width)


def extremes(values: Array, of: np.ufunc, width: int) -> Array:
    """Return the extreme of each bin of so many values."""
    return values if width == 1 else np.asarray(of.reduce(_binned(values, width), axis=1))
