"""A picture of which keys of the configuration decide whether a run is among the best."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlxp_reader.analysis.importance import importance
from mlxp_reader.columns.keys import as_names, resolve_columns
from mlxp_reader.columns.runs import Runs
from mlxp_reader.evidence.cells import Question
from mlxp_reader.presentation.categories import words
from mlxp_reader.presentation.figures import Width, inches, letters_for, panels, remember
from mlxp_reader.presentation.plot_style import plain, set_texts

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_importance(  # noqa: PLR0913 - each is one choice of what is weighed, or how a picture looks
    frame: Runs,
    value: str,
    *,
    keys: str | Sequence[str] = (),
    over: str | Sequence[str] = (),
    best: str | None = None,
    quantile: float = 0.1,
    exclude: str | Iterable[str] | None = None,
    labels: Mapping[Any, str] | None = None,
    width: Width = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw how much each key decides whether a setting is among the best; see `importance` for details.

    Parameters
    ----------
    value, keys, over, best, quantile, exclude
        As in `importance`.
    labels
        Other names for keys and the value.
    width
        As in `plot_metric`.
    ax
        Axes to draw into; by default new ones.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn into. Bars are shares, and lines their 95 % intervals.

    Raises
    ------
    InvalidKeyError
        If there are too few settings; see `importance`.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from mlxp_reader import DataFrame
    >>> rng = np.random.default_rng(0)
    >>> lr, depth = 10 ** rng.uniform(-4, 0, 300), rng.integers(1, 5, 300)
    >>> runs = DataFrame({"config.lr": lr, "config.depth": depth, "acc": -abs(np.log10(lr) + 2) + depth / 100})
    >>> axes = runs.plot_importance("acc", best="max")
    >>> [text.get_text() for text in axes.get_yticklabels()]
    ['lr', 'depth']
    """
    inches(width)
    called = words(labels, None, frame.columns)
    found = importance(frame, value, keys=keys, over=over, best=best, quantile=quantile, exclude=exclude)
    heights = np.arange(len(found))[::-1]
    share = found["importance"].to_numpy()
    around = np.clip([share - found["low"], found["high"] - share], 0, None)
    with letters_for(width):
        axis = panels((1, 1), width, 0)[0, 0] if ax is None else ax
        axis.barh(heights, share, color="C0", alpha=0.6)
        axis.errorbar(share, heights, xerr=around, fmt="none", ecolor="gray", capsize=3)
        set_texts(axis.yaxis, [called.key(f"config.{key}") for key in found["key"]], heights.tolist())
        what = f"importance for the best {quantile:.0%} by {called.name(value, value)}"
        axis.set(xlabel=plain(what), xlim=(0, None))
    remember(axis, frame, "plot_importance", Question([value], None, resolve_columns(frame, over), as_names(exclude)))
    drawn: Axes = axis
    return drawn
