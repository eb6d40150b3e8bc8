"""Tells which runs of an index are still as they were when they were read.

To look at all files of each run would take most of the time of opening a directory again. Hence a run in which nothing
has changed for a day is only glanced at: its info, the folder of that and the folder of its metrics show what usually
happens to a run. They do not show a file that somebody edits in place: each time, another tenth of the runs is looked
at in full.
"""

import contextlib
import random
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlxp_reader.records.crawl import GLANCED_AT
from mlxp_reader.records.file_states import Numbers, fingerprints, states_of
from mlxp_reader.records.run_table import shared

Mask = npt.NDArray[np.bool_]

TURN_FILE = "turn"
_TURNS = 10
_AT_ONCE = 5000  # runs the states of whose files are in memory
_YOUNG = 24 * 3600.0
"""Seconds after its last change for which a run is always looked at in full: a copy may still go on, or a job end."""


class Checked(NamedTuple):
    """What was found; each number is the row of a run in the index.

    Attributes
    ----------
    right
        The runs that need not be read again.
    glanced
        Which of these were glanced at only.
    stale
        The runs that are still there, but must be read again.
    """

    right: Numbers
    glanced: Mask
    stale: Numbers


def check(known: pa.Table, source: str, log_ids: Sequence[int], cache: Path, *, is_full: bool) -> Checked:
    """Compare the files of the runs `log_ids`, which are in `source` now, with what an index knows.

    Parameters
    ----------
    cache
        Where to remember whose turn it is to be looked at in full.
    is_full
        Whether to look at all runs in full.
    """
    ids, _, rows = np.intersect1d(
        np.array(log_ids, dtype=np.int64), known["log_id"].to_numpy(), assume_unique=True, return_indices=True
    )
    is_settled = known["settled"].to_numpy()[rows]
    is_glanced = is_settled & (known["changed_ns"].to_numpy()[rows] < (time.time() - _YOUNG) * 1e9)
    if is_full:
        is_glanced[:] = False
    elif is_glanced.any():
        is_glanced &= ids % _TURNS != _next_turn(cache)
    is_right = np.zeros(len(ids), dtype=np.bool_)
    for column, chosen, names in (
        ("glance", np.flatnonzero(is_glanced), _names_of_glance),
        ("stamp", np.flatnonzero(is_settled & ~is_glanced), _names_of_files),
    ):
        now = _fingerprints(source, ids[chosen].tolist(), names(known, rows[chosen]))
        is_right[chosen] = now == known[column].to_numpy()[rows[chosen]]
    return Checked(rows[is_right], is_glanced[is_right], rows[~is_right])


def _next_turn(cache: Path) -> int:
    file = cache / TURN_FILE
    try:
        last = int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        last = random.randrange(_TURNS)  # noqa: S311 - where nothing can be kept, chance is as good
    turn = (last + 1) % _TURNS
    with contextlib.suppress(OSError):
        file.write_text(str(turn), encoding="ascii")
    return turn


def _names_of_glance(known: pa.Table, rows: Numbers) -> list[Sequence[str]]:  # noqa: ARG001 - like the other one
    return [GLANCED_AT] * len(rows)


def _names_of_files(known: pa.Table, rows: Numbers) -> list[Sequence[str]]:
    files = shared(known, "files")
    return [files.contents[at] for at in files.of_run[rows].tolist()]


def _fingerprints(source: str, log_ids: Sequence[int], names: Sequence[Sequence[str]]) -> Numbers:
    found = [np.empty(0, np.int64)]
    for start in range(0, len(log_ids), _AT_ONCE):
        here = slice(start, start + _AT_ONCE)
        counts = np.array(list(map(len, names[here])), dtype=np.int64)
        found.append(fingerprints(states_of(_paths(source, log_ids[here], names[here])), counts))
    return np.concatenate(found)


def _paths(source: str, log_ids: Sequence[int], names: Sequence[Sequence[str]]) -> Iterable[str]:
    # Not built by RunDirectory, which would take as long as looking at the file.
    return (f"{source}/{log_id}/{name}" for log_id, several in zip(log_ids, names, strict=True) for name in several)
