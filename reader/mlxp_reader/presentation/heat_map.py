"""A heat map: the mean of a number for each pair of values of two keys."""

import math
from typing import Any

import numpy as np

from mlxp_reader.analysis.run_numbers import Numbers
from mlxp_reader.analysis.seed_statistics import spread
from mlxp_reader.analysis.seeds import SeedGroups
from mlxp_reader.columns.missing import ABSENT, TEXTS, kind_of
from mlxp_reader.presentation.categories import Words, categories
from mlxp_reader.presentation.plot_style import plain, say_nothing, set_texts


def draw_heat_map(axis: Any, groups: SeedGroups, table: Numbers, called: Words, value: str) -> Any:
    """Draw the mean of each group, whose first key tells the row and second one the column, and return the axes."""
    numbers = spread(table, ["mean", "count"])
    if np.isnan(numbers["mean"]).all():
        say_nothing(axis)
        return axis
    rows, columns = (categories([key], groups.values([key]), called) for key in groups.keys[:2])
    row, column = (list(map(found.place, groups.values(found.keys))) for found in (rows, columns))
    cells, counts = np.full((len(rows), len(columns)), ABSENT), np.zeros((len(rows), len(columns)), dtype=np.int64)
    cells[row, column], counts[row, column] = numbers["mean"], numbers["count"]
    finite = np.where(np.isfinite(cells), cells, np.nan)
    image = axis.imshow(finite, origin="lower", aspect="auto", cmap="viridis")
    axis.figure.colorbar(image, ax=axis, label=plain(called.name(value, value)))
    set_texts(axis.xaxis, columns.texts)
    set_texts(axis.yaxis, rows.texts)
    axis.set(xlabel=plain(columns.title), ylabel=plain(rows.title))
    _write_numbers(axis, image, cells, counts)
    return axis


def _write_numbers(axis: Any, image: Any, cells: Numbers, counts: Any) -> None:
    for (y, x), number in np.ndenumerate(cells):
        shade = "gray" if not math.isfinite(number) else "black" if image.norm(number) > 0.5 else "white"
        text = TEXTS[kind_of(number)] if not counts[y, x] else f"{number:.3g}{'†' * bool(counts[y, x] < counts.max())}"
        axis.text(x, y, text, ha="center", va="center", color=shade)
    if (counts[counts > 0] < counts.max(initial=0)).any():
        axis.set_title(f"† fewer than {counts.max()} runs", fontsize="small", loc="right")
