"""Pictures of a comparison: differences with intervals, performance profiles, and average ranks over tasks."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlxp.errors import InvalidKeyError
from mlxp_reader.analysis import pairwise
from mlxp_reader.analysis.comparison import TESTS, compared, mean, sign_of
from mlxp_reader.analysis.run_numbers import Numbers
from mlxp_reader.analysis.samples import Samples, samples_of
from mlxp_reader.columns.keys import as_names, resolve_columns
from mlxp_reader.columns.runs import Runs
from mlxp_reader.evidence.cells import Question
from mlxp_reader.presentation.categories import distinct_texts, words
from mlxp_reader.presentation.figures import Width, inches, legend, letters_for, panels, remember
from mlxp_reader.presentation.plot_style import Palette, check_choice, colours, plain, set_texts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ALPHA = 0.05
KINDS = ("difference", "profile", "rank")
"""What `plot_compare` draws."""


def plot_compare(  # noqa: PLR0913 - each is one choice of what is compared, or how a picture looks
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
    ratio: bool = False,
    kind: str = "difference",
    exclude: str | Sequence[str] | None = None,
    palette: Palette = None,
    labels: Mapping[Any, str] | None = None,
    width: Width = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw how much the levels of a key differ; see `compare` for details.

    Parameters
    ----------
    value, between, paired, tasks, over, against, best, test, ratio, exclude
        As in `compare`.
    kind
        ``"difference"`` draws the difference (or ratio) of each pair with its 95 % interval and p, adjusted by Holm.
        ``"profile"``, the performance profile, draws for each level the share of runs (the mean over tasks) that are
        better than a value. ``"rank"``, the critical-difference diagram, draws the average rank of each level over
        tasks on one axis. A bar joins levels with ranks that differ by less than Nemenyi's critical difference, which
        is drawn above.
    palette
        The colours of the levels; see `plot_metric`.
    labels
        Other names for levels, keys and the value.
    width
        As in `plot_metric`.
    ax
        Axes to draw into; by default new ones.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn into.

    Raises
    ------
    InvalidKeyError
        If the comparison is impossible, or if ``kind="rank"`` lacks tasks that all levels have.
    ImportError
        If matplotlib is not installed.

    References
    ----------
    The profile is that of R. Agarwal et al., NeurIPS 2021; the picture of ranks that of J. Demšar, *Statistical
    Comparisons of Classifiers over Multiple Data Sets*, JMLR 7, 2006.

    Examples
    --------
    >>> from mlxp_reader import DataFrame
    >>> runs = DataFrame(
    ...     {
    ...         "config.model": ["a"] * 3 + ["b"] * 3,
    ...         "config.seed": [1, 2, 3] * 2,
    ...         "acc": [0.90, 0.91, 0.92, 0.93, 0.95, 0.94],
    ...     }
    ... )
    >>> axes = runs.plot_compare("acc", between="model", paired="seed", best="max")
    >>> [text.get_text() for text in axes.get_yticklabels()]
    ['b - a']
    """
    check_choice("kind", kind, KINDS)
    inches(width)
    called = words(labels, None, frame.columns)
    check_choice("test", test, TESTS)
    samples = samples_of(frame, value, between, paired, tasks, over=over, exclude=exclude)
    sign = sign_of(best, as_names(value))
    texts = [
        called.name(level, text) for level, text in zip(samples.levels, distinct_texts(samples.levels), strict=True)
    ]
    name = ", ".join(called.name(one, one) for one in as_names(value))
    with letters_for(width):
        axis = panels((1, 1), width, len(texts) + 1 if kind == "profile" else 0)[0, 0] if ax is None else ax
        if kind == "difference":
            found = compared(samples, against, pairwise.Question(test, _ALPHA, sign), ratio=ratio)
            _draw_differences(axis, found, dict(zip(map(repr, samples.levels), texts, strict=True)), name)
        elif kind == "profile":
            shades = colours(samples.levels, palette)
            _draw_profiles(axis, samples, texts, shades, sign)
            axis.set(xlabel=plain(name), ylabel=f"share of runs {'above' if sign > 0 else 'below'}")
            handles = list(zip(axis.get_lines(), map(plain, texts), strict=True))
            title = ", ".join(map(called.key, resolve_columns(frame, between)))
            legend(np.array([axis]), [(plain(title), handles)], width, is_ours=ax is None)
        else:
            _draw_ranks(axis, samples, texts, sign)
    by = [*resolve_columns(frame, between), *resolve_columns(frame, tasks)]
    within = [*resolve_columns(frame, paired), *resolve_columns(frame, over)]
    remember(axis, frame, "plot_compare", Question(as_names(value), by, within, as_names(exclude)))
    drawn: Axes = axis
    return drawn


def _draw_differences(axis: Any, found: Any, texts: Mapping[str, str], name: str) -> None:
    """Draw each pair as a line from the low to the high end of its interval, with a dot at the difference."""
    heights = np.arange(len(found))[::-1]
    what, sign, nothing = ("ratio", "/", 1) if "ratio" in found.columns else ("difference", "-", 0)
    for height, row in zip(heights.tolist(), found.to_dict("records"), strict=True):
        axis.plot([row["low"], row["high"]], [height] * 2, color="C0", linewidth=1.5, solid_capstyle="butt")
        axis.plot([row[what]], [height], "o", color="C0", markersize=5)
        p = "no test" if math.isnan(row["p_holm"]) else f"p {_p_text(row['p_holm'])}"
        place = {"xycoords": ("axes fraction", "data"), "xytext": (4, 0), "textcoords": "offset points"}
        axis.annotate(p, (1.0, height), va="center", fontsize="small", annotation_clip=False, **place)
    axis.axvline(nothing, color="gray", linewidth=0.8, linestyle=":")
    pairs = [f"{texts[repr(row['a'])]} {sign} {texts[repr(row['b'])]}" for row in found.to_dict("records")]
    set_texts(axis.yaxis, pairs, heights.tolist())
    axis.set(xlabel=plain(f"{what} of {name}"), ylim=(-0.6, len(found) - 0.4))


