"""Curves of runs as a picture: a line per run or per group of runs, with a band that shows how much these differ."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlxp.errors import InvalidKeyError
from mlxp_reader.analysis.alignment import Curve, align, curves_by_run, in_order
from mlxp_reader.analysis.curves import curves, log_name_of, run_ids, step_name
from mlxp_reader.analysis.seed_statistics import spread
from mlxp_reader.analysis.seeds import seed_groups
from mlxp_reader.columns.keys import as_names, resolve_columns, setting, short, shown
from mlxp_reader.columns.runs import Runs
from mlxp_reader.notices import notice, some
from mlxp_reader.presentation.plot_style import DASHES, check_choice, colours, plain, pyplot, say_nothing

Array = npt.NDArray[Any]

BANDS = ("std", "sem", "ci95", "bootstrap", "minmax", "min-max", "iqr")
"""What a band shows: around the mean, or for ``iqr``, the quartiles around the median."""

MOST_LABELS = 12
"""More lines than this have no label each."""

MOST_ENDS = 4
"""On more lines than this, the places at which runs end have ticks, but no texts."""


@dataclass(frozen=True, slots=True)
class Look:
    """How curves are drawn; see `DataFrame.plot_metric`."""

    hue: str | None
    style: str | None
    col: str | None
    band: str | None
    max_points: int
    is_averaged: bool
    colours: dict[str, Any] = field(default_factory=dict)
    dashes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """One line: of which setting, where, how far the band is, and how many runs it stands for at each place."""

    setting: dict[str, Any]
    x: Array
    middle: Array
    low: Array | None
    high: Array | None
    counts: Array


def plot_metric(  # noqa: PLR0913 - each is one choice of how a picture looks
    frame: Runs,
    metric: str,
    *,
    hue: str | None = None,
    style: str | None = None,
    col: str | None = None,
    over: str | Sequence[str] = (),
    band: str | None = "std",
    x: str = "step",
    step: str | None = None,
    align: str | None = None,
    smooth: float = 0.0,
    logx: bool = False,
    logy: bool = False,
    max_points: int = 2000,
    exclude: str | Iterable[str] | None = None,
    ax: Any = None,
) -> Any:
    """Draw the curves of a metric by matplotlib: a line per run, or the mean over some runs and a band around it.

    Where runs end early, the line has a tick, and ``n=5→3`` above says how many go on, once for all lines that end
    alike; so does its label for the line as a whole.

    Parameters
    ----------
    hue, style, col
        Keys whose values have a colour, a dash, or a picture of their own.
    over
        The keys that the runs behind one line differ in, such as ``"seed"``; see `over`.
    band
        How far the band reaches: ``"std"``, ``"sem"``, ``"ci95"`` or ``"bootstrap"`` around the mean,
        ``"min-max"``, ``"iqr"`` (the quartiles, around the median), or None.
    x
        What the curves are drawn against: ``"step"``, or another metric, of the same file if it is only a key, such
        as ``"time"``; it is joined as `history` does.
    step
        The key that tells the step; see `history`.
    align
        How curves of one group are brought together; see `SeedGroups.aggregate`. By default ``"union"``, or
        ``"interpolate"`` if they were logged at different places.
    smooth
        From 0 to less than 1: the weight of what came before in the moving average of each run.
    logx, logy
        Whether the axes are logarithmic.
    max_points
        Lines of more points are drawn by this many, which keep their ups and downs.
    exclude
        Patterns of keys that do not matter although they vary; see `over`.
    ax
        Axes to draw into, a cell of a grid say; by default new ones.

    Returns
    -------
    matplotlib.axes.Axes
        With `col`, an array of them.

    Raises
    ------
    InvalidKeyError
        If there is no such metric, key or choice.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from mlxp_reader import DataFrame
    >>> curves = pd.array([[3.0, 2.0, 1.0], [5.0, 4.0]], dtype="metric")
    >>> runs = DataFrame({"config.seed": [1, 2], "val.loss": curves})
    >>> axes = runs.plot_metric("val.loss", over="seed")
    >>> axes.get_legend().get_texts()[0].get_text()
    'n=2→1'
    """
    check_choice("band", band, [*BANDS, None])
    if not 0 <= smooth < 1:
        raise InvalidKeyError(f"smooth is a number from 0 (not at all) to less than 1, not {smooth}")
    if col is not None and ax is not None:
        raise InvalidKeyError("col makes Axes of its own: leave out either col or ax")
    hue, style, col = (resolve_columns(frame, name)[0] if name else None for name in (hue, style, col))
    by = [key for key in dict.fromkeys((hue, style, col)) if key]
    found, x_label = _curves(frame, metric, x, step)
    found = [(at, _smoothed(values, smooth)) for at, values in found]
    look = Look(hue, style, col, band, max_points, is_averaged=bool(over))
    lines = (
        _averaged(frame, found, as_names(over), by, exclude, look, align) if over else _single(frame, found, by, look)
    )
    _choose_looks(look, lines)
    axes = _axes(lines, look, ax)
    for (_, mine), axis in zip(_panels(lines, look), axes.flat, strict=False):
        _draw(axis, mine, look)
        scales = {**({"xscale": "log"} if logx else {}), **({"yscale": "log"} if logy else {})}
        axis.set(xlabel=plain(x_label), ylabel=plain(metric), **scales)
        if x == "step" and not logx and all((line.x % 1 == 0).all() for line in mine):
            axis.xaxis.get_major_locator().set_params(integer=True)  # there is no epoch 2.5
    if ax is None:
        _label_outer(axes)
    return axes if col is not None else axes.flat[0]


def _curves(frame: Runs, metric: str, x: str, step: str | None) -> tuple[list[Curve], str]:
    log_name = log_name_of(frame, metric)
    if x == "step":
        label = short(step_name(frame, log_name, step) or "step").rpartition(".")[2]
        return curves_by_run(curves(frame, [metric], step), metric, len(frame)), label
    place = x if x in frame.columns else f"{log_name}.{x}"
    both = curves(frame, [metric, place], step)
    values, places = (np.asarray(both.columns[name]) for name in (metric, place))
    if np.dtype(object) in {values.dtype, places.dtype}:
        raise InvalidKeyError(f"{metric} or {place} holds texts, which are not to be drawn")
    there = ~(np.isnan(values) | np.isnan(places))
    if len(there) and not there.any():
        notice(f"{metric} and {place} were never logged at the same step")
    edges = np.searchsorted(both.run[there], np.arange(len(frame) + 1)).tolist()
    pairs = places[there], values[there].astype(np.float64)
    return [in_order(*(column[a:b] for column in pairs)) for a, b in pairwise(edges)], x


def _smoothed(values: Array, smooth: float) -> Array:
    if not smooth or not len(values):
        return values
    # The first values count as much as there are; with plain weights, a curve would start at its first value.
    return np.asarray(pd.Series(values).ewm(alpha=1 - smooth, adjust=True, ignore_na=True).mean())


def _single(frame: Runs, found: list[Curve], by: list[str], look: Look) -> list[Line]:
    ids = run_ids(frame).tolist()
    lines = []
    for run, (x, values) in enumerate(found):
        if len(x):
            told = {key: frame[key].iloc[run] for key in by}
            if look.hue is None and look.style is None:
                told["run"] = ids[run]
            lines.append(Line(told, x, values, None, None, np.ones(len(x), dtype=np.int64)))
    return lines


def _averaged(  # noqa: PLR0913, PLR0917 - what is averaged, over what, and how
    frame: Runs, found: list[Curve], over: list[str], by: list[str], exclude: Any, look: Look, how: str | None
) -> list[Line]:
    groups = seed_groups(frame, over, exclude, by=by or None, may_mix=True)
    others = list(map(short, groups.mixed))
    if others:
        vary = f"var{'y' if len(others) > 1 else 'ies'}"
        notice(f"{some(others)} {vary} too, so that several lines look alike; name that as hue, style or col")
    lines = []
    for group in range(len(groups)):
        mine = [found[run] for run in groups.places(group) if len(found[run][0])]
        if mine:
            x, table = align(mine, how)
            told = groups.settings.iloc[group].to_dict()
            lines.append(Line({str(key): value for key, value in told.items()}, x, *spread_around(table, look.band)))
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
        return centre, centre - numbers[low], centre + numbers[high], counts
    return centre, numbers[low], numbers[high], counts


def _choose_looks(look: Look, lines: list[Line]) -> None:
    """Choose a colour for each hue, or for each line if there is no hue, and a dash for each style."""
    hues = _different(_hue(line, look) for line in lines)
    look.colours.update(zip(hues, colours(list(hues.values())), strict=True))
    styles = _different(line.setting[look.style] for line in lines) if look.style else {}
    look.dashes.update({text: DASHES[at % len(DASHES)] for at, text in enumerate(styles)})


def _hue(line: Line, look: Look) -> Any:
    if look.hue:
        return line.setting[look.hue]
    others = {key: value for key, value in line.setting.items() if key not in {look.style, look.col}}
    return next(iter(others.values())) if len(others) == 1 else setting(others)


def _different(values: Iterable[Any]) -> dict[str, Any]:
    found = {shown(value): value for value in values}
    try:
        return dict(sorted(found.items(), key=lambda item: item[1]))
    except TypeError:  # values of several kinds
        return found


def _panels(lines: list[Line], look: Look) -> list[tuple[str, list[Line]]]:
    if look.col is None:
        return [("", lines)]
    texts = _different(line.setting[look.col] for line in lines)
    return [(text, [line for line in lines if shown(line.setting[look.col]) == text]) for text in texts] or [("", [])]


def _axes(lines: list[Line], look: Look, ax: Any) -> Array:
    if ax is not None:
        return np.array([ax], dtype=object)
    panels = _panels(lines, look)
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    plt = pyplot()
    default = plt.rcParams["figure.figsize"]
    size = default if len(panels) == 1 else (4.2 * columns, 3.4 * rows)
    figure, axes = plt.subplots(
        rows, columns, sharex=True, sharey=True, squeeze=False, layout="constrained", figsize=size
    )
    for (text, _), axis in zip(panels, axes.flat, strict=False):
        if look.col is not None:
            axis.set_title(plain(f"{short(look.col)}={text}"))
    for axis in axes.flat[len(panels) :]:
        figure.delaxes(axis)
    return np.asarray(axes.flat[: len(panels)], dtype=object)


def _label_outer(axes: Array) -> None:
    """Leave the labels of axes to the pictures at the left, and to those below which there is none."""
    columns = axes[0].get_gridspec().ncols
    for at, axis in enumerate(axes):
        if at % columns:
            axis.set_ylabel("")
        if at + columns < len(axes):
            axis.set_xlabel("")
        else:
            axis.xaxis.set_tick_params(which="both", labelbottom=True)


def _draw(axis: Any, lines: list[Line], look: Look) -> None:
    labels: set[str | None] = set()
    for line in lines:
        colour = look.colours[shown(_hue(line, look))]
        dash = look.dashes[shown(line.setting[look.style])] if look.style else "-"
        ends = _ends(line.counts)
        at, bins = _kept(line.middle, look.max_points, ends)
        label = _label(line, look) if len(lines) <= MOST_LABELS else None
        if label in labels and not look.is_averaged:
            label = None  # a run that looks like another
        labels.add(label)
        ticks = {"marker": "|", "markersize": 9, "markevery": np.searchsorted(at, ends).tolist()} if len(ends) else {}
        axis.plot(line.x[at], line.middle[at], color=colour, linestyle=dash, linewidth=1.4, label=label, **ticks)
        if (alone := _alone(line.middle)).any():
            axis.plot(line.x[alone], line.middle[alone], ".", color=colour)
        if line.low is not None and line.high is not None:
            low, high = _extremes(line.low, np.fmin, bins), _extremes(line.high, np.fmax, bins)
            axis.fill_between(line.x[at], low[at // bins], high[at // bins], color=colour, alpha=0.2, linewidth=0)
    if len(lines) <= MOST_ENDS:
        _tell_ends(axis, lines)
    if len(lines) > MOST_LABELS:
        _label_looks(axis, lines, look)
    elif len(lines) > 1 or (lines and look.is_averaged):
        axis.legend(title=plain(short(look.hue)) if look.hue and not look.style else None)
    if not lines:
        say_nothing(axis)


def _alone(values: Array) -> npt.NDArray[np.bool_]:
    """Tell which values have none beside them, so that no line goes through them."""
    there = np.pad(np.isfinite(values), 1)
    return np.asarray(there[1:-1] & ~there[:-2] & ~there[2:])


def _ends(counts: Array) -> npt.NDArray[np.intp]:
    """Return the places from which on fewer runs are there, after the last at which one came in addition."""
    change = np.diff(counts)
    rises = np.flatnonzero(change > 0)
    drops = np.flatnonzero(change < 0) + 1
    return np.asarray(drops[drops > rises.max(initial=-1)])


def _tell_ends(axis: Any, lines: list[Line]) -> None:
    """Write how many runs go on where fewer of them do: of lines that end alike, above the highest one."""
    highest: dict[tuple[float, str], float] = {}
    for line in lines:
        for x, text, height in _told_ends(line):
            highest[x, text] = np.fmax(height, highest.get((x, text), np.nan))
    for (x, text), height in highest.items():
        place = {"xytext": (0, 4), "textcoords": "offset points", "ha": "center", "va": "bottom"}
        axis.annotate(text, (x, height), fontsize="x-small", **place)


def _told_ends(line: Line) -> Iterator[tuple[float, str, float]]:
    """Yield where it is told how many runs go on, at each end or at the first of close ones, how, and above what."""
    ends = _ends(line.counts)
    gaps = np.diff(line.x[ends])
    is_apart = len(gaps) == 0 or gaps.min() > np.ptp(line.x) / 8
    above = line.middle if line.high is None else np.fmax(line.middle, line.high)
    for end in ends.tolist() if is_apart else ends[:1].tolist():
        yield float(line.x[end]), f"n={line.counts[end - 1]}→{line.counts[end if is_apart else -1]}", float(above[end])


def _kept(values: Array, most: int, also: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.intp], int]:
    """Return which points of a line are drawn: `also`, the highest and lowest of each bin; and how many a bin has."""
    if len(values) <= most:
        return np.arange(len(values)), 1
    width = -(-2 * len(values) // most)
    padded = _binned(values, width)
    starts = np.arange(len(padded)) * width
    lowest = np.where(np.isnan(padded), np.inf, padded).argmin(axis=1)
    highest = np.where(np.isnan(padded), -np.inf, padded).argmax(axis=1)
    at = np.concatenate([[0, len(values) - 1], also, starts + lowest, starts + highest])
    return np.unique(at[at < len(values)]), width


def _binned(values: Array, width: int) -> Array:
    padding = np.full(-len(values) % width, np.nan)
    return np.concatenate([values, padding]).reshape(-1, width)


def _extremes(values: Array, of: np.ufunc, width: int) -> Array:
    return values if width == 1 else np.asarray(of.reduce(_binned(values, width), axis=1))


def _label(line: Line, look: Look) -> str:
    keys = [key for key in line.setting if key != look.col]
    is_bare = look.hue is not None and set(keys) == {look.hue}  # then the title names the key
    text = shown(line.setting[look.hue or ""]) if is_bare else setting({key: line.setting[key] for key in keys})
    if not look.is_averaged:
        return plain(text)
    return plain(f"{text} ({how_many(line.counts)})") if text else how_many(line.counts)


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


def _label_looks(axis: Any, lines: list[Line], look: Look) -> None:
    """Label the colours and the dashes, where there are too many lines to label each."""
    handles: list[Any] = []
    texts: list[str] = []
    if look.hue:
        hues = list(look.colours)
        # Of more shades than can be told apart, some show which way they go.
        few = hues if len(hues) <= MOST_LABELS else [hues[at] for at in np.linspace(0, len(hues) - 1, 5).astype(int)]
        handles += [axis.plot([], [], color=look.colours[text])[0] for text in few]
        texts += [plain(f"{short(look.hue)}={text}") for text in few]
    if look.style and len(look.dashes) <= len(DASHES):
        handles += [axis.plot([], [], color="gray", linestyle=dash)[0] for dash in look.dashes.values()]
        texts += [plain(f"{short(look.style)}={text}") for text in look.dashes]
    if handles:
        axis.legend(handles, texts, title=f"{len(lines)} lines")
