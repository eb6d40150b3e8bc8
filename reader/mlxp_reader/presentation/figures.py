"""Figures in panels, of a size that fits a screen or a paper, and with fonts that other programs can read and edit."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from mlxp.errors import InvalidKeyError
from mlxp_reader.columns.runs import Runs
from mlxp_reader.evidence.cells import Question
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
        If it is neither a known width nor a number.

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


Section = tuple[str, list[tuple[Any, str]]]
"""A part of a legend: its title, and its handles with their texts."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line of a legend."""

    handle: Any
    text: str
    is_title: bool


@contextmanager
def letters_for(width: Width) -> Iterator[None]:
    """Draw with the small letters of a paper if there is a `width`."""
    with pyplot().rc_context({} if width is None else _PAPER):
        yield


def most_columns(width: Width) -> int:
    """Return how many panels fit beside each other."""
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


def legend(axes: Any, sections: list[Section], width: Width, *, is_ours: bool) -> None:
    """Draw one legend, outside the panels if the figure is ours; each of its sections has a title.

    Parameters
    ----------
    axes
        All panels.
    sections
        A title, and the handles with their texts. A single entry without a title goes into the picture.
    """
    columns = [_column(section, is_only=len(sections) == 1) for section in sections]
    total = sum(map(len, columns))
    if not total:
        return
    title = sections[0][0] or None if len(sections) == 1 else None
    first = axes.flat[0]
    if not is_ours or (total == 1 and not title):
        _draw_legend(first.legend, columns, title=title)
    elif _is_below(width, axes.shape[-1]):
        wide = len(columns) if len(columns) > 1 else max(1, min(3, total // 2))
        options = {"loc": "outside lower center", "ncols": wide, "frameon": False}
        _draw_legend(first.figure.legend, _of_one_length(columns), title=title, **options)
    else:
        high = first.figure.get_figheight() - 0.3
        options = {"ncols": int(max(1, -(-total * _ROW_OF_LEGEND // high))), "frameon": False}
        if axes.size == 1:
            options |= {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.2}
            _draw_legend(first.legend, columns, title=title, **options)
        else:
            _draw_legend(first.figure.legend, columns, title=title, loc="outside right upper", **options)


def _column(section: Section, *, is_only: bool) -> list[_Entry]:
    """Return the entries of a section, and before them its title, unless it is that of the legend."""
    title, entries = section
    head = [_Entry(None, title, is_title=True)] if title and not is_only else []
    return [*head, *(_Entry(handle, text, is_title=False) for handle, text in entries)]


def _of_one_length(columns: list[list[_Entry]]) -> list[list[_Entry]]:
    """Return columns of entries that stand beside each other, since matplotlib fills one after the other."""
    longest = max(map(len, columns)) if len(columns) > 1 else 0
    return [[*column, *[_Entry(None, "", is_title=False)] * (longest - len(column))] for column in columns]


def _draw_legend(draw: Any, columns: list[list[_Entry]], **options: Any) -> None:
    from matplotlib.lines import Line2D

    nothing = Line2D([], [], linestyle="none")
    entries = [entry for column in columns for entry in column]
    handles = [nothing if entry.handle is None else entry.handle for entry in entries]
    made = draw(handles=handles, labels=[entry.text for entry in entries], **options)
    made.set_alignment("left")
    for entry, text in zip(entries, made.get_texts(), strict=True):
        if entry.is_title:
            text.set_fontweight("bold")


def remember(axis: Any, frame: Runs, made_by: str, question: Question) -> None:
    """Remember what a picture was made from, for the note beside its file, if the figure is of this package."""
    from mlxp_reader.presentation.paper_figure import PaperFigure

    figure = axis.get_figure()
    if isinstance(figure, PaperFigure):
        figure.shown = [*getattr(figure, "shown", []), (frame, made_by, question)]
