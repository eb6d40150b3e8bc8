"""Locks in a process that may fork: what another thread had locked is free in the child, where that thread is not."""

import os
import threading
import weakref
from typing import Any

_owners: weakref.WeakSet[Any] = weakref.WeakSet()


class Locked:
    """Something that one thread at a time may use: ``with it.lock``. A forked child gets a lock of its own."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        _owners.add(self)


def _free_locks() -> None:
    for owner in _owners:
        owner.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_locks)
