"""Which records of a resumed run count: what an attempt logged again supersedes what earlier ones had logged.

From the step at which an attempt went on, the records of earlier attempts in the same file do not count. A run that was
never resumed, or whose records tell no step, keeps all of its records.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mlxp.run_directory.layout import RunDirectory

Integers = npt.NDArray[np.int64]


def beginnings(run: Path, log_name: str) -> list[int]:
    """Return the number of the record with which each attempt after the first began in a metrics file.

    An attempt that began with an empty file is left out.
    """
    directory = RunDirectory(run)
    sizes = [begins.get(log_name) for one in directory.attempts() if isinstance(begins := one.get("begins"), dict)]
    known = sorted({size for size in sizes if isinstance(size, int) and not isinstance(size, bool) and size > 0})
    if not known:
        return []
    try:
        with directory.metrics_file(log_name).open("rb") as file:
            text = file.read(known[-1])
    except OSError:
        return []
    return [sum(map(_is_record, text[:size].splitlines())) for size in known]


def _is_record(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def superseded(begins: Sequence[int], steps: npt.NDArray[Any], records: Integers) -> Integers:
    """Return the numbers of the records that do not count.

    Parameters
    ----------
    begins
        What `beginnings` returned.
    steps, records
        The steps of the run, and the numbers of the records that tell them.

    Examples
    --------
    >>> superseded([3], np.array([0, 1, 2, 2, 3]), np.arange(5)).tolist()
    [2]
    """
    attempt = np.searchsorted(begins, records, side="right")
    lost: list[Integers] = []
    limit = np.inf
    for number in range(len(begins), -1, -1):
        mine = attempt == number
        lost.append(records[mine & (steps >= limit)])
        if mine.any():
            limit = min(limit, np.nanmin(steps[mine])) if not np.isnan(steps[mine]).all() else limit
    return np.concatenate(lost)
