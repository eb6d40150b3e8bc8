"""How a number varies along one key of a sweep: means with error bars, a dot per run, or box plots."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlxp.errors import InvalidKeyError
from mlxp_reader.analysis.run_numbers import Numbers, numbers_of
from mlxp_reader.analysis.seeds import SeedGroups, seed_groups
from mlxp_reader.columns.keys import as_names, resolve_columns
from mlxp_reader.columns.missing import exact_values
from mlxp_reader.columns.runs import Runs
from mlxp_reader.evidence.cells import Question
from mlxp_reader.presentation.categories import Categories, categories, words
from mlxp_reader.presentation.figures import Width, inches, legend, letters_for, panels, remember
from mlxp_reader.presentation.heat_map import draw_heat_map
from mlxp_reader.presentation.lines import BANDS, how_many, spread_around
from mlxp_reader.presentation.plot_style import Palette, check_choice, colours, plain, say_nothing, set_texts
from mlxp_reader.presentation.scales import Scale, scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOST = "NaN, ∞ or nothing"
"""What the means are that cannot be drawn."""

KINDS = ("mean", "strip", "box")
"""How the runs of a group are shown."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is drawn: a number for each run of each group, the place of each group, and its colour."""

    groups: SeedGroups
    table: Numbers
    scale: Scale
    hue: Categories
    colours: list[Any]
    kind: str
    band: str | None

    def hues(self) -> list[int]:
        """Return which of the hues each group has."""
        return [self.hue.place(value) for value in self.groups.values(self.hue.keys)]


