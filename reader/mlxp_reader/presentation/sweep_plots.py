"""What a number became in a sweep: along one key, over two keys as a heat map, or over many of them side by side."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mlxp.errors import InvalidKeyError
from mlxp_reader.analysis.run_numbers import numbers_of
from mlxp_reader.analysis.seed_statistics import spread
from mlxp_reader.analysis.seeds import SeedGroups, seed_groups
from mlxp_reader.columns.keys import cut, resolve_columns, short, shown
from mlxp_reader.columns.runs import Runs
from mlxp_reader.presentation.plot_style import (
    check_choice,
    colours,
    is_numeric,
    plain,
    pyplot,
    say_nothing,
    set_texts,
    spans_decades,
    viridis,
)
from mlxp_reader.presentation.plots import BANDS, how_many, spread_around

Numbers = npt.NDArray[np.float64]

_CLOSE = 0.04
"""Numbers that are closer to one another on an axis of height 1 have no label each."""


def plot_sweep(  # noqa: PLR0913 - each is one choice of how a picture looks
    frame: Runs,
    keys: str | Sequence[str],
    value: str,
    *,
    over: str | Sequence[str] = (),
    hue: str | None = None,
    band: str | None = "std",
    logy: bool = False,
    exclude: str | Iterable[str] | None = None,
    ax: Any = None,
) -> Any:
    """Draw what a number became along a key of the configuration, or over two keys as a heat map of means.

    Parameters
    ----------
    keys
        One key, whose axis is logarithmic if its values span two decades; or two, for the rows and the columns.
    value
        A statistic of a metric such as ``"test.acc.last"``, or a column of numbers.
    over
        The keys over which means are taken, such as ``"seed"``.
    hue
        A key for whose values there is a line each.
    band
        How far the error bars reach; see `plot_metric`.
    logy
        Whether the axis of the number is logarithmic.
    exclude
        Patterns of keys that do not matter although they vary; see `over`.
    ax
        Axes to draw into; by default new ones.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InvalidKeyError
        If there is no such key or metric, or if another key varies, too.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from mlxp_reader import DataFrame
    >>> runs = DataFrame({"config.lr": [0.1, 0.1, 1.0], "config.seed": [1, 2, 1], "score": [1.0, 3.0, 5.0]})
    >>> runs.plot_sweep("lr", "score", over="seed").get_lines()[0].get_ydata().tolist()
    [2.0, 5.0]
    """
    check_choice("band", band, [*BANDS, None])
    along = resolve_columns(frame, keys)
    if len(along) not in {1, 2} or (len(along) == 2 and hue):
        raise InvalidKeyError("plot_sweep takes one key, or two without hue; plot_parallel draws any number of them")
    by = [*along, *resolve_columns(frame, hue)]
    groups = seed_groups(frame, over, exclude, by=by)
    table = groups.spread_out(numbers_of(frame, value))
    axis = pyplot().subplots(layout="constrained")[1] if ax is None else ax
    if len(along) == 2:
        _draw_heat_map(axis, groups, table, value)
        return axis
    _draw_lines(axis, groups, table, by, band)
    axis.set(xlabel=plain(short(along[0])), ylabel=plain(value), **({"yscale": "log"} if logy else {}))
    return axis


def _draw_lines(axis: Any, groups: SeedGroups, table: Numbers, by: list[str], band: str | None) -> None:
    places, positions = _positions(groups.settings[by[0]].tolist())
    hues = groups.settings[by[1]].tolist() if len(by) == 2 else [None] * len(groups)
    texts = list(dict.fromkeys(map(shown, hues)))
    chosen = colours([next(value for value in hues if shown(value) == text) for text in texts])
    middle, low, high, counts = spread_around(table, band)
    for text, colour in zip(texts, chosen, strict=True):
        mine = np.array([shown(value) == text for value in hues], dtype=np.bool_)
        at = np.flatnonzero(mine)[np.argsort(positions[mine], kind="stable")]
        runs = how_many(np.sort(counts[at]))
        label = f"{text} ({runs})" if len(by) == 2 else runs
        axis.plot(positions[at], middle[at], marker="o", markersize=4, color=colour, label=plain(label))
        if low is not None and high is not None:
            # Where there is one run only, there is no bar.
            lengths = np.nan_to_num([middle[at] - low[at], high[at] - middle[at]])
            axis.errorbar(positions[at], middle[at], lengths, fmt="none", ecolor=colour, capsize=3, alpha=0.8)
    if len(groups) and (groups.over or len(by) == 2):
        axis.legend(title=plain(short(by[1])) if len(by) == 2 else None)
    if not is_numeric(places):
        set_texts(axis.xaxis, list(map(shown, places)))
    elif spans_decades(places):
        axis.set_xscale("log")


def _positions(values: list[Any]) -> tuple[list[Any], Numbers]:
    """Return the different values of an axis, and the place of each: numbers where they are, others in a row."""
    different = list({shown(value): value for value in values}.values())
    if is_numeric(different):
        return different, np.array(values, dtype=np.float64)
    rank = {shown(value): at for at, value in enumerate(different)}
    return different, np.array([rank[shown(value)] for value in values], dtype=np.float64)


def _draw_heat_map(axis: Any, groups: SeedGroups, table: Numbers, value: str) -> None:
    numbers = spread(table, ["mean", "count"])
    if np.isnan(numbers["mean"]).all():
        say_nothing(axis)
        return
    (rows, row), (columns, column) = (_ranks(groups.settings[key].tolist()) for key in groups.keys[:2])
    cells = np.full((len(rows), len(columns)), np.nan)
    cells[row, column] = numbers["mean"]
    image = axis.imshow(cells, origin="lower", aspect="auto", cmap="viridis")
    axis.figure.colorbar(image, ax=axis, label=plain(value))
    set_texts(axis.xaxis, list(map(shown, columns)))
    set_texts(axis.yaxis, list(map(shown, rows)))
    axis.set(xlabel=plain(short(groups.keys[1])), ylabel=plain(short(groups.keys[0])))
    counts = np.zeros(cells.shape, dtype=np.int64)
    counts[row, column] = numbers["count"]
    for (y, x), number in np.ndenumerate(cells):
        shade = "gray" if math.isnan(number) else "black" if image.norm(number) > 0.5 else "white"
        text = "–" if math.isnan(number) else f"{number:.3g}{'†' * bool(counts[y, x] < counts.max())}"
        axis.text(x, y, text, ha="center", va="center", color=shade)
    if (counts[counts > 0] < counts.max(initial=0)).any():
        axis.set_title(f"† fewer than {counts.max()} runs", fontsize="small", loc="right")


def _ranks(values: list[Any]) -> tuple[list[Any], npt.NDArray[np.intp]]:
    different = list({shown(value): value for value in values}.values())
    if is_numeric(different):
        different.sort()
    rank = {shown(value): at for at, value in enumerate(different)}
    return different, np.array([rank[shown(value)] for value in values], dtype=np.intp)


def plot_parallel(  # noqa: PLR0913
    frame: Runs,
    value: str,
    *,
    keys: str | Sequence[str] = (),
    over: str | Sequence[str] = (),
    exclude: str | Iterable[str] | None = None,
    ax: Any = None,
) -> Any:
    """Draw each setting as a line through an axis per key that varies and one for a number, which colours it.

    Parameters
    ----------
    value
        A statistic of a metric such as ``"test.acc.last"``, or a column of numbers.
    keys
        The keys in their order; by default all that vary.
    over
        The keys over which means are taken, such as ``"seed"``.
    exclude
        Patterns of keys that do not matter although they vary; see `over`.
    ax
        Axes to draw into; by default new ones.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InvalidKeyError
        If there is no such key or metric, or if `keys` leaves out one that varies.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from mlxp_reader import DataFrame
    >>> runs = DataFrame({"config.lr": [0.1, 1.0], "config.depth": [1, 2], "score": [1.0, 3.0]})
    >>> [text.get_text() for text in runs.plot_parallel("score").get_xticklabels()]
    ['lr', 'depth', 'score']
    """
    groups = seed_groups(frame, over, exclude, by=resolve_columns(frame, keys) if keys else None)
    means = spread(groups.spread_out(numbers_of(frame, value)), ["mean"])["mean"]
    there = ~np.isnan(means)
    columns = [groups.settings[key][there].tolist() for key in groups.keys] + [means[there].tolist()]
    axis = _wide_axes(len(columns)) if ax is None else ax
    heights = [_draw_axis(axis, at, column) for at, column in enumerate(columns)]
    for points, share in zip(zip(*heights, strict=True), heights[-1], strict=True):
        axis.plot(range(len(columns)), points, color=viridis(share), alpha=0.8, linewidth=1.3)
    names = [*map(short, groups.keys), value]
    set_texts(axis.xaxis, names)
    axis.set_yticks([])
    axis.set_xlim(-0.2, len(names) - 0.5)
    for side in ("top", "bottom", "left", "right"):
        axis.spines[side].set_visible(False)
    if not there.any():
        say_nothing(axis)
    return axis


def _wide_axes(columns: int) -> Any:
    """Return new axes that have room for the texts beside so many vertical axes."""
    plt = pyplot()
    width, height = plt.rcParams["figure.figsize"]
    return plt.subplots(layout="constrained", figsize=(max(width, 1.6 * columns), height))[1]


def _draw_axis(axis: Any, at: int, values: list[Any]) -> Numbers:
    """Draw a vertical axis with its labels, and return the height of each value on it, from 0 to 1."""
    different, places = _positions(values)
    is_log = is_numeric(different) and spans_decades(different)
    heights = np.log10(places) if is_log else places
    low, size = (heights.min(), np.ptp(heights)) if len(heights) else (0.0, 0.0)
    heights = (heights - low) / size if size else np.full(len(heights), 0.5)
    axis.axvline(at, color="gray", linewidth=0.8, zorder=0)
    ticks = {height: cut(shown(value)) for value, height in zip(values, heights.tolist(), strict=True)}
    if is_numeric(different) and (np.diff(np.unique(heights)) < _CLOSE).any():
        ticks = _few_ticks(float(low), float(size), is_log)
    behind = {"facecolor": axis.get_facecolor(), "edgecolor": "none", "alpha": 0.7, "pad": 0.5}
    for height, text in ticks.items():
        axis.annotate(
            plain(text), (at, height), xytext=(4, 2), textcoords="offset points", fontsize="small", bbox=behind
        )
    return np.asarray(heights)


def _few_ticks(low: float, size: float, is_log: bool) -> dict[float, str]:
    numbers = {share: low + size * share for share in (0.0, 0.25, 0.5, 0.75, 1.0)}
    return {share: f"{10**number if is_log else number:.3g}" for share, number in numbers.items()}
