"""What is on disk about a run that was, or is to be, submitted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlxp.errors import JobSubmissionError
from mlxp.jobs.packing import Packing
from mlxp.run_directory.files import write_yaml
from mlxp.run_directory.layout import RunDirectory
from mlxp.run_directory.locks import locked
from mlxp.run_directory.status import Status
from mlxp.scheduler import Scheduler, scheduler_named


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
    def token(self) -> str | None:
        """What ends the name of its job; None where no job can have come of it."""
        return self.content.get("token")

    @property
    def is_in_doubt(self) -> bool:
        """Whether a job was asked for, and it is not known whether there is one: whoever asked has died, perhaps."""
        return self.status is Status.PREPARED and self.token is not None

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler that the run was, or is to be, submitted to."""
        return scheduler_named(str(self.content["scheduler"]))

    @property
    def shell(self) -> str:
        """The path of the shell that its script is for."""
        return str(self.content.get("shell") or "/bin/bash")

    @property
    def packing(self) -> Packing:
        """How it was put into a job."""
        return Packing.of(self.content.get("packing"))

    def write(self, **changes: Any) -> None:
        """Replace the file on disk after these `changes`; when this returns, they are on the disk."""
        self.content |= changes
        write_yaml(self.directory.submission_file, self.content, durably=True)

    def refresh(self) -> None:
        """Read again what is on disk.

        Raises
        ------
        JobSubmissionError
            If it cannot be understood any more.
        """
        content = self.directory.submission()
        if not content:
            raise JobSubmissionError(f"{self.directory.submission_file} is missing or damaged")
        self.content = content


_WAIT = 5.0
"""Seconds to wait for somebody who writes down what the scheduler says of a job."""


def owned(submissions: Sequence[Submission], does: str) -> Any:
    """Return a context in which nobody else submits, cancels or writes about these runs.

    Raises
    ------
    LockedError
        On entering, if another process does.
    """
    return locked([one.directory.submission_lock for one in submissions], does, wait=_WAIT)


def now() -> str:
    """Return the time, with its zone."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
