"""Tables of results over runs, as they go into a paper: which number stands in which cell, and what is best.

`mlxp_reader.presentation.table_formats` writes the tables in HTML, LaTeX or Markdown.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlxp.errors import InvalidKeyError
from mlxp_reader.analysis.run_numbers import numbers_of
from mlxp_reader.analysis.seed_statistics import spread
from mlxp_reader.analysis.seeds import SeedGroups, seed_groups
from mlxp_reader.analysis.selection import tell_of_selection
from mlxp_reader.analysis.settings import rank
from mlxp_reader.columns.curves import run_labels
from mlxp_reader.columns.keys import as_names, resolve_columns, short
from mlxp_reader.columns.missing import ABSENT
from mlxp_reader.columns.runs import Runs
from mlxp_reader.evidence.notes import write_note
from mlxp_reader.notices import some
from mlxp_reader.presentation import table_formats
from mlxp_reader.presentation.categories import Categories, Value, Words, categories, words
from mlxp_reader.presentation.cell_formats import fields_of_format, fitting, format_with, formatted
from mlxp_reader.presentation.marking import Marking, Measured, choice, marked
from mlxp_reader.presentation.table_formats import Cell, Grid
from mlxp_reader.presentation.table_layout import GroupsOfCells, Layout
from mlxp_reader.presentation.table_summary import with_summary

Numbers = npt.NDArray[np.float64]


_ARROWS = {"max": " ↑", "min": " ↓"}
"""What a heading says of the direction in which values are good."""


class Table:
    """Statistics over runs in rows and columns; Jupyter shows it as HTML, a terminal as text.

    Attributes
    ----------
    data
        The numbers: mean, std and count. Its columns have a level for each key, one for the values if there are
        several, and one for the statistic.
    """

    def __init__(self, data: pd.DataFrame, grid: Grid, groups: GroupsOfCells) -> None:
        self.data = data
        self._grid = grid
        self._groups = groups

    def __repr__(self) -> str:
        return table_formats.to_text(self._shown(), "simple")

    def _repr_html_(self) -> str:
        return table_formats.to_html(self._shown())

    def _shown(self) -> Grid:
        """Return as much of the table as pandas would show."""
        rows, columns = pd.get_option("display.max_rows"), pd.get_option("display.max_columns")
        # No number of columns means as many as the terminal has room for, and None all of them.
        return table_formats.shortened(self._grid, rows or len(self.data), 10**6 if columns is None else columns or 20)

    def to_latex(
        self,
        path: str | os.PathLike[str] | None = None,
        caption: str | None = None,
        label: str | None = None,
        *,
        siunitx: bool = False,
    ) -> str:
        r"""Return the table in LaTeX, which needs the package ``booktabs``; the best is bold, the second underlined.

        Parameters
        ----------
        path
            A file to write, for ``\input``.
        caption, label
            The caption and label of a floating ``table``, given as LaTeX; if both are missing, only the ``tabular`` is
            returned.
        siunitx
            Whether the package ``siunitx``, version 3, aligns the numbers at the decimal point. The first lines, which
            are comments, say what the preamble needs.
        """
        return self._written(table_formats.to_latex(self._grid, caption, label, siunitx=siunitx), path)

    def to_markdown(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the table in Markdown, and write it to `path` if that is given."""
        return self._written(table_formats.to_text(self._grid, "pipe"), path)

    def to_table(self, tablefmt: str = "simple") -> str:
        """Return the table as text, in any format of `tabulate`; stars mark the best, underscores the second."""
        return table_formats.to_text(self._grid, tablefmt)

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the numbers of the table, its `data`, as CSV, and write them to `path` if that is given."""
        return self._written(self.data.to_csv(), path)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the table in HTML, as Jupyter shows it but whole, and write it to `path` if that is given."""
        return self._written(table_formats.to_html(self._grid), path)

    def runs(self, *labels: Any) -> Any:
        """Return the runs behind a cell.

        Parameters
        ----------
        labels
            The values that name its row, and then those of its column, as they are or as the table shows them.

        Raises
        ------
        InvalidKeyError
            If there is no such cell.
        """
        return self._groups.runs(labels)

    def _written(self, text: str, path: str | os.PathLike[str] | None) -> str:
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
            write_note(Path(path), [self._groups.part()])
        return text


