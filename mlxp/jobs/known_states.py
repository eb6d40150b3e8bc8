"""The status of runs for whoever decides whether they are to be started again."""

import socket
import time
from collections.abc import Iterable
from pathlib import Path

from mlxp.jobs.run_state import RunState, run_states
from mlxp.run_directory.liveness import is_silent, process_exists
from mlxp.run_directory.locks import server_time
from mlxp.run_directory.status import Status
from mlxp.running.missing_runs import KnownRun

_YOUNG = 90.0
"""Seconds that a process gets to write the first files of a run, and a scheduler to show a job that it has accepted."""


def known_states(parent: Path, log_ids: Iterable[int]) -> dict[int, KnownRun]:
    """Return the status of the runs in `parent` with these ids, and what their files say, by id.

    A run without a job is LOST as soon as nothing of it can be alive: there is no such process on this computer, or no
    sign of life has come from another one for as long as it takes to be sure. A job that its scheduler does not know
    yet is not LOST.
    """
    runs = run_states(parent, log_ids)
    return {run.directory.log_id: KnownRun(_status(run), run.info, run.submitted) for run in runs}


def _status(run: RunState) -> Status:
    if _has_died(run):
        return Status.LOST
    is_new = run.has_job and run.says is None and _seconds_since(run.directory.submission_file) < _YOUNG
    return Status.SUBMITTED if run.status is Status.LOST and is_new else run.status


def _has_died(run: RunState) -> bool:
    if run.has_job or not run.status.is_under_way:
        return False
    if not run.info:
        return _seconds_since(run.directory.config_file) > _YOUNG
    if run.info.get("hostname") == socket.gethostname():
        return process_exists(run.info.get("process_id"), run.info.get("process_start")) is False
    if not run.info.get("heartbeat"):  # it gives no sign of life that could be missed
        return False
    silence = _seconds_since(run.directory.info_file)
    return is_silent(run.info, 0.0, silence)


def _seconds_since(file: Path) -> float:
    """Return the age of a file, by the clock of the computer that stores it."""
    try:
        return server_time(file.parent) - file.stat().st_mtime
    except OSError:
        pass
    try:
        return time.time() - file.stat().st_mtime
    except OSError:
        return 0.0
