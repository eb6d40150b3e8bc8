"""The sign of life of a run, and whether one that says it is under way still is."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

_LEAST_SILENCE: Final = 90.0  # seconds; file systems of clusters show a new time late
_HEARTBEATS_MISSED: Final = 3


def is_silent(info: Mapping[str, Any], last_beat: float) -> bool:
    """Tell whether a run has missed several heartbeats.

    Parameters
    ----------
    info
        What its info.yaml says; directories of MLXP 1 tell of no heartbeat.
    last_beat
        When that file was last touched, in seconds since the epoch.

    Examples
    --------
    >>> is_silent({"heartbeat": 30.0}, time.time() - 1000), is_silent({"heartbeat": 30.0}, time.time() - 60)
    (True, False)
    """
    heartbeat = info.get("heartbeat")
    longest = _HEARTBEATS_MISSED * heartbeat if isinstance(heartbeat, int | float) else 0
    return time.time() - last_beat > max(longest, _LEAST_SILENCE)


def is_gone(info: Mapping[str, Any]) -> bool:
    """Tell whether the process of a run was on this computer, and is there no more.

    Of other computers nothing is known, and unknown is not dead.
    """
    return info.get("hostname") == socket.gethostname() and process_exists(info.get("process_id")) is False


def process_exists(process_id: Any) -> bool | None:
    """Tell whether there is a process of that number on this computer; None where that cannot be found out."""
    if type(process_id) is not int or process_id <= 0 or os.name != "posix":
        return None
    try:
        os.kill(process_id, 0)
    except OSError as error:
        return isinstance(error, PermissionError)
    except OverflowError:  # no process has such a number
        return False
    return True


@contextlib.contextmanager
def heartbeat(file: Path, seconds: float) -> Iterator[None]:
    """Set the modification time of `file` to now every so many `seconds`, until the context is left; never if 0.

    A run whose file is old, while its status says RUNNING, may have been killed in a way that it could not see.
    """
    if seconds <= 0:
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=_beat, args=(file, seconds, done), name="mlxp-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _beat(file: Path, seconds: float, done: threading.Event) -> None:
    while not done.wait(seconds):
        # A log directory that is briefly out of reach must not end the run, nor its heartbeat.
        with contextlib.suppress(OSError):
            os.utime(file)
