"""Cancels the jobs of runs."""

from collections.abc import Mapping

from mlxp.errors import JobSubmissionError
from mlxp.jobs.submission import Submission, now, owned
from mlxp.programs import ProgramError, run_program
from mlxp.run_directory.locks import LockedError
from mlxp.scheduler import Scheduler

_SECONDS = 300.0


def cancel(scheduler: Scheduler, job_ids: Mapping[str, list[Submission]]) -> str | None:
    """Cancel jobs, given with the runs that each one does, and return the scheduler's complaint, if any.

    The cancellation is recorded first: a scheduler may restart a job just as it is told to end it, and the run then
    stops by itself.
    """
    if not scheduler.cancel:
        return f"{scheduler.name} has no command that cancels jobs"
    runs = [run for group in job_ids.values() for run in group]
    try:
        with owned(runs, "cancels runs"):
            return _cancelled(scheduler, list(job_ids), runs)
    except (LockedError, JobSubmissionError) as error:
        return str(error)


def _cancelled(scheduler: Scheduler, job_ids: list[str], runs: list[Submission]) -> str | None:
    for run in runs:
        seen = (run.attempt, run.job_id)
        run.refresh()
        if (run.attempt, run.job_id) != seen:
            return f"run {run.directory.log_id} was submitted again meanwhile; nothing was cancelled"
    for run in runs:
        run.write(cancelled_at=now())
    try:
        answer = run_program([*scheduler.cancel, *job_ids], seconds=_SECONDS)
    except ProgramError as error:
        problem = str(error)
        if error.was_started:
            return f"{problem}; MLXP does not know whether the jobs are cancelled"
    else:
        if not answer.code:
            return None
        problem = answer.complaint
    for run in runs:
        run.content.pop("cancelled_at")
        run.write()
    return problem