def table(  # noqa: PLR0913 - each is one choice of how a table looks
    frame: Runs,
    rows: str | Sequence[str],
    columns: str | Sequence[str] | None = None,
    value: str | Sequence[str] = (),
    over: str | Sequence[str] = (),
    *,
    best: str | Mapping[str, str] | None = None,
    second: bool = False,
    fmt: str | Mapping[str, str] | None = None,
    ties: str | None = "test",
    best_in: str = "column",
    summary: str | Sequence[str] = (),
    labels: Mapping[Any, str] | None = None,
    order: Mapping[str, Sequence[Any]] | None = None,
    exclude: str | Iterable[str] | None = None,
) -> Table:
    """Return a table of means over runs, for the screen or a paper.

    A cell without runs shows ``–``, and ``†`` marks a cell with fewer runs than others. A single run has no spread.

    Parameters
    ----------
    rows, columns
        Keys of the configuration; without `columns`, there is one column for each value.
    value
        The content of the cells: a statistic of a metric such as ``"test.acc.last"``, a column of numbers, or several.
    over
        The keys in which the runs of one cell differ, such as ``"seed"``.
    best
        ``"max"`` or ``"min"``, to make the best of each column bold; given by value if they differ.
    second
        Whether the second best is underlined.
    fmt
        The format of a cell, such as ``"{mean:.1f} ± {std:.1f}"`` with any of the statistics of `SeedGroups.aggregate`,
        given by value if they differ. By default, ``"auto"``: mean ± std with as many digits as the typical spread of
        the cells leaves certain, by the rule of the Particle Data Group.
    ties
        Which cells count as equally good as the best mean. ``"test"``: all that a paired t test on common seeds
        (Welch's, if fewer than three are common) does not separate from it at 5 %, adjusted by Holm for the other cells
        of the column. A single run, or a cell that lacks diverged runs, is never bold alone. ``"ci"``: all cells with
        overlapping 95 % intervals, which is not a test and marks many worse cells. None: only cells with the same mean.
    best_in
        ``"row"`` looks for the best of each row instead. One of the keys of `rows` looks for the best of each column
        among the rows with the same value of that key, and one of the keys of `columns` for the best of each row among
        such columns.
    summary
        ``"mean"``, ``"rank"`` or both, for further columns: the mean over the columns, and the average rank in them,
        from 1 for the best. They count the columns in which every row has a number. Where the best of each row is
        looked for, there are further rows instead.
    labels
        Other names for keys, their values and metrics. A label with ``$`` or a backslash is taken as LaTeX.
    order
        The order of the values of keys, such as ``{"model": ["vit", "mlp"]}``; other values follow.
    exclude
        Patterns of keys to ignore although they vary; see `over`.

    Raises
    ------
    InvalidKeyError
        If there is no such key or metric, or if a cell would mix settings of another key.

    Examples
    --------
    >>> from mlxp_reader import DataFrame
    >>> scores = pd.array([[0.9], [0.92], [0.7], [0.72]], dtype="metric")
    >>> runs = DataFrame({"config.model": list("aabb"), "config.seed": [1, 2, 1, 2], "test.acc": scores})
    >>> runs.table(rows="model", value="test.acc.last", over="seed", best="max", ties=None)
    model      test.acc.last ↑
    -------  -----------------
    a        **0.910 ± 0.014**
    b            0.710 ± 0.014
    """
    if not value:
        raise InvalidKeyError("a table needs a value, such as value='test.acc.last'")
    for option, chosen in (("best", best), ("fmt", fmt)):
        unknown = [name for name in chosen if name not in as_names(value)] if isinstance(chosen, Mapping) else []
        if unknown:
            raise InvalidKeyError(f"{option} names {unknown[0]!r}, and the values are {', '.join(as_names(value))}")
    if not as_names(rows):
        raise InvalidKeyError("a table needs the keys of its rows, such as rows='model'")
    for name in as_names(value):
        tell_of_selection(name)
    row_keys, column_keys = resolve_columns(frame, rows), resolve_columns(frame, columns)
    groups = seed_groups(frame, over, exclude, by=[*row_keys, *column_keys])
    layout = _laid_out(groups, row_keys, column_keys, as_names(value), words(labels, order, frame.columns))
    formats = {name: None if (form := choice(fmt, name)) == "auto" else form for name in layout.measures}
    halves = ["ci95"] if best and ties == "ci" else []
    wanted = dict.fromkeys(
        ["mean", "std", "count", *halves, *(f for form in formats.values() for f in fields_of_format(form))]
    )
    numbers = _numbers(frame, groups, layout, list(wanted))
    marking = Marking(best, second, ties, best_in)
    marks, rule = marked(_measured(frame, groups, layout, numbers), marking)
    cells = _cells(numbers, layout, formats, marks, _tips(frame, groups, layout))
    about = f"over {', '.join(map(short, groups.over)) or 'no key'}"
    most = int(numbers["count"].max(initial=0))
    behind = GroupsOfCells(frame, groups, layout, marking, as_names(exclude))
    grid = _grid(layout, cells, best)
    grid = replace(grid, title=f"{grid.title} {about}", most=most, rule=rule)
    if names := as_names(summary):
        directions = [choice(best, name) for name in layout.measures]
        grid = with_summary(
            grid,
            names,
            numbers["mean"],
            directions,
            in_rows=marking.is_along_rows(list(map(short, layout.columns.keys))),
        )
    return Table(_data(numbers, layout, isinstance(value, str)), grid, behind)


