"""The attempts of a run: when and where each ran, how it ended, and where in each metrics file it began.

A run that is resumed goes on in the same files. From where each attempt began, readers know which records count: from
the step at which an attempt went on, what earlier ones had logged there is superseded.
"""

from collections.abc import Mapping
from typing import Any

from mlxp.run_directory.files import write_yaml
from mlxp.run_directory.layout import RunDirectory

_OF_AN_ATTEMPT = ("attempt", "started_at", "hostname")


def remember_attempt(directory: RunDirectory, earlier: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Write down that a run is resumed, before it logs anything.

    Parameters
    ----------
    earlier, now
        The info of the attempt before this one, as it was left behind, and that of this attempt.
    """
    known = directory.attempts() or [_of(earlier)]
    how = earlier.get("exit") if isinstance(earlier.get("exit"), dict) else {}
    end = {"ended_at": earlier.get("ended_at"), "status": earlier.get("status"), "reason": (how or {}).get("reason")}
    known[-1] = {**known[-1], **end}
    known.append({**_of(now), "begins": _sizes(directory)})
    directory.put_back_file.unlink(missing_ok=True)  # if its job died before it could do what was asked
    write_yaml(directory.attempts_file, {"attempts": known})


def _of(info: Mapping[str, Any]) -> dict[str, Any]:
    job = info.get("scheduler") if isinstance(info.get("scheduler"), dict) else {}
    facts = {name: info.get(name) for name in _OF_AN_ATTEMPT}
    return {**facts, "attempt": facts["attempt"] or 1, "scheduler_job_id": (job or {}).get("scheduler_job_id")}


def _sizes(directory: RunDirectory) -> dict[str, int]:
    """Return the size of each metrics file in bytes, by its log name."""
    return {
        file.relative_to(directory.metrics).with_suffix("").as_posix(): file.stat().st_size
        for file in sorted(directory.metrics.rglob("*.json"))
        if not any(part.startswith(".") for part in file.relative_to(directory.metrics).parts)
    }
