"""Locks on paths, for processes on any number of hosts: one owner at a time, who may die without a word.

A lock is a file, created exclusively, that names its owner; its modification time is the owner's sign of life. The lock
of a dead owner is broken: at once if the list of processes shows that the owner is gone, and after some minutes if the
owner was on another host. `flock` is not used, since many cluster file systems apply it only within one host.
"""

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mlxp.errors import MLXPError
from mlxp.run_directory.files import create_exclusively
from mlxp.run_directory.liveness import heartbeat, process_exists, process_start

_BEAT = 10.0
_POLL = 0.05
_PATIENCE = 180.0
"""Seconds of silence after which an owner on another host is taken for dead; NFS shows a new time a minute late."""


class LockedError(MLXPError):
    """Somebody else holds a lock."""


@dataclass(frozen=True)
class _Owner:
    hostname: str
    process_id: int
    process_start: str | None
    token: str
    does: str

    @classmethod
    def of(cls, path: Path) -> "_Owner | None":
        """Return who holds the lock at `path`; None if nobody does, or if what is there is not a lock."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


@contextlib.contextmanager
def locked(paths: Sequence[Path], does: str, *, wait: float = 0.0) -> Iterator[None]:
    """Hold locks at all of the `paths`, whose folders must exist, or at none of them.

    Parameters
    ----------
    paths
        Where the locks are; at most one process at a time gets each of them.
    does
        What the owner does meanwhile, for messages to others, such as ``"submits run 7"``.
    wait
        Seconds to wait for another owner, who may just be looking.

    Raises
    ------
    LockedError
        If another process holds one of them.
    """
    owner = _Owner(socket.gethostname(), os.getpid(), process_start(os.getpid()), os.urandom(8).hex(), does)
    with contextlib.ExitStack() as taken:
        for path in dict.fromkeys(paths):
            _take(path, owner, time.monotonic() + wait)
            taken.callback(_release, path, owner)
        with heartbeat(list(paths), _BEAT):
            yield


def _take(path: Path, owner: _Owner, deadline: float) -> None:
    # Not durably: where the power fails, the owner is gone, and an empty lock is broken like that of any dead owner.
    while not create_exclusively(path, json.dumps(asdict(owner)), durably=False):
        holder = _Owner.of(path)
        if holder is None and not path.exists():
            continue  # it was released meanwhile, and may be taken again at any moment
        if not _is_dead(path, holder):
            if time.monotonic() < deadline:
                time.sleep(_POLL)
                continue
            who = f"process {holder.process_id} on {holder.hostname} {holder.does}" if holder else f"{path} is taken"
            raise LockedError(f"{who}; try again when it has ended")
        # Under a lock of its own, so that nobody breaks a lock that another process has just taken.
        breaker = path.with_name(f"{path.name}.breaking")
        _take(breaker, owner, deadline)
        try:
            if _Owner.of(path) == holder and _is_dead(path, holder):
                path.unlink(missing_ok=True)
        finally:
            _release(breaker, owner)


def _is_dead(path: Path, holder: _Owner | None) -> bool:
    try:
        silence = server_time(path.parent) - path.stat().st_mtime
    except OSError:
        return not path.exists()  # it was released meanwhile
    if holder is not None and holder.hostname == socket.gethostname():
        return process_exists(holder.process_id, holder.process_start) is False
    return silence > _PATIENCE


def server_time(folder: Path) -> float:
    """Return the time by the clock of the computer that stores a folder, in seconds since the epoch.

    Raises
    ------
    OSError
        If nothing can be created there.
    """
    file = folder / f".time-{os.urandom(6).hex()}"
    file.touch()
    try:
        return file.stat().st_mtime
    finally:
        file.unlink()


def _release(path: Path, owner: _Owner) -> None:
    if _Owner.of(path) == owner:
        with contextlib.suppress(OSError):
            path.unlink()
