"""Whether a run that says it is running still is: the state ``LOST`` is never written, only derived here."""

from typing import Final

__all__ = ["derived_status"]

_UNFINISHED: Final = frozenset({"STARTING", "RUNNING"})
_LEAST_SILENCE: Final = 90.0  # seconds; file systems of clusters show a new time late
_HEARTBEATS_MISSED: Final = 3


def derived_status(status: str, *, silence: float, heartbeat: float | None, process_is_gone: bool) -> str:
    """Return ``LOST`` for a run that did not live to write how it ended, else its own word.

    Parameters
    ----------
    status
        What the run's info says.
    silence
        Seconds since info.yaml was last touched.
    heartbeat
        Seconds between two touches; None where the run records none, as those of MLXP 1.
    process_is_gone
        Whether the run was on this host and its process is there no more. Of other hosts nothing is known, and unknown
        is not dead.

    Examples
    --------
    >>> derived_status("RUNNING", silence=1000, heartbeat=30, process_is_gone=True)
    'LOST'
    >>> derived_status("RUNNING", silence=10, heartbeat=30, process_is_gone=True)
    'RUNNING'
    """
    longest = max(_HEARTBEATS_MISSED * (heartbeat or 0), _LEAST_SILENCE)
    is_lost = status in _UNFINISHED and process_is_gone and silence > longest
    return "LOST" if is_lost else status
