"""Sends a run the warning that a scheduler sends before it ends a job, to test what the run does then."""

import os
import signal
import socket

from mlxp.jobs.run_state import RunState
from mlxp.programs import ProgramError, run_program
from mlxp.run_directory.liveness import process_exists

_SECONDS = 60.0


def warn(run: RunState) -> str | None:
    """Warn a run that goes on, and return the reason why that is impossible, if so."""
    if run.says is None or not run.says.is_under_way:
        return f"it is {run.status}; only a run that goes on can be warned"
    process, host = run.info.get("process_id"), run.info.get("hostname")
    if host == socket.gethostname():
        if process_exists(process, run.info.get("process_start")) is not True:
            return f"its process {process} is gone"
        os.kill(int(str(process)), signal.SIGUSR1)
        return None
    command = run.submission.scheduler.warn if run.submission is not None and run.has_job else ()
    if not command:
        return f"nothing here can warn it; on {host}, `kill -USR1 {process}` does"
    try:
        answer = run_program([*command, str(run.job_id)], seconds=_SECONDS)
    except ProgramError as error:
        return str(error)
    return answer.complaint if answer.code else None
