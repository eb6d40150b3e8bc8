"""What became of runs: their own word, what their submitter wrote, and what the scheduler says, brought together.

A run's own last word counts. Where it cannot have said it, the scheduler is asked; what is not known is not dead.
"""

import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlxp.errors import InvalidSchedulerError
from mlxp.job_state import JobState, Phase
from mlxp.jobs.submission import Submission
from mlxp.run_directory.layout import RunDirectory, run_directories
from mlxp.run_directory.liveness import is_gone, is_silent
from mlxp.run_directory.status import Status
from mlxp.scheduler import SCHEDULERS, scheduler_named


@dataclass
class RunState:
    """One run, its status and the reason for it.

    Attributes
    ----------
    status
        What became of it, all things considered.
    reason
        Why, where the status does not say it all.
    """

    directory: RunDirectory
    info: dict[str, Any]
    submission: Submission | None
    status: Status = Status.STARTING
    reason: str = ""
    job: JobState | None = field(default=None)

    @property
    def says(self) -> Status | None:
        """What the run itself says of its present attempt; None if that has not begun."""
        if self.submission is not None and (self.info.get("attempt") or 1) < self.submission.attempt:
            return None
        return Status.of(self.info.get("status"))

    @property
    def is_open(self) -> bool:
        """Whether only the scheduler can tell more about the run."""
        submitted = self.submission is not None and self.submission.status is Status.SUBMITTED
        # A scheduler may start a run again that it has ended itself.
        return submitted and (self.says is None or self.says.is_under_way or self.says is Status.KILLED)

    @property
    def job_id(self) -> str | None:
        """The scheduler's id of the run's job: of the latest one, where the scheduler has replaced it."""
        if self.job is not None and self.job.successor is not None:
            return self.job.successor
        return self.submission.job_id if self.submission else None

    @property
    def scheduler_name(self) -> str | None:
        """The name of the scheduler that the run was submitted to; None if it was not."""
        return str(self.submission.content["scheduler"]) if self.submission else None

    @property
    def may_have_moved(self) -> bool:
        """Whether the scheduler may have replaced the run's job by another one, and cannot be asked by which."""
        known = SCHEDULERS.get(self.scheduler_name or "")
        is_unknown = self.job is not None and self.job.phase is Phase.UNKNOWN
        return is_unknown and known is not None and known.restarts_as_another_job

    @property
    def job_key(self) -> tuple[str, str | None] | None:
        """What the job of this run has in common with that of another one if both are the same."""
        return (self.scheduler_name, self.job_id) if self.scheduler_name else None

    def to_dict(self) -> dict[str, Any]:
        """Return what programs may want to know."""
        return {
            "log_id": self.directory.log_id,
            "log_dir": str(self.directory.path),
            "status": self.status,
            "reason": self.reason or None,
            "scheduler": self.scheduler_name,
            "scheduler_job_id": self.job_id,
        }


def run_states(parent: Path, log_ids: Iterable[int] | None = None) -> list[RunState]:
    """Return the runs in `parent` with what became of them; those with the ids only, if any are given."""
    wanted = None if log_ids is None else set(log_ids)
    directories = [one for one in run_directories(parent) if wanted is None or one.log_id in wanted]
    runs = [RunState(one, one.info(), Submission.of(one)) for one in directories]
    _ask_schedulers([run for run in runs if run.is_open])
    for run in runs:
        run.status, run.reason = _status_of(run)
    return runs


def _ask_schedulers(runs: Sequence[RunState]) -> None:
    by_scheduler: dict[str, list[tuple[RunState, str]]] = {}
    for run in runs:
        if run.submission is not None:
            asked = by_scheduler.setdefault(run.submission.content["scheduler"], [])
            asked.append((run, run.submission.job_id or ""))
    for name, asked in by_scheduler.items():
        states = _states(name, [job_id for _, job_id in asked if job_id])
        for run, job_id in asked:
            run.job = states.get(job_id, JobState(Phase.UNKNOWN))


