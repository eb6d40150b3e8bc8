"""The status of runs, from what they, their submitter and the scheduler say.

The last status that a run has written itself counts. Where the run may have been unable to write it, the scheduler is
asked. A run whose state is unknown is not taken for dead.
"""

import contextlib
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from mlxp.errors import InvalidSchedulerError, MLXPError
from mlxp.job_state import JobState, Phase, Search
from mlxp.jobs.handing_over import settle
from mlxp.jobs.submission import Submission, now, owned
from mlxp.run_directory.batches import batch_of
from mlxp.run_directory.layout import RunDirectory, run_directories
from mlxp.run_directory.liveness import is_gone, is_silent
from mlxp.run_directory.outcome import begins_again, begun, outcome, own_word, verdict
from mlxp.run_directory.status import Status
from mlxp.running.copies import names_of
from mlxp.scheduler import LOCAL, SCHEDULERS, scheduler_named


@dataclass
class RunState:
    """A run, its status and the reason for it.

    Attributes
    ----------
    status
        The status of the run, all things considered.
    reason
        The reason, where the status alone does not explain it.
    job
        What the scheduler says about the run's job, now or earlier; None if it was not asked.
    """

    directory: RunDirectory
    info: dict[str, Any]
    submission: Submission | None
    status: Status = Status.STARTING
    reason: str = ""
    job: JobState | None = field(default=None)

    @property
    def submitted(self) -> dict[str, Any]:
        """What the submitter wrote about the run; empty if it was not submitted."""
        return self.submission.content if self.submission is not None else {}

    @property
    def says(self) -> Status | None:
        """What the run itself says about its current attempt; None if that has not begun."""
        return own_word(self.info, self.submitted)

    @property
    def has_job(self) -> bool:
        """Whether a scheduler has accepted a job for the run."""
        return self.submission is not None and self.submission.status is Status.SUBMITTED

    @property
    def is_local(self) -> bool:
        """Whether the run is done on a computer without a scheduler, by ``mlxpsub --local``."""
        return self.scheduler_name == LOCAL

    @property
    def is_open(self) -> bool:
        """Whether only the scheduler can tell more about the run."""
        # A scheduler may restart a run that it has ended itself, or that has requested a restart.
        return self.has_job and self.says is not Status.COMPLETE and not verdict(self.info, self.submitted)

    @property
    def has_live_job(self) -> bool:
        """Whether the job is, as far as is known, not over: it waits, runs, or cannot be asked about."""
        if self.job is None or not self.has_job:
            return False
        if self.job.phase is Phase.UNKNOWN:
            return self.may_have_moved or self.says is None or self.says.is_under_way
        return not self.job.is_over

    @property
    def job_id(self) -> str | None:
        """The scheduler's id of the run's job; of the latest one if the scheduler has replaced it."""
        if self.job is not None and self.job.successor is not None:
            return self.job.successor
        return self.submission.job_id if self.submission else None

    @property
    def scheduler_name(self) -> str | None:
        """The name of the scheduler that the run was submitted to; None if it was not submitted."""
        return str(self.submission.content["scheduler"]) if self.submission else None

    @property
    def may_have_moved(self) -> bool:
        """Whether the scheduler may have replaced the run's job and cannot be asked which job replaced it."""
        known = SCHEDULERS.get(self.scheduler_name or "")
        is_unknown = self.job is not None and self.job.phase is Phase.UNKNOWN
        return is_unknown and known is not None and known.restarts_as_another_job

    @property
    def unknown_job(self) -> str:
        """A sentence about a job that `may_have_moved`."""
        words = f" ({self.job.words})" if self.job is not None and self.job.words else ""
        return f"{self.scheduler_name} does not say which job does run {self.directory.log_id} now{words}"

    @property
    def batch(self) -> str | None:
        """The name of the batch that the run belongs to; None if it belongs to none."""
        return batch_of(self.info, self.submitted)

    @property
    def code_change(self) -> str:
        """A sentence that says that the run's code is not that of its submission; empty if it is, or if unknown."""
        if not self.info.get("code_changed"):
            return ""
        code = self.info.get("code")
        names = code.get("changed") if isinstance(code, dict) else None
        shown = names_of([str(name) for name in names]) if isinstance(names, list) and names else "unknown files"
        return f"the code has changed since the submission: {shown}"

    @property
    def job_key(self) -> tuple[str, str | None] | None:
        """A key that two runs share if the same job does both."""
        return (self.scheduler_name, self.job_id) if self.scheduler_name else None

    def obstacle_to_resubmission(self, *, force: bool) -> str | None:
        """Return the reason why the run cannot be submitted again; None if it can."""
        if self.submission is None or self.is_local:
            no_job = (
                "it has no job: the command `mlxpsub --local` that it came from continues with the runs that are left"
            )
            return no_job if self.is_local else "it was not submitted by mlxpsub"
        if self.status.is_open:
            return f"it is {self.status}; cancel it first"
        if self.may_have_moved:
            return self.unknown_job
        if self.has_live_job and self.job is not None:
            return (
                f"its job is not over: {self.scheduler_name} says {self.job.words or self.job.phase}; cancel it first"
            )
        if self.status is Status.COMPLETE and not force:
            return "it is COMPLETE; --force repeats it"
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return the facts about the run that other programs may need."""
        return {
            "log_id": self.directory.log_id,
            "log_dir": str(self.directory.path),
            "status": self.status,
            "reason": self.reason or None,
            "scheduler": self.scheduler_name,
            "scheduler_job_id": self.job_id,
            "batch": self.batch,
            "code_changed": self.info.get("code_changed"),
        }


def run_states(parent: Path, log_ids: Iterable[int] | None = None, *, ask_all: bool = False) -> list[RunState]:
    """Return the runs in `parent` with their status.

    A scheduler's final answer about a job is recorded along the way.

    Parameters
    ----------
    parent
        The log directory.
    log_ids
        The ids of the runs to return; by default, all runs.
    ask_all
        Whether to ask the schedulers also about jobs whose runs have written their final status.
    """
    wanted = None if log_ids is None else set(log_ids)
    if wanted is None:
        directories = list(run_directories(parent))
    else:
        asked = (RunDirectory(parent / str(log_id)) for log_id in sorted(wanted))
        directories = [one for one in asked if one.path.is_dir()]
    runs = [RunState(one, one.info(), Submission.of(one)) for one in directories]
    searches: dict[str, Search] = {}
    for run in runs:
        if run.submission is not None and run.submission.is_in_doubt:
            _settle(run.submission, searches)
        heard = verdict(run.info, run.submitted)
        if heard:
            run.job = JobState(Phase(heard["phase"]), heard.get("words") or "", reason=heard.get("reason"))
    _ask_schedulers([run for run in runs if run.is_open or (ask_all and run.has_job)])
    for run in runs:
        _write_verdict(run)
        run.status, run.reason = _status_of(run)
    return runs


def _settle(submission: Submission, searches: dict[str, Search]) -> None:
    # A process that is submitting it right now knows better; where there is no way to know, it stays in doubt.
    with contextlib.suppress(MLXPError, OSError), owned([submission], "looks for the job"):
        submission.refresh()
        settle(submission, searches, is_patient=False)


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


_MOST_IDS = 1000
"""How many ids one question may hold, since the length of a command's word is limited."""


