"""Who is adding to a store: whoever removes something from it (``mlxp gc``) waits for them, and they for it."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mlxp.run_directory.locks import LockedError, locked, server_time

COLLECTING: Final = "collecting"
"""The lock in the store of whoever removes something."""

_USERS: Final = "users"
"""The folder in the store with a file for each process that is adding something."""

_PATIENCE: Final = 600.0  # seconds
_LONGEST_USE: Final = 600.0
"""Seconds after which a file of that kind was left by a process that died; git has a time limit for each command."""

_POLL: Final = 0.05


@contextlib.contextmanager
def adding_to(store: Path) -> Iterator[None]:
    """Within this context, nothing is removed from a store; first wait for whoever is removing something.

    A store that cannot be written is used all the same: nobody removes anything there either.
    """
    mark = store / _USERS / os.urandom(8).hex()
    with contextlib.suppress(OSError):
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        while (store / COLLECTING).exists():  # whoever removes something looks for marks after that
            mark.unlink()
            with contextlib.suppress(LockedError), locked([store / COLLECTING], "starts a run", wait=_PATIENCE):
                pass
            mark.touch()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            mark.unlink()


@contextlib.contextmanager
def removing_from(store: Path) -> Iterator[None]:
    """Within this context, nobody adds to a store; first wait for all who are adding or removing something.

    Raises
    ------
    LockedError
        If somebody else goes on removing something.
    """
    with locked([store / COLLECTING], "removes what no run needs", wait=_PATIENCE):
        while any(_is_alive(mark) for mark in (store / _USERS).glob("*")):
            time.sleep(_POLL)
        yield


def _is_alive(mark: Path) -> bool:
    try:
        return server_time(mark.parent.parent) - mark.stat().st_mtime < _LONGEST_USE
    except OSError:
        return False
