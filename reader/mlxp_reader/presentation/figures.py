"""Figures: of a size that fits a screen or a paper, in panels, and with fonts that other programs can read and edit."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy.typing as npt

from mlxp.errors import InvalidKeyError
from mlxp_reader.presentation.plot_style import pyplot

Width = str | float | None

_WIDTHS = {"column": 3.35, "page": 6.9}
"""In inches: one and two columns of the usual papers."""

_PAPER = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "lines.linewidth": 1.0,
}

_PANEL = (4.2, 3.4)
_LEGEND_WIDTH = 1.3
_ROW_OF_LEGEND = 0.2


def inches(width: Width) -> float | None:
    """Return the width of a figure in inches; None if it is for the screen.

    Raises
    ------
    InvalidKeyError
        If it is neither known nor a number.

    Examples
    --------
    >>> inches("column"), inches(5), inches(None)
    (3.35, 5.0, None)
    """
    if width is None:
        return None
    if isinstance(width, int | float) and not isinstance(width, bool) and width > 0:
        return float(width)
    if isinstance(width, str) and width in _WIDTHS:
        return _WIDTHS[width]
    raise InvalidKeyError(f"width is 'column', 'page' or a number of inches, not {width!r}")


@contextmanager
def letters_for(width: Width) -> Iterator[None]:
    """Draw with the small letters of a paper if there is a `width`."""
    with pyplot().rc_context({} if width is None else _PAPER):
        yield


def most_columns(width: Width) -> int:
    """Return how many panels have room beside each other."""
    wide = inches(width)
    return 3 if wide is None else max(1, min(4, int(wide / 1.6)))


def _is_below(width: Width, columns: int) -> bool:
    """Tell whether a legend beside so many panels would leave them too little room, so that it stands below."""
    wide = inches(width)
    return wide is not None and wide < 5 * min(2, columns)


def panels(shape: tuple[int, int], width: Width, legend_rows: int) -> npt.NDArray[Any]:
    """Return new axes in rows and columns on one scale, in a figure with room for a legend of so many rows."""
    rows, columns = shape
    plt = pyplot()
    wide = inches(width)
    if wide is not None:
        is_below = _is_below(width, columns)
        beside = 0.0 if is_below or not legend_rows else _LEGEND_WIDTH
        height = rows * max(1.4, 0.75 * (wide - beside) / columns) + 0.1 * legend_rows * is_below
        size = (wide, height)
    elif rows == columns == 1:
        size = tuple(plt.rcParams["figure.figsize"])
    else:
        size = (_PANEL[0] * columns + _LEGEND_WIDTH * bool(legend_rows), _PANEL[1] * rows)
    shared = {"sharex": True, "sharey": True, "squeeze": False}
    axes: npt.NDArray[Any] = plt.subplots(rows, columns, **shared, **_new_figure(size))[1]
    return axes


def wide_axes(columns: int, width: Width) -> Any:
    """Return new axes that have room for the texts beside so many vertical axes."""
    plt = pyplot()
    default, height = plt.rcParams["figure.figsize"]
    wide = inches(width)
    size = (max(default, 1.6 * columns), height) if wide is None else (wide, 0.6 * wide)
    return plt.subplots(**_new_figure(size))[1]


def _new_figure(size: tuple[float, float]) -> dict[str, Any]:
    from mlxp_reader.presentation.paper_figure import PaperFigure

    return {"layout": "constrained", "figsize": size, "FigureClass": PaperFigure}


def legend(axes: Any, sections: list[tuple[str, list[tuple[Any, str]]]], width: Width, *, is_ours: bool) -> None:
    """Draw one legend, outside the panels of a figure that is ours; its sections have a title each.

    Parameters
    ----------
    axes
        All panels.
    sections
        A title, and the handles with their texts; a single section without a title stands in the picture.
    """
    entries = _entries(sections)
    if not entries:
        return
    handles, texts = map(list, zip(*entries, strict=True))
    title = sections[0][0] or None if len(sections) == 1 else None
    options: dict[str, Any] = {"handles": handles, "labels": texts, "title": title}
    first = axes.flat[0]
    if not is_ours or (len(entries) == 1 and not title):
        _aligned(first.legend(**options), sections)
        return
    figure = first.figure
    if _is_below(width, axes.shape[-1]):
        columns = max(1, min(3, len(entries) // 2)) if len(sections) == 1 else len(sections)
        made = figure.legend(**_columns_of(sections, options), loc="outside lower center", ncols=columns, frameon=False)
    else:
        columns = -(-len(entries) * _ROW_OF_LEGEND // (figure.get_figheight() - 0.3))
        options |= {"ncols": int(max(1, columns)), "frameon": False}
        if axes.size == 1:
            made = first.legend(**options, loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)
        else:
            made = figure.legend(**options, loc="outside right upper")
    _aligned(made, sections)


def _entries(sections: list[tuple[str, list[tuple[Any, str]]]]) -> list[tuple[Any, str]]:
    from matplotlib.lines import Line2D

    nothing = Line2D([], [], linestyle="none")
    if len(sections) == 1:
        return sections[0][1]
    return [entry for title, entries in sections for entry in ([(nothing, title)] if title else []) + entries]


def _columns_of(sections: list[tuple[str, list[tuple[Any, str]]]], options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a legend in which each section has a column of its own."""
    from matplotlib.lines import Line2D

    if len(sections) == 1:
        return options
    columns = [_entries([section, ("", [])]) for section in sections]
    longest = max(map(len, columns))
    nothing = Line2D([], [], linestyle="none"), ""
    every = [entry for column in columns for entry in [*column, *[nothing] * (longest - len(column))]]
    handles, texts = map(list, zip(*every, strict=True))
    return {**options, "handles": handles, "labels": texts}


def _aligned(made: Any, sections: list[tuple[str, list[tuple[Any, str]]]]) -> None:
    """Let titles within a legend begin where the lines do."""
    made.set_alignment("left")
    if len(sections) == 1:
        return
    titles = {title for title, _ in sections}
    for handle, text in zip(made.legend_handles, made.get_texts(), strict=True):
        if (
            text.get_text() in titles
            and handle.get_linestyle() in {"none", "None"}
            and handle.get_marker() in {"", "None", None}
        ):
            text.set_fontweight("bold")
