"""Whether a task should stop soon: the scheduler has sent a warning, or the time limit of the job is near.

A task that asks is not interrupted by the first signal that ends a run: it saves what it needs, and returns. A second
signal interrupts it like any other.
"""

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlxp.errors import InvalidSchedulerError
from mlxp.run_directory.layout import RunDirectory

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


def warned_by() -> int | None:
    """Return the signal that has warned the task, told or not; None if there was none."""
    return _state.warning


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

    Slurm tells it since version 22.05. OAR and TORQUE tell how long a job may take, and MLXP's script when it began.
    Other schedulers send a signal if they are asked to.
    """
    end, began = _seconds("SLURM_JOB_END_TIME"), _seconds("MLXP_JOB_BEGAN")
    limit = _seconds("OAR_JOB_WALLTIME_SECONDS") or _seconds("PBS_WALLTIME")
    return began + limit if end is None and began and limit else end


def _seconds(variable: str) -> float | None:
    told = os.environ.get(variable)
    try:
        return float(told) if told else None
    except ValueError:
        return None


PREEMPTED = "PREEMPTED"
"""The reason of a run that returned because it was told to stop; also a scheduler's word for what it ended."""


def with_wish(end: dict[str, Any], directory: RunDirectory | None) -> dict[str, Any]:
    """Return how a run ended, with the wish of one that was told to stop: how often its job is then put back."""
    times = _times_put_back(directory) if end["reason"] == PREEMPTED and directory is not None else 0
    return {**end, "put_back": times} if times else end


def ask_for_queue(end: Mapping[str, Any], directory: RunDirectory | None) -> None:
    """Ask the job to put itself back into the queue, once the wish is on disk."""
    if end.get("put_back") and directory is not None:
        directory.put_back_file.touch()


def _times_put_back(directory: RunDirectory) -> int:
    """Return how often the job of a run that was told to stop is put back, this time included; 0 if it is not."""
    submitted = directory.submission()
    most, since, before = (_whole(submitted.get(name)) for name in ("requeue", "attempt", "put_back"))
    if not most or submitted.get("cancelled_at") or _may_be_deletion(submitted):
        return 0
    told = [one for one in directory.attempts() if one.get("reason") == PREEMPTED]
    times = before + sum(_whole(one.get("attempt")) >= since for one in told) + 1
    return times if times <= most else 0


def _whole(value: Any) -> int:
    return value if type(value) is int else 0


def _may_be_deletion(submitted: Mapping[str, Any]) -> bool:
    """Tell whether the warning may be the end of a job that a user deletes, which is not to come back by itself."""
    from mlxp.scheduler import LOCAL, scheduler_named  # a run that was not submitted needs none

    name = str(submitted.get("scheduler"))
    if _state.warning != signal.SIGTERM or name == LOCAL:
        return False
    try:
        return not scheduler_named(name).put_back  # those that put a job back know whether it is being deleted
    except InvalidSchedulerError:
        return True