def _states(scheduler: str, job_ids: Sequence[str]) -> Mapping[str, JobState]:
    try:
        ask = scheduler_named(scheduler).state
    except InvalidSchedulerError:  # the scheduler's plugin was not given
        return {}
    if ask is None:
        return {}
    found: dict[str, JobState] = {}
    for start in range(0, len(job_ids), _MOST_IDS):
        some = job_ids[start : start + _MOST_IDS]
        try:
            found |= ask(some)
        except Exception as error:  # noqa: BLE001 - an answer that cannot be understood must not hide the runs
            found |= dict.fromkeys(some, JobState(Phase.UNKNOWN, f"what MLXP does not understand: {error}"))
    return found


def _write_verdict(run: RunState) -> None:
    """Record what the scheduler says about a job, if it is new and no other process is writing.

    That is its final answer, or that it starts the job of a run again that has begun before.
    """
    job, submission = run.job, run.submission
    if job is None or submission is None or verdict(run.info, run.submitted):
        return
    phase, reason = job.phase, job.reason
    if phase is Phase.FORGOTTEN and submission.content.get("cancelled_at"):
        phase, reason = Phase.ENDED, "CANCELLED"  # Grid Engine keeps no record of a job that never started
    is_last = phase in {Phase.FAILED, Phase.ENDED} or (phase is Phase.DONE and (_is_over(run) or _is_silent(run)))
    is_again, was_again = _starts_again(run, job), begins_again(run.info, run.submitted)
    if run.says is Status.COMPLETE or not (is_last or (is_again != was_again and phase is not Phase.UNKNOWN)):
        return
    phase = phase if is_last else Phase.WAITING
    heard: dict[str, Any] | None = None
    if is_last or is_again:
        facts = {"phase": phase.value, "reason": reason, "words": job.words, "heard_at": now()}
        heard = {**facts, "begun": begun(run.info)}
    # The object keeps the state that was asked about, so that a later submission by another process is noticed.
    with contextlib.suppress(MLXPError, OSError), owned([submission], "writes what became of the job"):
        current = Submission.of(run.directory)
        seen = (submission.attempt, submission.job_id, begun(run.info))
        if current is not None and (current.attempt, current.job_id, begun(run.directory.info())) == seen:
            current.write(verdict=heard)
    submission.content["verdict"] = heard  # true also where nothing can be written


def _is_over(run: RunState) -> bool:
    return run.says is None or not run.says.is_under_way


