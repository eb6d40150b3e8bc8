"""What all pictures share: matplotlib, if it is installed, colours and dashes, and texts that matplotlib shows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mlxp.errors import InvalidKeyError
from mlxp_reader.analysis.settings import rank
from mlxp_reader.columns.cells import is_missing
from mlxp_reader.presentation.categories import text_of

_DISTINCT = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
"""Of Okabe and Ito, told apart by colour-blind people; without black and yellow, for light and dark pages."""

_MORE = ("#84A800", "#8B5CF6", "#A0522D", "#E0457B", "#00A3B4", "#B0A030")
"""For more values than that; neighbours in a picture differ, though not all of them to everybody."""

_NOTHING = ("#8C8C8C", "#8E6BBE", "#A67C52")
"""For None, NaN and what is missing: seen on light and on dark pages, and none of the others."""

_SHADES = (0.32, 0.85)
"""The part of the colour map viridis that is seen on white and on black."""

DASHES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (3, 1, 1, 1, 1, 1)))

Palette = str | Sequence[Any] | Mapping[Any, Any] | None


def pyplot() -> Any:
    """Return `matplotlib.pyplot`.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("plots need matplotlib; install it with: pip install 'mlxp[plot]'") from error
    return plt


def colours(values: Sequence[Any], palette: Palette = None) -> list[Any]:
    """Return a colour for each of some different values: shades in their order if they are numbers, else distinct ones.

    Parameters
    ----------
    palette
        The name of one of matplotlib's colour maps, a list of colours, or a colour for each value.

    Raises
    ------
    InvalidKeyError
        If there is no such colour map, or a value has no colour.

    Examples
    --------
    >>> colours(["adam", "sgd", None])
    ['#0072B2', '#E69F00', '#8C8C8C']
    """
    if isinstance(palette, Mapping):
        return [_chosen(value, palette) for value in values]
    if isinstance(palette, str):
        return _of_map(palette, values)
    if palette is not None:
        if len(palette) < len(values):
            raise InvalidKeyError(f"palette has {len(palette)} colours for {len(values)} values")
        return list(palette[: len(values)])
    there = [value for value in values if not is_missing(value)]
    some = iter(_of_values(there))
    none = iter(_NOTHING)
    return [next(none if is_missing(value) else some) for value in values]


def _chosen(value: Any, palette: Mapping[Any, Any]) -> Any:
    by_value = {rank(key): colour for key, colour in palette.items()}
    found = by_value.get(rank(value), palette.get(text_of(value)))
    if found is None:
        raise InvalidKeyError(
            f"palette has no colour for {text_of(value)}; it has some for {', '.join(map(str, palette))}"
        )
    return found


def _of_map(name: str, values: Sequence[Any]) -> list[Any]:
    try:
        chosen = pyplot().get_cmap(name)
    except ValueError as error:
        raise InvalidKeyError(f"matplotlib has no colour map '{name}'; viridis, cividis and tab10 are some") from error
    if chosen.N <= 20:  # one of distinct colours
        return [chosen(at % chosen.N) for at in range(len(values))]
    return list(chosen(_shares(values)))


def _of_values(values: Sequence[Any]) -> list[Any]:
    if len(values) > 2 and is_numeric(values):
        return list(viridis(_shares(values)))
    distinct = [*_DISTINCT, *_MORE]
    return distinct[: len(values)] if len(values) <= len(distinct) else list(viridis(np.linspace(0, 1, len(values))))


def _shares(values: Sequence[Any]) -> Any:
    """Return for each value how far it is between the least and the greatest, by rank."""
    if not is_numeric(values):
        return np.linspace(0, 1, len(values))
    ranks = pd.Series(list(values), dtype=float).rank(method="dense").to_numpy() - 1
    return ranks / max(1, ranks.max(initial=0))


def viridis(shares: Any) -> Any:
    """Return colours for numbers from 0 to 1."""
    low, high = _SHADES
    return pyplot().get_cmap("viridis")(low + (high - low) * np.asarray(shares))


def is_numeric(values: Sequence[Any]) -> bool:
    """Tell whether all values are numbers."""
    return all(
        isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_) for value in values
    )


def spans_decades(values: Sequence[Any]) -> bool:
    """Tell whether positive numbers differ so much that only a logarithmic axis shows them.

    Examples
    --------
    >>> spans_decades([1e-4, 1e-2]), spans_decades([16, 64]), spans_decades([0, 1000])
    (True, False, False)
    """
    return min(values, default=0) > 0 and max(values) / min(values) >= 100


def plain(text: str) -> str:
    r"""Return a text that matplotlib shows as it is.

    Otherwise, matplotlib would read text between dollar signs as mathematics, and leave texts that begin with an
    underscore out of legends.

    Examples
    --------
    >>> plain("train.$cost"), plain("_name")
    ('train.\\$cost', ' _name')
    """
    return " " * text.startswith("_") + text.replace("$", r"\$")


def set_texts(axis: Any, texts: Sequence[str], places: Sequence[float] | None = None) -> None:
    """Label the places 0, 1, 2, ... of one axis of a picture; along the x axis, at an angle if they need the room."""
    axis.set_ticks(range(len(texts)) if places is None else places, list(map(plain, texts)))
    labels = axis.get_ticklabels()
    room = axis.axes.get_window_extent().width / axis.figure.dpi * 72  # in points, as the size of letters is
    needed = sum(0.6 * label.get_fontsize() * (len(text) + 2) for label, text in zip(labels, texts, strict=True))
    if axis.axis_name == "x" and needed > room:
        for label in labels:
            label.set(rotation=30, horizontalalignment="right", rotation_mode="anchor")


def say_nothing(axis: Any) -> None:
    """Write into an empty picture why it is empty."""
    axis.text(0.5, 0.5, "nothing was logged", transform=axis.transAxes, ha="center", va="center", color="gray")


def check_choice(name: str, given: str | None, allowed: Sequence[str | None]) -> None:
    """Raise an error if what was `given` for the parameter `name` is not allowed.

    Raises
    ------
    InvalidKeyError
        If it is not; the message says what is.
    """
    if given not in allowed:
        raise InvalidKeyError(f"{name} is one of {', '.join(map(repr, allowed))}, not {given!r}")
