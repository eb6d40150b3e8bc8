"""The sign of life of a run, and whether a run that says it is under way still is."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

_LEAST_SILENCE: Final = 90.0  # seconds; file systems of clusters show a new time late
_HEARTBEATS_MISSED: Final = 3
_PROC: Final = Path("/proc")


def is_silent(info: Mapping[str, Any], last_beat: float, now: float | None = None) -> bool:
    """Tell whether a run has missed several heartbeats.

    Parameters
    ----------
    info
        What its info.yaml says; directories of MLXP 1 have no heartbeat.
    last_beat
        When that file was last touched, in seconds since the epoch.
    now
        The current time, by the same clock as `last_beat`; by default this computer's.

    Examples
    --------
    >>> is_silent({"heartbeat": 30.0}, time.time() - 1000), is_silent({"heartbeat": 30.0}, time.time() - 60)
    (True, False)
    """
    heartbeat = info.get("heartbeat")
    longest = _HEARTBEATS_MISSED * heartbeat if isinstance(heartbeat, int | float) else 0
    return (time.time() if now is None else now) - last_beat > max(longest, _LEAST_SILENCE)


def is_gone(info: Mapping[str, Any]) -> bool:
    """Tell whether the process of a run was on this computer and is no longer there.

    Nothing is known about other computers, and unknown does not mean dead.
    """
    if info.get("hostname") != socket.gethostname():
        return False
    return process_exists(info.get("process_id"), info.get("process_start")) is False


def process_exists(process_id: Any, start: Any = None) -> bool | None:
    """Tell whether this computer has a process with that id; None if that cannot be found out.

    Parameters
    ----------
    process_id
        The id of the process.
    start
        What `process_start` returned for it, if that is known, since ids are reused.
    """
    if type(process_id) is not int or process_id <= 0 or os.name != "posix":
        return None
    try:
        os.kill(process_id, 0)
    except OSError as error:
        if not isinstance(error, PermissionError):
            return False
    except OverflowError:  # no process has such a number
        return False
    now = process_start(process_id) if start else None
    return now is None or now == start


def process_start(process_id: int) -> str | None:
    """Return what distinguishes a process from earlier and later ones with the same id; None if nothing does."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        stat = (_PROC / f"{process_id}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None if (_PROC / "self").exists() or os.name != "posix" else _start_by_ps(process_id)
    # After the name of the program, which may have any characters, in parentheses.
    return f"{boot} {stat.rpartition(')')[2].split()[19]}"


def _start_by_ps(process_id: int) -> str | None:
    """Return the time at which a process started, where there is no /proc, as on macOS."""
    import subprocess  # rarely needed

    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}  # the same text whoever asks, in summer and winter
    command = ["ps", "-o", "lstart=", "-p", str(process_id)]
    try:
        answer = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return " ".join(answer.stdout.decode("ascii", "replace").split()) or None


@contextlib.contextmanager
def heartbeat(files: Path | Sequence[Path], seconds: float) -> Iterator[None]:
    """Within this context, set the modification time of files to now every so many `seconds`; never if 0.

    If the file is old while the status says RUNNING, the run may have been killed in a way that it could not notice.
    """
    if seconds <= 0:
        yield
        return
    done = threading.Event()
    paths = [files] if isinstance(files, Path) else files
    thread = threading.Thread(target=_beat, args=(paths, seconds, done), name="mlxp-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _beat(files: Sequence[Path], seconds: float, done: threading.Event) -> None:
    while not done.wait(seconds):
        for file in files:
            # A log directory that is briefly out of reach must not end the run, nor its heartbeat.
            with contextlib.suppress(OSError):
                os.utime(file)
