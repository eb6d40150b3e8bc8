"""The states of a run."""

from enum import StrEnum


class Status(StrEnum):
    """The state of a run, as its info.yaml tells it."""

    SUBMITTED = "SUBMITTED"
    """Handed to a scheduler; not started yet."""
    STARTING = "STARTING"
    """The directory is there; the task has not been called yet."""
    RUNNING = "RUNNING"
    """The task is running, or its process was killed in a way that it could not see."""
    COMPLETE = "COMPLETE"
    """The task returned."""
    FAILED = "FAILED"
    """The task raised an exception, or exited with a code other than 0."""
    KILLED = "KILLED"
    """A signal ended the run."""
