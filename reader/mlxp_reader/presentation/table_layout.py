"""Which groups of runs are in which cell of a table, and what is behind a cell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlxp.errors import InvalidKeyError
from mlxp_reader.analysis.seeds import SeedGroups
from mlxp_reader.analysis.settings import rank
from mlxp_reader.columns.runs import Runs
from mlxp_reader.evidence.cells import Question
from mlxp_reader.evidence.notes import part_of
from mlxp_reader.notices import some
from mlxp_reader.presentation.categories import Categories, Words
from mlxp_reader.presentation.marking import Marking


@dataclass(frozen=True, slots=True)
class Layout:
    """Which groups of runs are in which cell, and what everything is called."""

    rows: Categories
    columns: Categories
    measures: list[str]
    row: npt.NDArray[np.intp]  # of each group
    column: npt.NDArray[np.intp]
    called: Words


@dataclass(frozen=True, slots=True)
class GroupsOfCells:
    """Which runs are behind each cell of a table."""

    frame: Runs
    groups: SeedGroups
    layout: Layout
    marking: Marking
    exclude: list[str]

    def runs(self, labels: Sequence[Any]) -> Any:
        """Return the runs of the cell with these labels; see `Table.runs`."""
        layout = self.layout
        cells = zip(layout.row.tolist(), layout.column.tolist(), strict=True)
        names = [_names_of_cell(layout, row, column) for row, column in cells]
        hits = [group for group, pairs in enumerate(names) if _is_named(pairs, labels)]
        if len(hits) != 1:
            known = some([" and ".join(text for _, text in pairs) for pairs in names])
            raise InvalidKeyError(
                f"{', '.join(map(repr, labels)) or 'no label'} names {len(hits)} cells; there are {known}"
            )
        return self.groups.runs(hits[0])

    def part(self) -> dict[str, Any] | None:
        """Return what the note beside a file says of the table."""
        by = [*self.layout.rows.keys, *self.layout.columns.keys]
        question = Question(self.layout.measures, by, self.groups.over, self.exclude)
        best = dict(self.marking.best) if isinstance(self.marking.best, Mapping) else self.marking.best
        return part_of(self.frame, "table", question, rows=self.layout.rows.keys, best=best, ties=self.marking.ties)


def _names_of_cell(layout: Layout, row: int, column: int) -> list[tuple[Any, str]]:
    """Return the values that name a cell, each with its text."""
    found: list[tuple[Any, str]] = []
    for categories_, at in ((layout.rows, row), (layout.columns, column)):
        if categories_.keys:
            found += zip(categories_.combinations[at], categories_.parts[at], strict=True)
    return found


def _is_named(pairs: Sequence[tuple[Any, str]], labels: Sequence[Any]) -> bool:
    return len(pairs) == len(labels) and all(
        text == label or rank(value) == rank(label) for (value, text), label in zip(pairs, labels, strict=True)
    )
