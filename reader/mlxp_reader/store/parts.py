"""Parts of metric files: what was read of each, how it is recognised, and whether the file has changed since."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlxp_reader.records.file_states import NO_FILE, FileState, States

MAX_PIECES = 8
"""After so many small pieces of a file, reading goes on after the last piece that is not small, to make them one."""

SMALL_PIECE = 2**18
"""A piece of fewer bytes than this is small: to read it again costs less than to store it."""

NOT_ALL = -1
"""Instead of the time of a file's last change, in the state of a part that is known not to be the file's last one."""

PART = np.dtype(
    [
        (name, np.int64)
        for name in (
            "run",  # its id
            "size",  # these three are the state of the whole file
            "mtime_ns",
            "inode",
            "start",  # the part starts at this byte of the file
            "end",  # and ends before this one, where the next part starts
            "generation",  # when the file's first part was read; all parts of one reading share it
            "first",  # how many records are before this part
            "records",  # how many it has
            "lines",  # how many lines there are up to its end
            "check",  # of all bytes of the file up to the part's end: a file that has only grown still has them
        )
    ]
)
"""A part of a run's metric file."""

Parts = npt.NDArray[np.void]
"""An array of `PART`."""


def checksum(text: bytes, before: int = 0) -> int:
    """Return the checksum of the bytes of a file up to the end of `text`, given the checksum `before` it."""
    return zlib.crc32(text, before)


@dataclass(frozen=True, slots=True)
class Found:
    """Which parts of some runs' files are known; the first three attributes have one entry per part, in any order.

    Attributes
    ----------
    run
        The position of the part's run among the runs.
    shard, row
        Where the values are: the position among the shards, and the row there.
    is_current
        For each run, whether the parts make up its whole file.
    last
        The last part of each run whose parts are the beginning of its file.
    """

    run: npt.NDArray[np.int64]
    shard: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    is_current: npt.NDArray[np.bool_]
    last: dict[int, np.void]


def find(shards: Sequence[Parts], log_ids: npt.NDArray[np.int64], states: States) -> Found:
    """Return which of the parts in `shards` make up the files of runs, given the `states` of these files."""
    parts = np.concatenate([np.empty(0, PART), *shards])
    run_of = _positions(parts["run"], log_ids)
    wanted = np.concatenate([states, [NO_FILE]])  # the last of them for parts of other runs, whose run is -1
    is_current = (run_of >= 0) & (parts["start"] == 0)
    for column, name in enumerate(("size", "mtime_ns", "inode")):
        is_current &= parts[name] == wanted[run_of, column]
    whole = np.full(len(log_ids), -1, dtype=np.int64)
    whole[run_of[is_current]] = np.flatnonzero(is_current)
    chosen = [whole[whole >= 0]]
    is_complete = whole >= 0
    last = {}
    for run, rows in _others(run_of, is_complete).items():
        pieces, is_complete[run] = _pieces(parts, rows, FileState(*states[run].tolist()))
        chosen.append(np.array(pieces, dtype=np.int64))
        if pieces and not is_complete[run]:
            last[run] = parts[pieces[-1]]
    found = np.concatenate(chosen)
    shard_of = np.repeat(np.arange(len(shards)), [len(shard) for shard in shards])
    row_of = np.concatenate([np.empty(0, np.int64), *(np.arange(len(shard)) for shard in shards)])
    return Found(run_of[found], shard_of[found], row_of[found], is_complete, last)


def _positions(values: npt.NDArray[np.int64], among: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return for each of `values` its position in `among`, or -1."""
    if not len(among):
        return np.full(len(values), -1, dtype=np.int64)
    order = np.argsort(among, kind="stable")
    found = order[np.minimum(np.searchsorted(among, values, sorter=order), len(among) - 1)]
    return np.where(among[found] == values, found, -1)


def _others(run_of: npt.NDArray[np.int64], is_complete: npt.NDArray[np.bool_]) -> dict[int, list[int]]:
    """Return the parts of each run whose file is not complete in a single part."""
    others: dict[int, list[int]] = {}
    candidates = np.flatnonzero(run_of >= 0)
    for part in candidates[~is_complete[run_of[candidates]]].tolist():
        others.setdefault(int(run_of[part]), []).append(part)
    return others


def _pieces(parts: Parts, rows: list[int], state: FileState) -> tuple[list[int], bool]:
    """Return the parts of one file, in order, and whether they make up all of it."""
    same_file = [row for row in rows if parts[row]["inode"] == state.inode]
    current = [row for row in same_file if (parts[row]["size"], parts[row]["mtime_ns"]) == state[:2]]
    newest = max(current, key=lambda row: (int(parts[row]["generation"]), int(parts[row]["end"])), default=None)
    if newest is not None and (pieces := _back_to_start(parts, same_file, newest)) is not None:
        return pieces, True
    # A file that was rewritten with the same size may hold anything.
    earlier = [row for row in same_file if parts[row]["size"] < state.size and parts[row]["end"] > parts[row]["start"]]
    if not earlier:
        return [], False
    for row in sorted(earlier, key=lambda row: (int(parts[row]["generation"]), int(parts[row]["end"])), reverse=True):
        pieces = _back_to_start(parts, same_file, row)
        if pieces is not None:
            return _without_small_ends(parts, pieces), False
    return [], False


def _without_small_ends(parts: Parts, pieces: list[int]) -> list[int]:
    """Return pieces of a file without the last ones, if these are small and many."""
    is_small = [int(parts[row]["end"] - parts[row]["start"]) < SMALL_PIECE for row in pieces]
    at_end = is_small[::-1].index(False) if False in is_small else len(pieces)
    return pieces if at_end < MAX_PIECES else pieces[:-at_end]


def _back_to_start(parts: Parts, rows: list[int], last: int) -> list[int] | None:
    """Return the parts up to and including `last`, except empty ones; None if one of them is lost."""
    generation = parts[last]["generation"]
    by_end = {
        int(parts[row]["end"]): row
        for row in rows
        if parts[row]["generation"] == generation and parts[row]["end"] > parts[row]["start"]
    }
    pieces: list[int] = []
    position = int(parts[last]["end"])
    while position in by_end:
        pieces.insert(0, by_end[position])
        position = int(parts[pieces[0]]["start"])
    return pieces if position == 0 else None