def _laid_out(
    groups: SeedGroups, row_keys: list[str], column_keys: list[str], measures: list[str], called: Words
) -> Layout:
    places = []
    for keys in (row_keys, column_keys):
        values = groups.values(keys)
        found = categories(keys, values, called)
        places.append((found, np.array([found.place(value) for value in values], dtype=np.intp)))
    (rows, row), (columns, column) = places
    return Layout(rows, columns, measures, row, column, called)


def _numbers(frame: Runs, groups: SeedGroups, layout: Layout, how: list[str]) -> dict[str, Numbers]:
    """Return each statistic as a table: a row per row, and for each column as many places as there are values."""
    shape = (len(layout.rows), len(layout.columns), len(layout.measures))
    numbers: dict[str, Numbers] = {}
    for place, name in enumerate(layout.measures):
        for statistic, of_groups in spread(groups.spread_out(numbers_of(frame, name)), how).items():
            table = numbers.setdefault(statistic, np.full(shape, 0.0 if statistic == "count" else ABSENT))
            table[layout.row, layout.column, place] = of_groups
    return {statistic: table.reshape(shape[0], shape[1] * shape[2]) for statistic, table in numbers.items()}


def _measured(frame: Runs, groups: SeedGroups, layout: Layout, numbers: dict[str, Numbers]) -> list[Measured]:
    """Return for each value what its cells are, and the numbers of the runs behind them."""
    width, shape = len(layout.measures), (len(layout.rows), len(layout.columns))
    group = np.full(shape, -1)
    group[layout.row, layout.column] = np.arange(len(groups))
    half = numbers.get("ci95", np.full_like(numbers["mean"], np.nan))
    keys = [short(key) for key in layout.rows.keys]
    blocks = {key: [rank(value[at]) for value in layout.rows.combinations] for at, key in enumerate(keys)}
    names = [short(key) for key in layout.columns.keys]
    across = {key: [rank(value[at]) for value in layout.columns.combinations] for at, key in enumerate(names)}
    return [
        Measured(name, group, numbers["mean"][:, at::width], half[:, at::width], groups, by_run, blocks, across)
        for at, (name, by_run) in enumerate((name, numbers_of(frame, name)) for name in layout.measures)
    ]


