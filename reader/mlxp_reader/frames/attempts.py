"""Curves of resumed runs: each is one curve, in which what was logged again counts once."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mlxp.run_directory.layout import STEP_KEYS
from mlxp.run_directory.superseded import beginnings, superseded
from mlxp_reader.columns.lazy_cells import Rows
from mlxp_reader.store.lists import MetricOfRuns

Records = npt.NDArray[np.int64]


class Attempts:
    """Leaves out the records that a later attempt of the same run supersedes.

    Parameters
    ----------
    resumed
        The rows of the runs that were resumed.
    run_at
        Returns the directory of the run in a row.
    load
        Returns the values of a metric, given the log name, the key and rows.
    has
        Tells whether a run has a key in a metrics file, given the log name, the key and its row.
    """

    def __init__(
        self,
        resumed: Collection[int],
        run_at: Callable[[int], Path],
        load: Callable[[str, str, Rows], MetricOfRuns],
        has: Callable[[str, str, int], bool],
    ) -> None:
        self._resumed = frozenset(resumed)
        self._run_at = run_at
        self._load = load
        self._has = has
        self._lost: dict[tuple[str, int], Records] = {}

    def superseded(self, log_name: str, row: int) -> Records:
        """Return the numbers of the records of a metrics file that do not count."""
        return self._superseded(log_name, row) if row in self._resumed else np.empty(0, dtype=np.int64)

    def counting(self, log_name: str, rows: Rows, cells: list[Any], records: dict[int, Records]) -> list[Any]:
        """Return the values that count, in each of some runs; `records` gets the numbers of their records."""
        if not self._resumed:
            return cells
        return [
            self._counting(log_name, row, cell, records) if row in self._resumed and cell is not None else cell
            for row, cell in zip(rows.tolist(), cells, strict=True)
        ]

    def _counting(self, log_name: str, row: int, cell: Any, records: dict[int, Records]) -> Any:
        lost = self._superseded(log_name, row)
        if not len(lost):
            return cell
        numbers = records.get(row, np.arange(len(cell)))
        counts = ~np.isin(numbers, lost)
        records[row] = numbers[counts]
        if isinstance(cell, np.ndarray):
            chosen = cell[counts]
            chosen.flags.writeable = False
            return chosen
        return [value for value, does_count in zip(cell, counts.tolist(), strict=True) if does_count]

    def _superseded(self, log_name: str, row: int) -> Records:
        """Return the numbers of the records of a metrics file that do not count."""
        if (log_name, row) not in self._lost:
            self._lost[log_name, row] = self._found(log_name, row)
        return self._lost[log_name, row]

    def _found(self, log_name: str, row: int) -> Records:
        key = next((key for key in STEP_KEYS if self._has(log_name, key, row)), None)
        begins = [] if key is None else beginnings(self._run_at(row), log_name)
        if key is None or not begins:
            return np.empty(0, dtype=np.int64)
        told = self._load(log_name, key, np.array([row]))
        steps = np.asarray(told.cells()[0])
        if steps.dtype.kind not in "iuf":
            return np.empty(0, dtype=np.int64)
        return superseded(begins, steps, told.records.get(0, np.arange(len(steps))))
