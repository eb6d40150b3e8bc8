"""Locks in a process that may fork: locks that another thread held are free in the child, which lacks that thread.

Python itself holds a lock for each module that is being imported, and nobody can free that lock in a child. So a thread
that may import something holds `no_fork`, and a fork waits for it.
"""

import contextlib
import os
import threading
import weakref
from typing import Any

no_fork = threading.RLock()
"""A thread holds this briefly while no other thread may fork the process."""

_owners: weakref.WeakSet[Any] = weakref.WeakSet()


class Locked:
    """Something that one thread at a time may use, by ``with it.lock``; a forked child gets a lock of its own."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        _owners.add(self)


def _go_on() -> None:
    with contextlib.suppress(RuntimeError):  # a signal has kept this thread from waiting
        no_fork.release()


def _free_locks() -> None:
    _go_on()
    for owner in _owners:
        owner.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=no_fork.acquire, after_in_parent=_go_on, after_in_child=_free_locks)
