"""Many keys side by side: an axis per key and one for a number, and a line through them for each setting."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlxp_reader.analysis.run_numbers import Numbers, numbers_of
from mlxp_reader.analysis.seed_statistics import spread
from mlxp_reader.analysis.seeds import seed_groups
from mlxp_reader.analysis.settings import rank
from mlxp_reader.columns.keys import as_names, resolve_columns
from mlxp_reader.columns.missing import exact_values
from mlxp_reader.columns.runs import Runs
from mlxp_reader.evidence.cells import Question
from mlxp_reader.presentation.categories import distinct_texts, words
from mlxp_reader.presentation.figures import Width, inches, letters_for, remember, wide_axes
from mlxp_reader.presentation.plot_style import plain, say_nothing, set_texts, viridis
from mlxp_reader.presentation.scales import Scale, scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CLOSE = 0.04
"""Numbers that are closer to one another on an axis of height 1 have no label each."""


def plot_parallel(  # noqa: PLR0913 - each is one choice of how a picture looks
    frame: Runs,
    value: str,
    *,
    keys: str | Sequence[str] = (),
    over: str | Sequence[str] = (),
    exclude: str | Iterable[str] | None = None,
    order: Mapping[str, Sequence[Any]] | None = None,
    labels: Mapping[Any, str] | None = None,
    width: Width = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw each setting as a line across parallel axes: one per varying key and one for a number, which colours it.

    Parameters
    ----------
    value
        A statistic of a metric such as ``"test.acc.last"``, or a column of numbers.
    keys
        The keys in the order of their axes; by default all that vary.
    over, exclude, order, labels, width, ax
        As in `plot_sweep`.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InvalidKeyError
        If there is no such key or metric, or if `keys` lacks one that varies.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from mlxp_reader import DataFrame
    >>> runs = DataFrame({"config.lr": [0.1, 1.0], "config.depth": [1, 2], "score": [1.0, 3.0]})
    >>> [text.get_text() for text in runs.plot_parallel("score").get_xticklabels()]
    ['lr', 'depth', 'score']
    """
    inches(width)
    called = words(labels, order, frame.columns)
    groups = seed_groups(frame, over, exclude, by=resolve_columns(frame, keys) if keys else None)
    means = spread(groups.spread_out(numbers_of(frame, value)), ["mean"])["mean"]
    there = ~np.isnan(means)
    columns = {key: exact_values(groups.settings[key][there]) for key in groups.keys}
    scales = [(scale(key, values, called), values) for key, values in columns.items()]
    scales.append((scale(value, means[there].tolist(), called), means[there].tolist()))
    names = [*map(called.key, groups.keys), called.name(value, value)]
    with letters_for(width):
        axis = wide_axes(len(scales), width) if ax is None else ax
        _draw(axis, scales)
        set_texts(axis.xaxis, names)
        axis.set(yticks=[], xlim=(-0.2, len(names) - 0.5))
        for side in ("top", "bottom", "left", "right"):
            axis.spines[side].set_visible(False)
        if not there.any():
            say_nothing(axis)
        elif not there.all():
            lost = int(np.count_nonzero(~there))
            told = f"{lost} setting{'s' * (lost > 1)} without {called.name(value, value)}: not drawn"
            axis.set_title(plain(told), fontsize="small", loc="right")
    remember(axis, frame, "plot_parallel", Question([value], groups.keys, groups.over, as_names(exclude)))
    return axis


def _draw(axis: Any, scales: list[tuple[Scale, list[Any]]]) -> None:
    heights = [_draw_axis(axis, at, found, values) for at, (found, values) in enumerate(scales)]
    for points, share in zip(zip(*heights, strict=True), heights[-1], strict=True):
        axis.plot(range(len(scales)), points, color=viridis(share), alpha=0.8, linewidth=1.3)


def _draw_axis(axis: Any, at: int, found: Scale, values: list[Any]) -> Numbers:
    """Draw a vertical axis with its labels, and return the height of each value on it, from 0 to 1."""
    axis.axvline(at, color="gray", linewidth=0.8, zorder=0)
    heights = found.shares(found.places)
    behind = {"facecolor": axis.get_facecolor(), "edgecolor": "none", "alpha": 0.7, "pad": 0.5}
    place = {"xytext": (4, 2), "textcoords": "offset points", "fontsize": "small", "bbox": behind}
    for height, text in _ticks(found, heights, values).items():
        axis.annotate(plain(text), (at, height), **place)
    return heights


def _ticks(found: Scale, heights: Numbers, values: list[Any]) -> dict[float, str]:
    """Return the texts of an axis by their heights: those of all values, or of a few where they are close together."""
    if found.ticks:
        return dict(zip(found.shares(list(found.ticks)).tolist(), found.ticks.values(), strict=True))
    if (np.diff(np.unique(heights)) < _CLOSE).any():
        low, high = (np.log10(one) if found.is_log else one for one in (found.places.min(), found.places.max()))
        numbers = {share: low + share * (high - low) for share in (0.0, 0.25, 0.5, 0.75, 1.0)}
        return {share: f"{10**number if found.is_log else number:.3g}" for share, number in numbers.items()}
    different = {rank(value): (height, value) for height, value in zip(heights.tolist(), values, strict=True)}
    texts = distinct_texts([value for _, value in different.values()])
    return {height: text for (height, _), text in zip(different.values(), texts, strict=True)}
