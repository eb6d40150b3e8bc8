"""Curves of runs as a picture: how the lines look, in which panels they are, and what the legend says of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlxp.errors import InvalidKeyError
from mlxp_reader.columns.keys import as_names, resolve_columns
from mlxp_reader.columns.runs import Runs
from mlxp_reader.evidence.cells import Question
from mlxp_reader.presentation.categories import Categories, Words, categories, words
from mlxp_reader.presentation.figures import Section, Width, inches, legend, letters_for, most_columns, panels, remember
from mlxp_reader.presentation.lines import (
    BANDS,
    Line,
    Request,
    alone,
    broken_off,
    ends,
    extremes,
    how_many,
    kept,
    lines_of,
)
from mlxp_reader.presentation.plot_style import DASHES, Palette, check_choice, colours, plain, pyplot, say_nothing

MOST_LABELS = 12
"""Of more lines or colours than this, not all have a label."""

MOST_ENDS = 4
"""On more lines than this, the places at which runs end have ticks, but no texts."""

_BROKEN_OFF = "then NaN or ∞"

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Look:
    """How lines are drawn: the categories that have a colour, a dash, and a panel each; see `DataFrame.plot_metric`."""

    hue: Categories
    style: Categories
    row: Categories
    col: Categories
    colours: list[Any]
    max_points: int
    has_hue: bool


def plot_metric(  # noqa: PLR0913 - each is one choice of how a picture looks
    frame: Runs,
    metric: str,
    *,
    hue: str | Sequence[str] | None = None,
    style: str | Sequence[str] | None = None,
    row: str | Sequence[str] | None = None,
    col: str | Sequence[str] | None = None,
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
    palette: Palette = None,
    order: Mapping[str, Sequence[Any]] | None = None,
    labels: Mapping[Any, str] | None = None,
    width: Width = None,
    ax: Any = None,
) -> Any:
    """Draw the curves of a metric with matplotlib: a line per run, or the mean over some runs and a band around it.

    Where runs end early, the line has a tick, and ``n=5→3`` above it says how many runs continue, once for all lines
    that end alike. The legend also shows this. A cross marks the last value before a run logged NaN or infinity.

    Parameters
    ----------
    hue, style, row, col
        Keys that give each value a colour, a dash, or a panel in a row or column. With several keys, such as
        ``hue=["lr", "depth"]``, each combination gets one. So do None, NaN and missing values.
    over
        The keys in which the runs behind one line differ, such as ``"seed"``; see `over`.
    band
        How far the band reaches: ``"std"``, ``"sem"``, ``"ci95"`` or ``"bootstrap"`` around the mean,
        ``"min-max"``, ``"iqr"`` (the quartiles, around the median), or None.
    x
        The horizontal axis: ``"step"``; ``"time"``, the seconds since the run started, even if the task did not log
        them; or another metric of the same records. A metric of another file, such as ``"train.tokens"``, needs a step
        that both files have.
    step
        The key that holds the step; see `history`.
    align
        How the curves of one group are aligned; see `SeedGroups.aggregate`. By default ``"union"``, or
        ``"interpolate"`` if they were logged at different places.
    smooth
        From 0 to less than 1: the weight of earlier values in the moving average of each run. NaN and infinite values
        stay as they are.
    logx, logy
        Whether the axes are logarithmic.
    max_points
        Lines with more points are reduced to this many points, which preserve peaks and dips.
    exclude
        Patterns of keys to ignore although they vary; see `over`.
    palette
        The colours of `hue`: the name of one of matplotlib's colour maps, a list, or a colour for each value.
    order
        The order of the values of keys, such as ``{"model": ["vit", "mlp"]}``; other values follow.
    labels
        Other names for keys, their values and the metric.
    width
        ``"column"`` or ``"page"`` of a paper, or a number of inches: a figure of that width with a small font. By
        default, a figure for the screen.
    ax
        Axes to draw into, such as a cell of a grid; by default new ones.

    Returns
    -------
    matplotlib.axes.Axes
        With `col`, an array of axes; with `row`, an array with rows and columns.

    Raises
    ------
    InvalidKeyError
        If there is no such metric, key or choice, or the metric has one value per run, which is not a curve.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlxp_reader import DataFrame
    >>> curves = pd.array([[3.0, 2.0, 1.0], [5.0, 4.0]], dtype="metric")
    >>> runs = DataFrame({"config.seed": [1, 2], "val.loss": curves})
    >>> axes = runs.plot_metric("val.loss", over="seed")
    >>> axes.get_legend().get_texts()[0].get_text()
    'n=2→1'
    """
    check_choice("band", band, [*BANDS, None])
    if (row is not None or col is not None) and ax is not None:
        given = "col" if col is not None else "row"
        raise InvalidKeyError(f"{given} makes axes of its own; leave out either {given} or ax")
    inches(width)
    pyplot()  # before anything is read
    called = words(labels, order, frame.columns)
    asked = {"hue": hue, "style": style, "row": row, "col": col}
    channels = {name: resolve_columns(frame, keys) for name, keys in asked.items()}
    by = list(dict.fromkeys(key for keys in channels.values() for key in keys))
    lines, x_label = lines_of(frame, Request(metric, x, step, as_names(over), by, band, align, smooth, exclude))
    look = _look(lines, channels, called, palette, max_points)
    names = {"xlabel": plain(called.name(x_label, x_label)), "ylabel": plain(called.name(metric, metric))}
    scales = {**({"xscale": "log"} if logx else {}), **({"yscale": "log"} if logy else {})}
    with letters_for(width):
        axes = _drawn(lines, look, names | scales, width, ax)
    shown = Question([metric], None, resolve_columns(frame, over), as_names(exclude))
    remember(axes.flat[0], frame, "plot_metric", shown)
    return axes if channels["row"] else axes.ravel() if channels["col"] else axes.flat[0]


def _look(lines: list[Line], channels: dict[str, list[str]], called: Words, palette: Palette, max_points: int) -> Look:
    """Choose a colour for each hue, or for each line if there is no hue, and a dash and a panel for each category."""

    def found(keys: list[str], *, with_keys: bool) -> Categories:
        values = [tuple(line.setting[key] for key in keys) for line in lines]
        return categories(keys, values, called, with_keys=with_keys)

    named = [key for keys in channels.values() for key in keys]
    others = [key for key in (lines[0].setting if lines else {}) if key not in named]
    if channels["style"] and not any(line.is_mean for line in lines):
        others = []  # runs that look alike
    hue = found(channels["hue"] or others, with_keys=not channels["hue"])
    values = [value[0] if len(value) == 1 else value for value in hue.combinations]
    return Look(
        hue=hue,
        style=found(channels["style"], with_keys=False),
        row=found(channels["row"], with_keys=True),
        col=found(channels["col"], with_keys=True),
        colours=colours(values, palette),
        max_points=max_points,
        has_hue=bool(channels["hue"]),
    )


def _drawn(lines: list[Line], look: Look, settings: dict[str, Any], width: Width, ax: Any) -> Array:
    """Draw all lines, each in its panel, and return the panels."""
    sections = _sections(lines, look)
    axes = np.array([[ax]], dtype=object) if ax is not None else _panels(look, width, sections)
    places = [(look.row.place_of(line.setting), look.col.place_of(line.setting)) for line in lines]
    columns = max(1, len(look.col))
    for at, axis in enumerate(axes.flat):
        mine = [line for line, (row, col) in zip(lines, places, strict=True) if row * columns + col == at]
        _draw(axis, mine, look)
        axis.set(**settings)
        if settings.get("xscale") != "log" and all((line.x % 1 == 0).all() for line in mine):
            axis.xaxis.get_major_locator().set_params(integer=True)  # there is no epoch 2.5
        if len(mine) <= MOST_ENDS:
            _tell_ends(axis, mine)
    if ax is None:
        _label_outer(axes)
    legend(axes, sections, width, is_ours=ax is None)
    return axes


def _panels(look: Look, width: Width, sections: list[Section]) -> Array:
    """Return a panel for each row and column; columns alone go on in a next row where there is no room."""
    total = max(1, len(look.col))
    columns = total if look.row.keys else min(total, most_columns(width))
    rows = max(1, len(look.row)) if look.row.keys else -(-total // columns)
    axes = panels((rows, columns), width, sum(1 + len(entries) for _, entries in sections))
    if not look.row.keys:
        for axis in axes.flat[total:]:
            axis.figure.delaxes(axis)
        axes = axes.reshape(1, -1)[:, :total]
    for axis, text in zip(axes[0], look.col.texts if look.col.keys else [], strict=False):
        axis.set_title(plain(text))
    for axis, text in zip(axes[:, -1], look.row.texts if look.row.keys else [], strict=False):
        place = {"xycoords": "axes fraction", "xytext": (4, 0), "textcoords": "offset points"}
        turned = {"va": "center", "rotation": 270, "annotation_clip": False}
        axis.annotate(plain(text), (1.0, 0.5), fontsize=axis.title.get_fontsize(), **place, **turned)
    return axes


def _label_outer(axes: Array) -> None:
    """Label axes only on the pictures at the left, and on those that have none below them."""
    grid = axes.flat[0].get_gridspec()
    for at, axis in enumerate(axes.flat):
        if at % grid.ncols:
            axis.set_ylabel("")
        if at + grid.ncols < axes.size:
            axis.set_xlabel("")
        else:
            axis.xaxis.set_tick_params(which="both", labelbottom=True)


def _draw(axis: Any, lines: list[Line], look: Look) -> None:
    for line in lines:
        colour = look.colours[look.hue.place_of(line.setting)]
        dash = DASHES[look.style.place_of(line.setting) % len(DASHES)]
        drops = ends(line.counts)
        at, bins = kept(line.middle, look.max_points, drops)
        ticks = {"marker": "|", "markersize": 9, "markevery": np.searchsorted(at, drops).tolist()} if len(drops) else {}
        axis.plot(line.x[at], line.middle[at], color=colour, linestyle=dash, **ticks)
        if (single := alone(line.middle)).any():
            axis.plot(line.x[single], line.middle[single], ".", color=colour)
        if (last := broken_off(line.middle)).any():
            axis.plot(line.x[last], line.middle[last], "x", color=colour, markersize=6)
        if line.low is not None and line.high is not None:
            low, high = extremes(line.low, np.fmin, bins), extremes(line.high, np.fmax, bins)
            axis.fill_between(line.x[at], low[at // bins], high[at // bins], color=colour, alpha=0.2, linewidth=0)
    if not lines:
        say_nothing(axis)


def _sections(lines: list[Line], look: Look) -> list[Section]:
    """Return what the legend says: of colours and dashes, each with its runs, and what the marks mean."""
    from matplotlib.lines import Line2D

    parts = _parts(lines, look)
    is_mean = any(line.is_mean for line in lines)
    counts = _counts(lines) if is_mean else ""
    has_as_many = "→" not in counts and ".." not in counts
    is_note = is_mean and (not parts or (len(parts) > 1 and has_as_many))
    told = None if is_note or not is_mean else _telling(lines, [channel for channel, _, _ in parts])
    sections = [
        _section(channel, title, handles, _by_value(lines, channel) if at == told else {})
        for at, (channel, title, handles) in enumerate(parts)
    ]
    notes = [(Line2D([], [], linestyle="none"), counts)] if is_note else []
    if any(broken_off(line.middle).any() for line in lines):
        notes.append((Line2D([], [], color="gray", marker="x", linestyle="none"), _BROKEN_OFF))
    if notes:
        title, entries = sections.pop() if sections else ("", [])
        sections.append((title, [*entries, *notes]))
    return sections


def _parts(lines: list[Line], look: Look) -> list[tuple[Categories, str, list[Any]]]:
    """Return the kinds of looks that the legend tells: the categories, a title, and a swatch for each of them."""
    from matplotlib.lines import Line2D

    is_same = look.has_hue and look.style.keys == look.hue.keys
    has_labels = look.has_hue or (look.hue.keys and 1 < len(look.hue) <= MOST_LABELS)
    parts = []
    if has_labels or (len(lines) == 1 and lines[0].is_mean and not look.style.keys):
        dashes: list[Any] = [DASHES[at % len(DASHES)] if is_same else "-" for at in range(len(look.hue))]
        shades = [Line2D([], [], color=c, linestyle=dash) for c, dash in zip(look.colours, dashes, strict=True)]
        parts.append((look.hue, look.hue.title if look.has_hue else "", shades))
    if look.style.keys and not is_same:
        greys = [Line2D([], [], color="gray", linestyle=dash) for dash in DASHES]
        parts.append((look.style, look.style.title, greys))
    return parts


def _section(channel: Categories, title: str, handles: list[Any], by_value: dict[int, list[Line]]) -> Section:
    """Return the entries of one kind; of more shades than can be told apart, some show which way they go."""
    count = len(channel)
    if len(handles) < count:
        return plain(f"{title}: {count} values"), []
    chosen = range(count) if count <= MOST_LABELS else np.linspace(0, count - 1, 5).astype(int).tolist()
    entries = []
    for at in chosen:
        text, n = channel.texts[at], _counts(by_value[at]) if by_value else ""
        entries.append((handles[at], plain(f"{text} ({n})" if text and n else text or n)))
    return plain(title if len(entries) == count else f"{title}: {count} values"), entries


def _telling(lines: list[Line], channels: list[Categories]) -> int | None:
    """Return which of some channels tells best how many runs there are: its lines of one look have as many."""
    alike = [sum(".." not in _counts(mine) for mine in _by_value(lines, one).values()) / len(one) for one in channels]
    return alike.index(max(alike)) if alike else None


def _by_value(lines: list[Line], channel: Categories) -> dict[int, list[Line]]:
    found: dict[int, list[Line]] = {}
    for line in lines:
        found.setdefault(channel.place_of(line.setting), []).append(line)
    return found


def _counts(lines: list[Line]) -> str:
    """Return how many runs each of some lines stands for, as text."""
    texts = {how_many(line.counts) for line in lines}
    if len(texts) == 1:
        return texts.pop()
    every = np.concatenate([line.counts for line in lines])
    return f"n={every.min()}..{every.max()}"


def _tell_ends(axis: Any, lines: list[Line]) -> None:
    """Write how many runs go on where fewer of them do: of lines that end alike, above the highest one."""
    highest: dict[tuple[float, str], float] = {}
    for line in lines:
        for x, text, height in _told_ends(line):
            highest[x, text] = np.fmax(height, highest.get((x, text), np.nan))
    taken: list[tuple[float, float, float]] = []  # the left, the right and the bottom of the texts, in points
    for (x, text), height in highest.items():
        middle, above = axis.transData.transform((x, height)) / axis.figure.dpi * 72
        half = 2.4 * len(text)
        bottom = above + 4
        while any(
            left < middle + half and right > middle - half and abs(low - bottom) < 9 for left, right, low in taken
        ):
            bottom += 9
        taken.append((middle - half, middle + half, bottom))
        place = {"xytext": (0, bottom - above), "textcoords": "offset points", "ha": "center", "va": "bottom"}
        axis.annotate(text, (x, height), fontsize="x-small", **place)


def _told_ends(line: Line) -> Iterator[tuple[float, str, float]]:
    """Yield where it is told how many runs go on, at each end or at the first of close ones, how, and above what."""
    drops = ends(line.counts)
    gaps = np.diff(line.x[drops])
    is_apart = len(gaps) == 0 or gaps.min() > np.ptp(line.x) / 8
    above = line.middle if line.high is None else np.fmax(line.middle, line.high)
    for end in drops.tolist() if is_apart else drops[:1].tolist():
        if np.isfinite(above[end]):
            yield (
                float(line.x[end]),
                f"n={line.counts[end - 1]}→{line.counts[end if is_apart else -1]}",
                float(above[end]),
            )
