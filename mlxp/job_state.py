"""What became of a job: the few states that the answers of all schedulers are brought to.

A scheduler that cannot be asked leaves its jobs UNKNOWN, which is not the end of them; one that answers, and does not
know a job any more, says FORGOTTEN.
"""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["JobState", "Phase"]


class Phase(StrEnum):
    """How far a job has come."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    """It has ended, and its script said that all went well, or the scheduler does not tell."""
    FAILED = "FAILED"
    """Its script ended with an error, or could not be started."""
    ENDED = "ENDED"
    """It was ended from outside: cancelled, out of time or memory, its computer lost."""
    FORGOTTEN = "FORGOTTEN"
    """The scheduler does not know it, any more."""
    UNKNOWN = "UNKNOWN"
    """The scheduler could not be asked."""


@dataclass(frozen=True, slots=True)
class JobState:
    """The state of one job: its phase, and what the scheduler says in its own words.

    Where the scheduler has, of itself, started another job in its place, this is the state of that `successor`.
    """

    phase: Phase
    words: str = ""
    successor: str | None = None