def plot_sweep(  # noqa: PLR0913 - each is one choice of how a picture looks
    frame: Runs,
    keys: str | Sequence[str],
    value: str,
    *,
    over: str | Sequence[str] = (),
    hue: str | Sequence[str] | None = None,
    band: str | None = "std",
    kind: str = "mean",
    logx: bool | None = None,
    logy: bool = False,
    exclude: str | Iterable[str] | None = None,
    palette: Palette = None,
    order: Mapping[str, Sequence[Any]] | None = None,
    labels: Mapping[Any, str] | None = None,
    width: Width = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw how a number varies along a key of the configuration, or over two keys as a heat map of means.

    Parameters
    ----------
    keys
        One key, or two keys for the rows and the columns of a heat map.
    value
        A statistic of a metric such as ``"test.acc.last"``, or a column of numbers.
    over
        The keys over which means are taken, such as ``"seed"``.
    hue
        One or several keys that give each value a colour.
    band
        How far the error bars reach; see `plot_metric`.
    kind
        ``"mean"`` shows means with error bars, ``"strip"`` means and a dot for each run, and ``"box"`` box plots at
        equal distances.
    logx
        Whether the axis of the key is logarithmic; by default it is if positive numbers span two decades. None, NaN,
        and values without a place on the axis appear beside it.
    logy
        Whether the axis of the number is logarithmic.
    exclude
        Patterns of keys to ignore although they vary; see `over`.
    palette, order, labels, width
        The colours, the order of values, other names, and the width of the figure; see `plot_metric`.
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
    check_choice("kind", kind, KINDS)
    inches(width)
    along, hues = resolve_columns(frame, keys), resolve_columns(frame, hue)
    is_map = len(along) == 2 and along[0] != along[1] and not hues and kind == "mean"
    if len(along) != 1 and not is_map:
        raise InvalidKeyError("plot_sweep takes one key, or two without hue; plot_parallel draws any number of them")
    called = words(labels, order, frame.columns)
    groups = seed_groups(frame, over, exclude, by=[*along, *hues])
    table = groups.spread_out(numbers_of(frame, value))
    shown = Question([value], [*along, *hues], groups.over, as_names(exclude))
    with letters_for(width):
        if is_map:
            heat_map: Axes = draw_heat_map(_axis(ax, width, 0), groups, table, called, value)
            remember(heat_map, frame, "plot_sweep", shown)
            return heat_map
        found = categories(hues, groups.values(hues), called)
        places = scale(along[0], exact_values(groups.settings[along[0]]), called, logx, row=kind == "box")
        shades = colours([one[0] if len(one) == 1 else one for one in found.combinations], palette)
        axis: Axes = _axis(ax, width, len(found) + 1)
        _draw(axis, Sweep(groups, table, places, found, shades, kind, band), width, is_ours=ax is None)
        axis.set(xlabel=plain(called.key(along[0])), ylabel=plain(called.name(value, value)))
        if logy:
            axis.set_yscale("log")
    remember(axis, frame, "plot_sweep", shown)
    return axis


def _axis(ax: Any, width: Width, legend_rows: int) -> Any:
    return panels((1, 1), width, legend_rows)[0, 0] if ax is None else ax


def _draw(axis: Any, sweep: Sweep, width: Width, *, is_ours: bool) -> None:
    from matplotlib.lines import Line2D

    spreads = spread_around(sweep.table, sweep.band if sweep.kind == "mean" else None)
    hues, entries, lost = np.array(sweep.hues(), dtype=np.intp), [], False
    for at, (text, colour) in enumerate(zip(sweep.hue.texts, sweep.colours, strict=True)):
        mine = np.flatnonzero(hues == at)
        mine = mine[np.argsort(sweep.scale.places[mine], kind="stable")]
        shift = at - (len(sweep.hue) - 1) / 2
        if sweep.kind == "box":
            _draw_boxes(axis, sweep, mine, colour, shift)
        else:
            _draw_means(axis, sweep, mine, colour, shift, spreads)
        lost = _draw_lost(axis, sweep, mine[~np.isfinite(spreads[0][mine])], colour, shift) or lost
        n = how_many(np.sort(spreads[3][mine]))
        label = f"{text} ({n})" if text else n
        line: dict[str, Any] = {"linestyle": "-" if sweep.scale.is_joined.any() else "none"}
        line |= {"marker": "s", "fillstyle": "none"} if sweep.kind == "box" else {"marker": "o", "markersize": 4}
        entries.append((Line2D([], [], color=colour, **line), plain(label)))
    _set_scale(axis, sweep)
    if not np.isfinite(spreads[0]).any():
        say_nothing(axis)
    elif lost:
        entries.append((Line2D([], [], color="gray", linestyle="none", marker="x"), _LOST))
    if sweep.groups.over or sweep.hue.keys:
        legend(np.array([axis]), [(plain(sweep.hue.title), entries)], width, is_ours=is_ours)


def _draw_means(  # noqa: PLR0913, PLR0917 - what is drawn, how, and where
    axis: Any, sweep: Sweep, mine: Any, colour: Any, shift: float, spreads: tuple[Any, ...]
) -> None:
    """Draw the means of one hue, joined by a line where they stand on a scale, with error bars or a dot per run."""
    middle, low, high, _ = spreads
    places, joined = sweep.scale.places[mine], sweep.scale.is_joined[mine]
    moved = _Moved(axis, sweep, shift)
    dots = {"marker": "o", "markersize": 4, "color": colour}
    for chosen, style in ((joined, "-"), (~joined, "none")):
        if chosen.any():
            moved.draw(axis.plot(moved.at(places[chosen]), middle[mine][chosen], linestyle=style, **dots))
    if low is not None and high is not None:
        # Where there is one run only, there is no bar.
        lengths = np.nan_to_num([middle[mine] - low[mine], high[mine] - middle[mine]])
        bars = axis.errorbar(moved.at(places), middle[mine], lengths, fmt="none", ecolor=colour, capsize=3, alpha=0.8)
        moved.draw([*bars[1], *bars[2]])
    if sweep.kind == "strip":
        runs = sweep.table[:, mine]
        x = np.broadcast_to(moved.at(places), runs.shape)
        moved.draw(axis.plot(x.ravel(), runs.ravel(), ".", color=colour, alpha=0.5, markersize=7, markeredgewidth=0))


def _draw_lost(axis: Any, sweep: Sweep, mine: Any, colour: Any, shift: float) -> bool:
    """Draw a cross at the upper edge for each setting that has no mean to be drawn; tell whether there was any."""
    if not len(mine):
        return False
    moved = _Moved(axis, sweep, shift)
    x, height = moved.at(sweep.scale.places[mine]), np.full(len(mine), 0.97)
    axis.scatter(x, height, marker="x", color=colour, transform=moved.aside(axis.get_xaxis_transform()))
    axis.update_datalim(np.column_stack([x, height]), updatey=False)
    axis.autoscale_view()
    return True


class _Moved:
    """Moves what belongs to one hue aside, so that the bars of several hues stand beside each other.

    In a row, it moves by a part of a place. On a scale, it moves by some points on the paper, so that the numbers stay
    what they are.
    """

    def __init__(self, axis: Any, sweep: Sweep, shift: float) -> None:
        self._axis = axis
        self._in_row = sweep.scale.is_row
        self._by = shift * (min(0.15, 0.7 / len(sweep.hue)) if self._in_row else min(4.0, 24.0 / len(sweep.hue)))

    def at(self, places: Numbers) -> Numbers:
        """Return where to draw what stands at some places."""
        return places + self._by if self._in_row else places

    def aside(self, transform: Any) -> Any:
        """Return a transform of matplotlib that moves what is on a scale."""
        from matplotlib.transforms import ScaledTranslation

        if self._in_row or not self._by:
            return transform
        return transform + ScaledTranslation(self._by / 72, 0, self._axis.figure.dpi_scale_trans)

    def draw(self, artists: Iterable[Any]) -> None:
        """Move what was drawn, after it has told the axis how far it reaches."""
        for artist in artists:
            artist.set_transform(self.aside(artist.get_transform()))


def _draw_boxes(axis: Any, sweep: Sweep, mine: Any, colour: Any, shift: float) -> None:
    room = 0.8 / len(sweep.hue)
    runs = [column[np.isfinite(column)] for column in sweep.table[:, mine].T]
    options = {"widths": 0.85 * room, "manage_ticks": False, "patch_artist": True}
    line = {"color": colour}
    drawn = axis.boxplot(
        runs,
        positions=sweep.scale.places[mine] + shift * room,
        boxprops={"facecolor": "none", "edgecolor": colour},
        **{f"{part}props": line for part in ("median", "whisker", "cap")},
        flierprops={"marker": ".", "markerfacecolor": colour, "markeredgecolor": colour},
        **options,
    )
    for box in drawn["boxes"]:
        box.set_alpha(0.9)


def _set_scale(axis: Any, sweep: Sweep) -> None:
    if sweep.scale.is_log:
        axis.set_xscale("log")
    if sweep.scale.ticks:
        ordered = sorted(sweep.scale.ticks.items())
        set_texts(axis.xaxis, [text for _, text in ordered], [place for place, _ in ordered])
        axis.xaxis.set_minor_locator(_none())
    if sweep.scale.is_row:
        axis.set_xlim(-0.5, max(sweep.scale.ticks, default=0.0) + 0.5)


def _none() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()
