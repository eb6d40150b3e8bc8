"""Whether a task should stop soon: the scheduler has sent a warning, or the time limit of the job is near.

A task that asks is not interrupted by the first signal that ends a run: it saves what it needs, and returns. A second
signal interrupts it like any other.
"""

import os
import signal
import time
from dataclasses import dataclass

_WARNINGS = ("SIGTERM", "SIGUSR1", "SIGUSR2")
"""What schedulers send before they end a job: Slurm by --signal, OAR by --checkpoint, Grid Engine by -notify."""

MARGIN = 60.0
"""How many seconds before the time limit a task should stop, if no signal says so earlier."""


@dataclass
class _State:
    """What has been asked and heard in this process, since the run began."""

    is_asked: bool = False
    warning: int | None = None
    is_told: bool = False


_state = _State()


def forget_warnings() -> None:
    """Begin anew: what a run has been warned of does not concern the next one, which is not started after it."""
    global _state  # noqa: PLW0603 - signals come to the process as a whole
    _state = _State()


def should_stop() -> bool:
    """Tell whether a task should stop; from now on, the first warning does not interrupt it."""
    _state.is_asked = True
    if _state.warning is not None or _is_time_up():
        _state.is_told = True
    return _state.is_told


def was_told_to_stop() -> int | None:
    """Return the signal for which the task was told to stop, SIGTERM for the time limit; None if it was not told."""
    if not _state.is_told:
        return None
    return _state.warning if _state.warning is not None else signal.SIGTERM


def take_warning(number: int) -> bool:
    """Take note of a signal; return whether the task will ask for it, so that it need not be interrupted."""
    if not _state.is_asked or _state.warning is not None or signal.Signals(number).name not in _WARNINGS:
        return False
    _state.warning = number
    return True


def _is_time_up() -> bool:
    end = end_of_job()
    return end is not None and time.time() > end - MARGIN


def end_of_job() -> float | None:
    """Return when the scheduler ends the job of this process, in seconds since the epoch; None if that is not known.

    Slurm tells it since version 22.05. Other schedulers send a signal if they are asked to.
    """
    told = os.environ.get("SLURM_JOB_END_TIME")
    try:
        return float(told) if told else None
    except ValueError:
        return None
