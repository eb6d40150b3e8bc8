"""A run that was, or is to be, submitted: what is on disk about it, and the calls of the scheduler's commands."""

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mlxp.errors import JobSubmissionError
from mlxp.jobs.job_options import job_name, submission_command
from mlxp.programs import ProgramError, run_program
from mlxp.run_directory.files import write_yaml
from mlxp.run_directory.layout import RunDirectory
from mlxp.run_directory.status import Status
from mlxp.scheduler import Scheduler, scheduler_named

_SECONDS = 300.0
"""How long a scheduler may take to accept or to cancel a job; a busy one takes a minute."""


@dataclass
class Submission:
    """A submitted run, or one to be submitted: its directory and the content of its submission.yaml."""

    directory: RunDirectory
    content: dict[str, Any]

    @classmethod
    def of(cls, directory: RunDirectory) -> "Submission | None":
        """Return the submission that is on disk; None if there is none, or none that can be understood."""
        content = directory.submission()
        return cls(directory, content) if content else None

    @property
    def status(self) -> Status:
        """PREPARED, SUBMITTED or REFUSED."""
        return Status(self.content["status"])

    @property
    def job_id(self) -> str | None:
        """The scheduler's id of the job; None as long as it is not known."""
        return self.content.get("scheduler_job_id")

    @property
    def attempt(self) -> int:
        """How often it was submitted."""
        return int(self.content.get("attempt") or 1)

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler that the run was, or is to be, submitted to."""
        return scheduler_named(str(self.content["scheduler"]))

    def write(self, **changes: Any) -> None:
        """Replace the file on disk after these `changes`."""
        self.content |= changes
        write_yaml(self.directory.submission_file, self.content)


def submit(submission: Submission) -> None:
    """Hand the run's script to its scheduler and record the answer.

    Raises
    ------
    JobSubmissionError
        If the scheduler does not accept the job; that is recorded, too.
    """
    directory = submission.directory
    command = submission_command(
        submission.scheduler, job_name(directory), directory.stdout, directory.stderr, shell=submission.content["shell"]
    )
    try:
        ids = job_ids(submission.scheduler, command, directory.script)
    except JobSubmissionError as error:
        submission.write(status=Status.REFUSED, error=str(error), command=command, submitted_at=now())
        raise
    submission.write(status=Status.SUBMITTED, scheduler_job_id=ids[0], error=None, command=command, submitted_at=now())


def resubmit(submission: Submission, *, accept_changes: bool = False) -> None:
    """Submit a run again, in its directory; what its last attempt printed is kept beside, as ``log.stdout.1``.

    Parameters
    ----------
    accept_changes
        Whether it may run another configuration than the one that is recorded.

    Raises
    ------
    JobSubmissionError
        If the scheduler does not accept the job.
    """
    if submission.status is Status.SUBMITTED:
        content = submission.content
        attempt = submission.attempt
        for file in (submission.directory.stdout, submission.directory.stderr):
            if file.exists():
                file.rename(file.with_name(f"{file.name}.{attempt}"))
        recorded = submission.directory.config_file
        if accept_changes and recorded.exists():
            shutil.copyfile(recorded, recorded.with_name(f"{recorded.name}.{attempt}"))
        facts = {name: content.get(name) for name in ("scheduler_job_id", "submitted_at")}
        earlier = [*(content.get("earlier") or []), {"attempt": attempt, **facts}]
        # The program counts its attempts itself, those that the scheduler started again included.
        begun = submission.directory.info().get("attempt") or attempt
        submission.write(
            status=Status.PREPARED,
            scheduler_job_id=None,
            attempt=max(attempt, begun) + 1,
            earlier=earlier,
            cancelled_at=None,
            stderr=None,
        )
    if accept_changes or "accept_changes" in submission.content:
        submission.write(accept_changes=accept_changes)
    submit(submission)


def cancel(scheduler: Scheduler, submissions: Sequence[Submission], job_ids: Iterable[str]) -> str | None:
    """Cancel the jobs of runs, and return what the scheduler says against it, if anything."""
    jobs = dict.fromkeys(job_ids)
    if not scheduler.cancel:
        return f"{scheduler.name} has no command that cancels jobs"
    try:
        answer = run_program([*scheduler.cancel, *jobs], seconds=_SECONDS)
    except ProgramError as error:
        return str(error)
    if answer.code:
        return answer.complaint
    for one in submissions:
        # Grid Engine keeps no record of a job that never started.
        one.write(cancelled_at=now())
    return None


def job_ids(scheduler: Scheduler, command: Sequence[str], script: Path) -> list[str]:
    """Run a submission command on `script`, from its directory, and return the ids that the scheduler gave.

    Raises
    ------
    JobSubmissionError
        If the command fails, or if there is no id in its answer.
    """
    # Relative, since not every scheduler can take a path with spaces.
    words = list(command) if scheduler.script_is_input else [*command, f"./{script.name}"]
    given = script.read_bytes() if scheduler.script_is_input else None
    environment = _environment(script.parent)
    try:
        answer = run_program(words, seconds=_SECONDS, directory=script.parent, environment=environment, given=given)
    except ProgramError as error:
        raise JobSubmissionError(str(error)) from error
    ids = scheduler.job_id.findall(answer.output)
    if answer.code != 0 or not ids:
        raise JobSubmissionError(answer.complaint)
    return ids


def _environment(directory: Path) -> dict[str, str]:
    # A job that inherits the environment must not take itself for another run, nor plan. OAR believes PWD.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MLXP_")}
    return {**inherited, "PWD": str(directory)}


def now() -> str:
    """Return the time, with its zone."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