def _p_text(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def _draw_profiles(axis: Any, samples: Samples, texts: Sequence[str], shades: Sequence[Any], sign: int) -> None:
    known = samples.numbers[np.isfinite(samples.numbers)]
    if not len(known):
        raise InvalidKeyError("no run has a finite value to draw")
    bounds = np.unique(known)
    for level, text, colour in zip(samples.numbers, texts, shades, strict=True):
        shares = [_shares(task[np.isfinite(task)], bounds, sign) for task in level if np.isfinite(task).any()]
        middle = np.mean(shares, axis=0) if shares else np.full(len(bounds), np.nan)
        axis.plot(bounds, middle, drawstyle="steps-pre" if sign > 0 else "steps-post", color=colour, label=plain(text))
    axis.set_ylim(-0.02, 1.02)


def _shares(values: Numbers, bounds: Numbers, sign: int) -> Numbers:
    """Return the share of values that are at least as good as each bound."""
    ordered = np.sort(values)
    if sign > 0:
        return np.asarray(1 - np.searchsorted(ordered, bounds, "left") / len(values))
    return np.asarray(np.searchsorted(ordered, bounds, "right") / len(values))


def critical_difference(levels: int, tasks: int, alpha: float = 0.05) -> float:
    """Return by how much the average ranks of two levels must differ by Nemenyi's test.

    Examples
    --------
    >>> round(critical_difference(4, 14), 2)
    1.25
    """
    from scipy import stats

    quantile = float(stats.studentized_range.ppf(1 - alpha, levels, np.inf)) / math.sqrt(2)
    return quantile * math.sqrt(levels * (levels + 1) / (6 * tasks))


def _draw_ranks(axis: Any, samples: Samples, texts: Sequence[str], sign: int) -> None:
    """Draw the average rank of each level on one axis, the best at the left, and bars over what is not separated."""
    from scipy import stats

    means = mean(samples.numbers, axis=2)
    there = np.isfinite(means).all(axis=0)
    if samples.tasks == [None] or there.sum() < 2:
        raise InvalidKeyError("kind='rank' needs tasks=, and at least two tasks on which every level has a run")
    ranks = stats.rankdata(-sign * means[:, there], axis=0).mean(axis=1)
    count, tasks = len(ranks), int(there.sum())
    width, ink = critical_difference(count, tasks), axis.xaxis.label.get_color()
    order = np.argsort(ranks, kind="stable")
    bars = _cliques(ranks[order], width)
    for number, (low, high) in enumerate(bars):
        height = -0.3 - 0.2 * number
        axis.plot([low - 0.03, high + 0.03], [height] * 2, color="C0", linewidth=3, solid_capstyle="round")
    first = -0.8 - 0.2 * len(bars)
    edges = {"left": 1 - 0.03 * count, "right": count * 1.03}
    for place, level in enumerate(order.tolist()):
        side = "left" if place < count / 2 else "right"
        depth = first - 0.8 * min(place, count - 1 - place)
        axis.plot([ranks[level], ranks[level], edges[side]], [0, depth, depth], color="gray", linewidth=0.8)
        text = plain(f"{texts[level]} ({ranks[level]:.2f})")
        offset = {"xytext": (-4 if side == "left" else 4, 0), "textcoords": "offset points", "annotation_clip": False}
        axis.annotate(text, (edges[side], depth), ha="right" if side == "left" else "left", va="center", **offset)
    last = first - 0.8 * ((count - 1) // 2) - 0.8
    axis.plot([1, 1 + width], [last] * 2, color=ink, linewidth=1.5, solid_capstyle="butt")
    axis.annotate(
        f"critical difference {width:.2f} ({tasks} tasks)",
        (1, last),
        xytext=(0, -4),
        textcoords="offset points",
        va="top",
        annotation_clip=False,
    )
    axis.set(xlim=(edges["left"], edges["right"]), ylim=(last - 0.4, 0), xticks=range(1, count + 1), yticks=[])
    axis.xaxis.set_ticks_position("top")
    axis.xaxis.set_label_position("top")
    axis.set_xlabel("average rank (1 is best)")
    for side in ("left", "right", "bottom"):
        axis.spines[side].set_visible(False)


def _cliques(ranks: Numbers, width: float) -> list[tuple[float, float]]:
    """Return the ends of the longest groups of ascending ranks that are closer together than a width.

    Examples
    --------
    >>> _cliques(np.array([1.0, 1.5, 2.2, 4.0]), 1.0)
    [(1.0, 1.5), (1.5, 2.2)]
    """
    found: list[tuple[float, float]] = []
    for start, low in enumerate(ranks.tolist()):
        end = int(np.searchsorted(ranks, low + width, "right")) - 1
        if end > start and (not found or ranks[end] > found[-1][1]):
            found.append((low, float(ranks[end])))
    return found
