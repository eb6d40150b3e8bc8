"""The state of a job: the few states to which the answers of all schedulers are reduced.

The jobs of a scheduler that cannot be asked are UNKNOWN, which does not mean that they have ended. A job is FORGOTTEN
if the scheduler answers but no longer knows it.
"""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["REASONS", "JobState", "Phase", "Search"]

REASONS = ("TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "CANCELLED")
"""Why a scheduler ends a job, in the same words for all schedulers."""


class Phase(StrEnum):
    """How far a job has progressed."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    """It has ended: its script reported success, or the scheduler does not say how it ended."""
    FAILED = "FAILED"
    """Its script ended with an error, or could not be started."""
    ENDED = "ENDED"
    """It was ended from outside: cancelled, out of time or memory, its computer lost."""
    FORGOTTEN = "FORGOTTEN"
    """The scheduler no longer knows it."""
    UNKNOWN = "UNKNOWN"
    """The scheduler could not be asked."""


@dataclass(frozen=True, slots=True)
class JobState:
    """The state of one job: its phase, and the scheduler's own description.

    Attributes
    ----------
    phase
        How far it has progressed.
    words
        What the scheduler says.
    successor
        The id of the job that the scheduler itself started in its place; the other attributes then describe that job.
    reason
        Why a job has ENDED, if the scheduler says so: one of `REASONS`.
    started_at
        When it was last started, in seconds since the epoch; None if unknown.
    """

    phase: Phase
    words: str = ""
    successor: str | None = None
    reason: str | None = None
    started_at: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether the job is over for good: the scheduler answers, and the job neither waits nor runs."""
        return self.phase not in {Phase.WAITING, Phase.RUNNING, Phase.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Search:
    """The result of a search for a job by a part of its name.

    Attributes
    ----------
    ids
        The ids of the jobs that were found, oldest first; for a job array, the id of the whole array.
    is_complete
        Whether the scheduler would know of a job of that name if there were one: it answers, and its records go back
        far enough.
    words
        Why the search is not complete.
    """

    ids: tuple[str, ...] = ()
    is_complete: bool = False
    words: str = ""
