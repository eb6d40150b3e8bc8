"""The claim of a job on an attempt of a run: one job gets it, however often and wherever the run was submitted.

A claim is a file that is created exclusively and names the job. A job stops if it is not the one that the submitter
recorded, or if it finds the claim of another job. A job that its scheduler has started again goes on once its earlier
process is silent, since a process may outlive its job.
"""

import os
import socket
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlxp.errors import InvalidSchedulerError, LogDirectoryError
from mlxp.run_directory.files import create_exclusively, to_yaml, write_yaml
from mlxp.run_directory.layout import RunDirectory
from mlxp.run_directory.liveness import is_silent, process_exists, process_start
from mlxp.run_directory.locks import locked, server_time
from mlxp.run_directory.status import Status

if TYPE_CHECKING:
    from mlxp.scheduler import Scheduler

_POLL = 2.0
_GRACE = 30.0
"""Seconds that a process on this host gets to end after its job has been started again."""


def claim(directory: RunDirectory, submitted: Mapping[str, Any]) -> str | None:
    """Claim the current attempt of a run for the job of this process; return why it must not be done here, if so.

    Raises
    ------
    LogDirectoryError
        If another process is executing the run, or if the claim cannot be written.
    """
    obstacle = other_job(submitted)
    if obstacle is not None or not submitted:
        return obstacle
    attempt = submitted.get("attempt") or 1
    file = directory.claim_file(attempt)
    own = _own(submitted)
    try:
        file.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise LogDirectoryError(f"cannot create {file.parent}: {error.strerror}") from error
    is_restart = own["scheduler_job_id"] is not None
    if create_exclusively(file, to_yaml(own)):
        _wait_for_silence(directory, {}, 0.0, is_restart=is_restart)
        return None
    obstacle = _of_another_job(directory.claim(attempt), own, submitted)
    if obstacle is not None:
        return obstacle
    # One at a time, so that only one goes on when several find the claim of a dead process.
    with locked([file.with_suffix(".taking")], "goes on with the run"):
        _wait_for_silence(directory, directory.claim(attempt), _time_of(file), is_restart=is_restart)
        write_yaml(file, own, durably=True)
    return None


def other_job(submitted: Mapping[str, Any]) -> str | None:
    """Return a sentence if this process is known to be in another job than the one that the run was submitted as."""
    scheduler = _scheduler(submitted)
    own = scheduler.own_job_id(os.environ) if scheduler is not None else None
    if scheduler is None or own is None or _has_token(scheduler, submitted):
        return None
    recorded = submitted.get("scheduler_job_id")
    if recorded is None or own == recorded or scheduler.restarts_as_another_job:
        earlier = [one.get("scheduler_job_id") for one in submitted.get("earlier") or []]
        return f"{scheduler.name} job {own} was its job before it was submitted again" if own in earlier else None
    return f"this is {scheduler.name} job {own}, and the run was submitted as job {recorded}"


def _has_token(scheduler: "Scheduler", submitted: Mapping[str, Any]) -> bool:
    token = submitted.get("token")
    return bool(token) and str(token) in os.environ.get(scheduler.name_variable, "")


def _scheduler(submitted: Mapping[str, Any]) -> "Scheduler | None":
    from mlxp.scheduler import scheduler_named  # a run that was not submitted needs none

    try:
        return scheduler_named(str(submitted["scheduler"]))
    except (KeyError, InvalidSchedulerError):  # that of a plug-in, which the job does not import
        return None


def _own(submitted: Mapping[str, Any]) -> dict[str, Any]:
    scheduler = _scheduler(submitted)
    return {
        "scheduler_job_id": scheduler.own_job_id(os.environ) if scheduler is not None else None,
        "token": submitted.get("token"),
        "hostname": socket.gethostname(),
        "process_id": os.getpid(),
        "process_start": process_start(os.getpid()),
        "claimed_at": datetime.now().astimezone().isoformat(timespec="milliseconds"),
    }


def _of_another_job(earlier: Mapping[str, Any], own: Mapping[str, Any], submitted: Mapping[str, Any]) -> str | None:
    theirs, ours = earlier.get("scheduler_job_id"), own["scheduler_job_id"]
    scheduler = _scheduler(submitted)
    if theirs is None or ours is None or theirs == ours:
        return None
    if scheduler is not None and scheduler.restarts_as_another_job and earlier.get("token") == own["token"]:
        return None
    return f"job {theirs} does it, and this is job {ours}"


def _wait_for_silence(
    directory: RunDirectory, earlier: Mapping[str, Any], claimed_at: float, *, is_restart: bool
) -> None:
    """Wait until no other process executes the run; raise an error if one goes on with it.

    A job that its scheduler may have started again waits for the signs of life to stop; if they come from another host,
    it waits for some heartbeats. Whoever starts the run by hand is told at once.
    """
    deadline = time.monotonic() + _GRACE
    first = _time_of(directory.info_file)
    while (process := _alive(directory, earlier, claimed_at)) is not None:
        here = process.get("hostname") == socket.gethostname()
        has_beaten = _time_of(directory.info_file) != first
        if not is_restart or (time.monotonic() > deadline if here else has_beaten):
            raise LogDirectoryError(
                f"run {directory.path} goes on in process {process.get('process_id')} on {process.get('hostname')}, "
                "which is alive; wait until it has ended, or stop it"
            )
        time.sleep(_POLL)


def _time_of(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _alive(directory: RunDirectory, earlier: Mapping[str, Any], claimed_at: float) -> Mapping[str, Any] | None:
    """Return the process that is executing the run, or that may be for all we know; None if there is none."""
    info = directory.info()
    if goes_on(info, directory):
        return info
    has_begun = all(info.get(name) == earlier.get(name) for name in ("hostname", "process_id"))
    if earlier and not has_begun and _may_live(earlier, claimed_at, directory):
        return earlier  # it has claimed the run, and is about to begin
    return None


def goes_on(info: Mapping[str, Any], directory: RunDirectory) -> bool:
    """Tell whether a run must not begin here because another process has begun it and may still be executing it."""
    status = Status.of(info.get("status"))
    return status is not None and status.is_under_way and _may_live(info, _time_of(directory.info_file), directory)


def _may_live(process: Mapping[str, Any], last_beat: float, directory: RunDirectory) -> bool:
    if process.get("hostname") == socket.gethostname():
        if process.get("process_id") == os.getpid():
            return False
        return process_exists(process.get("process_id"), process.get("process_start")) is True
    try:
        now = server_time(directory.metadata)
    except OSError:
        now = time.time()
    return not is_silent(process, last_beat, now)