def _states(scheduler: str, job_ids: Sequence[str]) -> Mapping[str, JobState]:
    try:
        ask = scheduler_named(scheduler).state
    except InvalidSchedulerError:  # of a plugin that was not given
        return {}
    try:
        return ask(job_ids) if ask is not None and job_ids else {}
    except Exception as error:  # noqa: BLE001 - an answer that is not understood must not hide the runs
        return dict.fromkeys(job_ids, JobState(Phase.UNKNOWN, f"what is not understood: {error}"))


def _status_of(run: RunState) -> tuple[Status, str]:
    if run.submission is not None and run.submission.status is not Status.SUBMITTED:
        return run.submission.status, run.submission.content.get("error") or "its job was not submitted"
    if run.job is not None and run.submission is not None:
        return _status_of_job(run, run.job, run.submission.content["scheduler"])
    if run.says is not None and run.says.is_under_way:
        return _status_of_process(run)
    return _own_word(run)


def _own_word(run: RunState) -> tuple[Status, str]:
    if run.says is None:
        return Status.STARTING, "its info.yaml is not there, or damaged: it may have ended before it could say so"
    return run.says or Status.STARTING, str((run.info.get("exit") or {}).get("reason") or "")


def _status_of_job(run: RunState, job: JobState, scheduler: str) -> tuple[Status, str]:
    says = f"{scheduler} says {job.words}"
    cancelled_at = run.submission.content.get("cancelled_at") if run.submission is not None else None
    if cancelled_at is not None and job.phase not in {Phase.WAITING, Phase.RUNNING, Phase.UNKNOWN}:
        return Status.KILLED, f"its job was cancelled at {cancelled_at}"
    if run.says is None:
        return _status_of_unstarted(run, job, scheduler)
    if job.phase is Phase.WAITING:
        return Status.SUBMITTED, f"{says}; the run is to be started again"
    return _own_word(run) if run.says is Status.KILLED else _status_of_started(run, job, scheduler)


def _status_of_started(run: RunState, job: JobState, scheduler: str) -> tuple[Status, str]:
    says = f"{scheduler} says {job.words}"
    if job.phase is Phase.ENDED:
        return Status.KILLED, says
    if job.phase is Phase.FAILED:
        return Status.FAILED, f"{says}; the run could not write how it ended"
    if job.phase in {Phase.DONE, Phase.FORGOTTEN} and _is_silent(run):
        return (
            Status.LOST,
            f"it has not been heard of since its job {'ended' if job.phase is Phase.DONE else 'was forgotten'}",
        )
    return run.says or Status.STARTING, "" if job.phase is Phase.RUNNING else f"{scheduler} does not say more"


def _status_of_unstarted(run: RunState, job: JobState, scheduler: str) -> tuple[Status, str]:
    says = f"{scheduler} says {job.words or job.phase}"
    look = f"see {_stderr(run)}"
    match job.phase:
        case Phase.FAILED | Phase.DONE:
            return Status.FAILED, f"{says}; the run never started, {look}"
        case Phase.ENDED:
            return Status.KILLED, f"{says}; the run never started"
        case Phase.FORGOTTEN:
            return Status.LOST, f"{scheduler} does not know its job any more; the run never started, {look}"
        case Phase.RUNNING:
            return Status.SUBMITTED, "its job is running; the program has not started yet"
        case Phase.UNKNOWN:
            return Status.SUBMITTED, f"{scheduler} cannot be asked{f': {job.words}' if job.words else ''}"
    return Status.SUBMITTED, says


def _stderr(run: RunState) -> str:
    """Return where to look for errors; what a task of an array says before its run starts goes elsewhere."""
    stderr = str(run.directory.stderr)
    if run.submission is None or run.directory.stderr.exists():
        return stderr
    return str(run.submission.content.get("stderr") or stderr)


def _status_of_process(run: RunState) -> tuple[Status, str]:
    status = run.says or Status.STARTING
    if not _is_silent(run):
        return status, ""
    if is_gone(run.info):
        return Status.LOST, f"process {run.info.get('process_id')} is gone"
    elsewhere = run.info.get("hostname") != socket.gethostname()
    return status, f"no sign of life from {run.info.get('hostname')} for some time" if elsewhere else ""


def _is_silent(run: RunState) -> bool:
    try:
        return is_silent(run.info, run.directory.info_file.stat().st_mtime)
    except OSError:
        return False
