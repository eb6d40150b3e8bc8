"""The outcome of a run, as its files together tell it: its own last word, its submitter's, and the scheduler's.

Whoever learns the scheduler's verdict on a job writes it into submission.yaml. So the reader, which asks no scheduler,
comes to the same result as those who ask.
"""

from collections.abc import Mapping
from typing import Any

from mlxp.job_state import Phase
from mlxp.run_directory.status import Status


def own_word(info: Mapping[str, Any], submission: Mapping[str, Any]) -> Status | None:
    """Return what a run says about its current attempt; None if the attempt has not begun.

    Parameters
    ----------
    info, submission
        What `RunDirectory.info` and `RunDirectory.submission` return.
    """
    if (info.get("attempt") or 1) < (submission.get("attempt") or 1):
        return None
    return Status.of(info.get("status"))


def verdict(info: Mapping[str, Any], submission: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scheduler's verdict on the job; empty if there is none, or if the run has begun again since."""
    heard = _heard(info, submission)
    return {} if heard.get("phase") == Phase.WAITING else heard


def begins_again(info: Mapping[str, Any], submission: Mapping[str, Any]) -> bool:
    """Tell whether the scheduler was heard to start the run's job again, without a word of the run since."""
    own = own_word(info, submission)
    return own not in {None, Status.COMPLETE} and _heard(info, submission).get("phase") == Phase.WAITING


def _heard(info: Mapping[str, Any], submission: Mapping[str, Any]) -> dict[str, Any]:
    heard = submission.get("verdict") or {}
    return heard if heard.get("phase") in Phase.__members__ and heard.get("begun") == begun(info) else {}


def begun(info: Mapping[str, Any]) -> int:
    """Return how many times the run has begun."""
    return (info.get("attempt") or 1) if info else 0


def outcome(info: Mapping[str, Any], submission: Mapping[str, Any]) -> tuple[Status | None, str | None]:
    """Return the status of a submitted run, and why its job ended if the scheduler knows better than the run.

    Examples
    --------
    >>> submission = {"status": "SUBMITTED", "verdict": {"phase": "ENDED", "reason": "TIMEOUT", "begun": 1}}
    >>> status, reason = outcome({"status": "RUNNING", "attempt": 1}, submission)
    >>> print(status, reason)
    KILLED TIMEOUT
    """
    if begins_again(info, submission):
        return Status.SUBMITTED, None
    heard = verdict(info, submission)
    status = _status(own_word(info, submission), submission, heard.get("phase"))
    if status is not Status.KILLED:
        return status, None
    return status, "CANCELLED" if submission.get("cancelled_at") else heard.get("reason")


def _status(own: Status | None, submission: Mapping[str, Any], phase: str | None) -> Status | None:
    if own is not None and not (own.is_under_way and phase):
        return own
    if own is None and submission.get("status") == Status.PREPARED and submission.get("cancelled_at"):
        return Status.KILLED  # it has no job: it waited for its turn on a computer without a scheduler
    if own is None and (phase is None or submission.get("status") != Status.SUBMITTED):
        return Status.of(submission.get("status"))
    if phase == Phase.ENDED or submission.get("cancelled_at"):
        return Status.KILLED
    return Status.LOST if own is not None and phase == Phase.DONE else Status.FAILED
