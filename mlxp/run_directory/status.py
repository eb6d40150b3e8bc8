"""The states of a run: the only list of them, and the properties that they share."""

from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """The state of a run.

    A run itself writes the states from STARTING to KILLED, in its info.yaml. Whoever submits it writes PREPARED,
    SUBMITTED and REFUSED, in submission.yaml; a job that refuses to run writes REFUSED in info.yaml. LOST is what
    others find; only an import writes it.
    """

    PREPARED = "PREPARED"
    """The run's files exist; its job has not been submitted."""
    SUBMITTED = "SUBMITTED"
    """The scheduler has accepted its job; the run has not started yet."""
    REFUSED = "REFUSED"
    """The scheduler has not accepted its job, or the job refused to run."""
    STARTING = "STARTING"
    """The directory exists; the task has not been called yet."""
    RUNNING = "RUNNING"
    """The task is running, or its process was killed in a way that it could not notice."""
    COMPLETE = "COMPLETE"
    """The task returned."""
    FAILED = "FAILED"
    """The task raised an exception, or exited with a code other than 0."""
    KILLED = "KILLED"
    """A signal, or the scheduler, ended the run."""
    LOST = "LOST"
    """The run says that it is under way, but its process or its job is gone."""

    @classmethod
    def of(cls, value: Any) -> "Status | None":
        """Return the state that a file's value names; None if it names none.

        Examples
        --------
        >>> Status.of("RUNNING").is_under_way, Status.of(["RUNNING"])
        (True, None)
        """
        return _NAMED.get(value) if isinstance(value, str) else None

    @property
    def is_under_way(self) -> bool:
        """Whether a run that says this has not said how it ended."""
        return self in _UNDER_WAY

    @property
    def is_final(self) -> bool:
        """Whether a run that says this has said its last word."""
        return self in _FINAL

    @property
    def is_open(self) -> bool:
        """Whether more will happen without anybody's doing: the run goes on, or its job waits."""
        return self is Status.SUBMITTED or self.is_under_way

    @property
    def is_unsubmitted(self) -> bool:
        """Whether the run is meant for a scheduler that has not received it."""
        return self in {Status.PREPARED, Status.REFUSED}

    @property
    def is_there(self) -> bool:
        """Whether the same run need not be started again: it is complete, under way or waiting."""
        return self not in {Status.REFUSED, Status.FAILED, Status.KILLED, Status.LOST}


# Made once, since reading many runs asks for them several times per run.
_NAMED: dict[str, Status] = {status.value: status for status in Status}
_FINAL = frozenset({Status.COMPLETE, Status.FAILED, Status.KILLED})
_UNDER_WAY = frozenset({Status.STARTING, Status.RUNNING})
