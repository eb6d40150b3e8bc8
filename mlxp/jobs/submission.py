"""What is on disk about a run that was submitted, or is to be."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from mlxp.errors import JobSubmissionError
from mlxp.jobs.packing import Packing
from mlxp.run_directory.files import write_yaml
from mlxp.run_directory.layout import RunDirectory
from mlxp.run_directory.locks import locked
from mlxp.run_directory.status import Status
from mlxp.running.secrets import without_secrets
from mlxp.scheduler import Scheduler, scheduler_named

_SHOWN: Final = ("run", "overrides", "command", "error")
"""What people wrote, or programs said, and what nothing but people reads; secrets in it are masked."""


@dataclass
class Submission:
    """A run that was submitted, or is to be: its directory and the content of its submission.yaml."""

    directory: RunDirectory
    content: dict[str, Any]

    @classmethod
    def of(cls, directory: RunDirectory) -> "Submission | None":
        """Return the submission on disk; None if there is none, or if it cannot be understood."""
        content = directory.submission()
        return cls(directory, content) if content else None

    @property
    def status(self) -> Status:
        """PREPARED, SUBMITTED or REFUSED."""
        return Status(self.content["status"])

    @property
    def job_id(self) -> str | None:
        """The scheduler's id of the job; None until it is known."""
        return self.content.get("scheduler_job_id")

    @property
    def attempt(self) -> int:
        """How many times the run was submitted."""
        return int(self.content.get("attempt") or 1)

    @property
    def token(self) -> str | None:
        """The word that ends the name of the run's job; None where no job can have resulted."""
        return self.content.get("token")

    @property
    def is_in_doubt(self) -> bool:
        """Whether a job was requested and may or may not exist, perhaps because the requesting process died."""
        return self.status is Status.PREPARED and self.token is not None

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler that the run was submitted to, or is to be."""
        return scheduler_named(str(self.content["scheduler"]))

    @property
    def shell(self) -> str:
        """The path of the shell that the run's script is for."""
        return str(self.content.get("shell") or "/bin/bash")

    @property
    def options(self) -> list[str]:
        """The words of the options for the scheduler that the user gave on the command line."""
        return list(self.content.get("options") or [])

    @property
    def packing(self) -> Packing:
        """How the run was put into a job."""
        return Packing.of(self.content.get("packing"))

    def write(self, **changes: Any) -> None:
        """Replace the file on disk with these `changes` made; they are safely on disk when this returns."""
        self.content |= changes
        shown = without_secrets({name: self.content[name] for name in _SHOWN if name in self.content})
        write_yaml(self.directory.submission_file, {**self.content, **shown}, durably=True)

    def refresh(self) -> None:
        """Read the file on disk again.

        Raises
        ------
        JobSubmissionError
            If the file can no longer be understood.
        """
        content = self.directory.submission()
        if not content:
            raise JobSubmissionError(f"{self.directory.submission_file} is missing or damaged")
        self.content = content


_WAIT = 5.0
"""Seconds to wait for another process that is recording what the scheduler says about a job."""


def owned(submissions: Sequence[Submission], does: str) -> Any:
    """Return a context in which no other process submits, cancels or writes about these runs.

    Raises
    ------
    LockedError
        On entering, if another process is doing so.
    """
    return locked([one.directory.submission_lock for one in submissions], does, wait=_WAIT)


def now() -> str:
    """Return the current time, with its zone."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
