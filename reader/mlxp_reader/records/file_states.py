"""The states of files, which show whether a file has changed since it was read."""

import os
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

States = npt.NDArray[np.int64]
"""The states of some files, one `FileState` per row."""


class FileState(NamedTuple):
    """One state of a file."""

    size: int
    mtime_ns: int
    inode: int


NO_FILE = FileState(-1, -1, -1)
"""The state of a file that does not exist or cannot be examined."""

UNKNOWN = FileState(-2, -2, -2)
"""Stands for a state that has not been looked up yet."""

_LARGEST = 2**63 - 1  # some file systems have larger inode numbers


def state_of(file: str | int) -> FileState:
    """Return the state of the file at a path, or of an open file."""
    try:
        status = os.stat(file)  # noqa: PTH116 - twice as fast, and called ten thousand times
    except (OSError, ValueError):  # or a name that no file can have
        return NO_FILE
    return FileState(status.st_size, status.st_mtime_ns, status.st_ino & _LARGEST)


def states_of(paths: Iterable[str]) -> States:
    """Return the states of files, one per row.

    Examples
    --------
    >>> states_of(["/no/such/file"]).tolist()
    [[-1, -1, -1]]
    """
    numbers: list[int] = []
    stat = os.stat
    for path in paths:
        try:
            status = stat(path)
        except (OSError, ValueError):
            numbers += NO_FILE
        else:
            numbers += (status.st_size, status.st_mtime_ns, status.st_ino & _LARGEST)
    return np.array(numbers, dtype=np.int64).reshape(-1, len(NO_FILE))
