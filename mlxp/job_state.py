"""What became of a job: the few states that the answers of all schedulers are brought to.

A scheduler that cannot be asked leaves its jobs UNKNOWN, which is not the end of them; one that answers, and does not
know a job any more, says FORGOTTEN.
"""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["REASONS", "JobState", "Phase", "Search"]

REASONS = ("TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "CANCELLED")
"""Why a scheduler ends a job, in words that are the same for all of them."""


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

    Attributes
    ----------
    phase
        How far it has come.
    words
        What the scheduler says.
    successor
        The id of the job that the scheduler has, of itself, started in its place; the rest is then about that one.
    reason
        Why a job has ENDED, where the scheduler tells: one of `REASONS`.
    started_at
        When it was started, the last time, in seconds since the epoch; None if that is not known.
    """

    phase: Phase
    words: str = ""
    successor: str | None = None
    reason: str | None = None
    started_at: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether the scheduler has said its last word: it answers, and the job neither waits nor runs."""
        return self.phase not in {Phase.WAITING, Phase.RUNNING, Phase.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Search:
    """What came of looking for a job by a part of its name.

    Attributes
    ----------
    ids
        The ids of the jobs that were found, the oldest first; of an array, that of the whole.
    is_complete
        Whether the scheduler would know of a job of that name, were there one: it answers, and its memory is long
        enough.
    words
        Why the search is not complete.
    """

    ids: tuple[str, ...] = ()
    is_complete: bool = False
    words: str = ""
