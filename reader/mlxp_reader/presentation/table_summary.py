"""What sums up a table: means over its columns, and average ranks in them; or, where rows are, over its rows."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mlxp.errors import InvalidKeyError
from mlxp_reader.presentation.table_formats import DASH, Cell, Grid

Numbers = npt.NDArray[np.float64]

_DECIMALS = re.compile(r"-?\d+\.(\d+)")


def with_summary(
    grid: Grid, names: Sequence[str], means: Numbers, best: Sequence[str | None], *, in_rows: bool = False
) -> Grid:
    """Return a table with columns for the mean over its columns, and for the average rank in them.

    Parameters
    ----------
    means
        The mean of each place of the table.
    best
        For each value, the direction in which it is good.
    in_rows
        Whether there are rows for the mean over the rows instead.

    Raises
    ------
    InvalidKeyError
        If there is no such summary, if the table has no columns, or if ranks have no direction.
    """
    if unknown := [name for name in names if name not in {"mean", "rank"}]:
        raise InvalidKeyError(f"summary is 'mean', 'rank' or both, not {unknown[0]!r}")
    if not in_rows and not any(grid.columns) and grid.cells:
        raise InvalidKeyError("summary needs columns=, over which it is computed, or best_in='row', for rows")
    if "rank" in names and not set(best) <= {"max", "min"}:
        raise InvalidKeyError("summary='rank' needs best='max' or best='min'")
    table = means.reshape(len(grid.rows), len(grid.columns), len(grid.values))
    of_values = [
        _summed_up(table[:, :, at].T if in_rows else table[:, :, at], _decimals(grid, at), direction)
        for at, direction in enumerate(best)
    ]
    if in_rows:
        rows = [[name, *[""] * (len(grid.corner) - 1)] for name in names]
        cells = [[Cell(of[name][at]) for at in range(len(grid.columns)) for of in of_values] for name in names]
        return replace(grid, rows=[*grid.rows, *rows], cells=[*grid.cells, *cells], summaries=len(rows))
    added = [[Cell(of[name][at]) for name in names for of in of_values] for at in range(len(grid.rows))]
    depth = len(grid.columns[0]) if grid.columns else 1
    heads = [[*[""] * (depth - 1), name] for name in names]
    cells = [[*row, *more] for row, more in zip(grid.cells, added, strict=True)]
    return replace(grid, columns=[*grid.columns, *heads], cells=cells)


def _decimals(grid: Grid, value: int) -> int:
    """Return how many decimals the means of a value have in the table."""
    texts = [cell.text for row in grid.cells for cell in row[value :: len(grid.values)]]
    return max((len(match[1]) for text in texts if (match := _DECIMALS.match(text))), default=3)


def _summed_up(means: Numbers, decimals: int, best: str | None) -> dict[str, list[str]]:
    """Return the texts for each row: its mean over the columns that every row has, and its average rank there."""
    everywhere = np.isfinite(means).all(axis=0)
    if not everywhere.any():
        return {"mean": [DASH] * len(means), "rank": [DASH] * len(means)}
    known = means[:, everywhere]
    ranks = _ranks(-known if best == "max" else known)
    return {
        "mean": [f"{mean:.{decimals}f}" for mean in known.mean(axis=1)],
        "rank": [f"{rank:.2f}" for rank in ranks.mean(axis=1)],
    }


def _ranks(scores: Numbers) -> Numbers:
    """Return the rank of each row within its column, from 1 for the lowest; equal ones share the average."""
    below = (scores[None] < scores[:, None]).sum(axis=1)
    equal = (scores[None] == scores[:, None]).sum(axis=1)
    return np.asarray(below + (equal + 1) / 2)