def _cells(
    numbers: dict[str, Numbers],
    layout: Layout,
    formats: dict[str, str | None],
    marks: npt.NDArray[np.int64],
    tips: dict[tuple[int, int], str],
) -> list[list[Cell]]:
    width = len(layout.measures)
    texts = np.empty(marks.shape, dtype=object)
    for place, name in enumerate(layout.measures):
        mine = np.s_[:, place::width]
        texts[mine] = _texts({key: table[mine] for key, table in numbers.items()}, formats[name], marks[mine])
    most = [numbers["count"][:, place::width].max(initial=0) for place in range(width)]
    return [
        [
            Cell(
                texts[row, at],
                int(marks[row, at]),
                bool(0 < numbers["count"][row, at] < most[at % width]),
                tips.get((row, at // width), ""),
            )
            for at in range(marks.shape[1])
        ]
        for row in range(marks.shape[0])
    ]


def _texts(numbers: dict[str, Numbers], form: str | None, marks: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
    """Return the texts of the cells of one value, with one digit more if a bold one and another would read the same."""

    def written(decimals: int | None) -> npt.NDArray[np.object_]:
        texts = np.empty(marks.shape, dtype=object)
        for place in np.ndindex(marks.shape):
            mine = {name: float(table[place]) for name, table in numbers.items()}
            texts[place] = formatted(form or format_with(decimals, mine["mean"]), mine)
        return texts

    decimals = None if form else fitting(numbers)
    texts = written(decimals)
    means = np.array([str(text).partition(" ± ")[0] for text in texts.ravel()]).reshape(marks.shape)
    if decimals is not None and np.isin(means[marks != 1], means[marks == 1]).any():
        return written(decimals + 1)
    return texts


def _tips(frame: Runs, groups: SeedGroups, layout: Layout) -> dict[tuple[int, int], str]:
    """Return for each cell which runs are behind it."""
    labels = run_labels(frame).tolist()
    cells = zip(layout.row.tolist(), layout.column.tolist(), strict=True)
    return {cell: f"runs {some([labels[at] for at in groups.places(group)])}" for group, cell in enumerate(cells)}


def _data(numbers: dict[str, Numbers], layout: Layout, is_one_value: bool) -> pd.DataFrame:
    columns: dict[Value, Any] = {}
    for at in range(len(layout.columns) * len(layout.measures)):
        label, name = (
            layout.columns.combinations[at // len(layout.measures)],
            layout.measures[at % len(layout.measures)],
        )
        for statistic in ("mean", "std", "count"):
            key = (*label, *(() if is_one_value else (name,)), statistic)
            column = numbers[statistic][:, at]
            columns[key] = column.astype(np.int64) if statistic == "count" else column
    names = [*layout.columns.keys, *(() if is_one_value else ("value",)), "statistic"]
    frame = pd.DataFrame(dict(enumerate(columns.values())), index=_index(layout.rows.combinations, layout.rows.keys))
    return frame.set_axis(_index(list(columns), names), axis=1)


def _index(labels: list[Value], names: list[str]) -> pd.Index:
    if len(names) == 1:
        flat: pd.Index = pd.Index([label[0] for label in labels], name=names[0])
        return flat
    index: pd.MultiIndex = pd.MultiIndex.from_frame(pd.DataFrame(labels, columns=pd.Index(names), dtype=object))
    return index


def _grid(layout: Layout, cells: list[list[Cell]], best: str | Mapping[str, str] | None) -> Grid:
    names = [layout.called.name(name, name) for name in layout.measures]
    heads = [
        f"{name}{_ARROWS.get(choice(best, of) or '', '')}" for name, of in zip(names, layout.measures, strict=True)
    ]
    return Grid(
        corner=list(map(layout.called.key, layout.rows.keys)),
        columns=_headings(layout.columns, layout.called) if layout.columns.keys else [[]],
        values=heads,
        rows=layout.rows.parts,
        cells=cells,
        title=", ".join(heads),
        most=0,
        latex=frozenset(text for text in layout.called.labels.values() if re.search(r"[$\\]", text)),
    )


def _headings(columns: Categories, called: Words) -> list[list[str]]:
    """Return the texts of each column; values that are not texts are shown with their key, as ``lr=0.1`` is."""
    names = list(map(called.key, columns.keys))
    return [
        [
            part if isinstance(one, str) else f"{name}={part}"
            for name, one, part in zip(names, value, parts, strict=True)
        ]
        for value, parts in zip(columns.combinations, columns.parts, strict=True)
    ]