def _status_of(run: RunState) -> tuple[Status, str]:
    if run.submission is None or (not run.has_job and run.says is not None):
        is_under_way = run.says is not None and run.says.is_under_way
        return _status_of_process(run) if is_under_way else _own_word(run)
    if run.is_local:
        return _status_of_waiting(run)
    if not run.has_job:
        doubt = "MLXP does not know whether it has a job; `mlxp resubmit` finds out, or asks you"
        why = run.submitted.get("error") or "its job was not submitted"
        return run.submission.status, doubt if run.submission.is_in_doubt else why
    return _status_with_job(run, run.job) if run.job is not None else _own_word(run)


def _status_of_waiting(run: RunState) -> tuple[Status, str]:
    """Return the status of a run that has not begun on a computer without a scheduler."""
    if run.submitted.get("cancelled_at"):
        return Status.KILLED, f"it was cancelled at {run.submitted['cancelled_at']}"
    status = Status.of(run.submitted.get("status")) or Status.PREPARED
    return status, run.submitted.get("error") or "mlxpsub --local has not begun it yet"


def _status_with_job(run: RunState, job: JobState) -> tuple[Status, str]:
    scheduler = str(run.scheduler_name)
    status, _ = outcome(run.info, run.submitted)
    if run.submitted.get("cancelled_at") and job.is_over and status is Status.KILLED:
        return Status.KILLED, f"its job was cancelled at {run.submitted['cancelled_at']}"
    if run.says is None:
        return _status_of_unstarted(run, job, scheduler)
    if _starts_again(run, job):
        return Status.SUBMITTED, f"{scheduler} says {job.words}; the run will start again"
    if job.phase is Phase.UNKNOWN and begins_again(run.info, run.submitted):
        return Status.SUBMITTED, _not_asked(job, scheduler)
    return _status_of_started(run, job, scheduler) if run.says.is_under_way else _own_word(run)


def _starts_again(run: RunState, job: JobState) -> bool:
    """Tell whether the job of a run that has begun before waits again, or prepares to begin the run again."""
    return run.says not in {None, Status.COMPLETE} and (
        job.phase is Phase.WAITING or (job.phase is Phase.RUNNING and _has_started_again(run, job))
    )


def _has_started_again(run: RunState, job: JobState) -> bool:
    """Tell whether the job started after the run was last heard, so that the run is about to begin again."""
    if job.started_at is None or run.says is None:
        return False
    if not run.says.is_under_way:
        ended_at = run.info.get("ended_at")
        return ended_at is not None and job.started_at > datetime.fromisoformat(ended_at).timestamp()
    try:  # its scheduler may have killed it without a warning; the time of its last heartbeat is that of its file
        return job.started_at > run.directory.info_file.stat().st_mtime
    except OSError:
        return False


def _own_word(run: RunState) -> tuple[Status, str]:
    if run.says is None:
        return Status.STARTING, "its info.yaml is missing or damaged; it may have ended before it could record that"
    _, reason = outcome(run.info, run.submitted)
    if reason is None or run.job is None:
        end = run.info.get("exit") or {}
        more = f": {end['changes']}" if end.get("changes") else ""
        if end.get("put_back"):
            more = f": its job is put back, {end['put_back']} of at most {run.submitted.get('requeue')} times"
        return run.says, f"{end.get('reason') or ''}{more}"
    return run.says, f"{reason}: {run.scheduler_name} says {run.job.words or run.job.phase}"


def _status_of_started(run: RunState, job: JobState, scheduler: str) -> tuple[Status, str]:
    says = f"{scheduler} says {job.words}"
    if job.phase is Phase.ENDED:
        return Status.KILLED, says
    if job.phase is Phase.FAILED:
        return Status.FAILED, f"{says}; the run could not record how it ended"
    if job.phase in {Phase.DONE, Phase.FORGOTTEN} and _is_silent(run):
        what = "ended" if job.phase is Phase.DONE else "was forgotten"
        return Status.LOST, f"nothing has been heard from it since its job {what}"
    if job.phase is Phase.UNKNOWN:
        return run.says or Status.STARTING, _not_asked(job, scheduler)
    return run.says or Status.STARTING, "" if job.phase is Phase.RUNNING else f"{scheduler} does not say more"


def _not_asked(job: JobState, scheduler: str) -> str:
    return f"{scheduler} cannot be asked{f': {job.words}' if job.words else ''}"


def _status_of_unstarted(run: RunState, job: JobState, scheduler: str) -> tuple[Status, str]:
    says = f"{scheduler} says {job.words or job.phase}"
    look = f"see {_stderr(run)}"
    match job.phase:
        case Phase.FAILED | Phase.DONE:
            return Status.FAILED, f"{says}; the run never started, {look}"
        case Phase.ENDED:
            return Status.KILLED, f"{says}; the run never started"
        case Phase.FORGOTTEN:
            return Status.LOST, f"{scheduler} no longer knows its job; the run never started, {look}"
        case Phase.RUNNING:
            return Status.SUBMITTED, "its job is running; the program has not started yet"
        case Phase.UNKNOWN:
            return Status.SUBMITTED, _not_asked(job, scheduler)
    return Status.SUBMITTED, says


def _stderr(run: RunState) -> str:
    """Return where to look for errors; the output of an array's task goes elsewhere until its run starts."""
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
