"""The states of files, which show whether a file has changed since it was read."""

import os
from array import array
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

States = npt.NDArray[np.int64]
"""The states of some files, one `FileState` per row."""

Numbers = npt.NDArray[np.int64]


class FileState(NamedTuple):
    """One state of a file or a folder.

    Attributes
    ----------
    changed_ns
        When it was changed last. On POSIX, this is the time that nobody can set: it also tells that a file was given
        an older modification time. On Windows, it is the modification time.
    """

    size: int
    changed_ns: int
    inode: int


NO_FILE = FileState(-1, -1, -1)
"""The state of a file that does not exist or cannot be examined."""

UNKNOWN = FileState(-2, -2, -2)
"""Stands for a state that has not been looked up yet."""

_LARGEST = 2**63 - 1  # some file systems have larger inode numbers
_IS_POSIX = os.name == "posix"  # elsewhere, st_ctime is when the file was created


def state_of(file: str | int) -> FileState:
    """Return the state of the file at a path, or of an open file."""
    try:
        status = os.stat(file)  # noqa: PTH116 - twice as fast, and called ten thousand times
    except (OSError, ValueError):  # or a name that no file can have
        return NO_FILE
    changed = status.st_ctime_ns if _IS_POSIX else status.st_mtime_ns
    return FileState(status.st_size, changed, status.st_ino & _LARGEST)


def states_of(paths: Iterable[str]) -> States:
    """Return the states of files, one per row.

    Examples
    --------
    >>> states_of(["/no/such/file"]).tolist()
    [[-1, -1, -1]]
    """
    numbers = array("q")
    add, stat = numbers.extend, os.stat
    for path in paths:
        try:
            status = stat(path)
        except (OSError, ValueError):
            add(NO_FILE)
        else:
            changed = status.st_ctime_ns if _IS_POSIX else status.st_mtime_ns
            add((status.st_size, changed, status.st_ino & _LARGEST))
    return np.array(numbers, dtype=np.int64).reshape(-1, len(NO_FILE))


def fingerprints(states: States, counts: Numbers) -> Numbers:
    """Return one number for the states of each run's files, which are `counts` rows, at least one, of `states`.

    It has 64 bits, so that no change goes unnoticed: that two states give one number by chance does not happen.

    Examples
    --------
    >>> states = np.array([FileState(5, 100, 1), FileState(7, 100, 2), FileState(5, 100, 1)])
    >>> one, two, other = fingerprints(states, np.array([1, 1, 1])).tolist()
    >>> one == other, one == two
    (True, False)
    """
    starts = np.cumsum(counts) - counts
    places = np.arange(len(states)) - np.repeat(starts, counts)
    mixed = _mixed(places.astype(np.uint64))
    for column in states.astype(np.uint64).T:
        mixed = _mixed(mixed + column)
    return np.add.reduceat(mixed, starts).astype(np.int64) if len(counts) else np.empty(0, np.int64)


def _mixed(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return numbers in which each bit depends on all bits of the given ones: the last steps of SplitMix64."""
    numbers = (numbers + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
