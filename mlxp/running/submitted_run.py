"""What the process of a submitted run knows about it: which directory is its own, and how it was submitted.

The job's script names the directory in its environment. The first program that uses MLXP removes it from there, so that
what it starts in turn is a run of its own. Before anything else, the program claims the run's attempt for its job, so
that a run submitted twice is executed once.
"""

import os
import sys
from pathlib import Path
from typing import Any

from mlxp.errors import MLXPError
from mlxp.run_directory.layout import RunDirectory
from mlxp.run_directory.status import Status
from mlxp.running.claim import claim, other_job
from mlxp.running.copies import COPY, COPY_OF, Copy
from mlxp.running.rank import rank

RUN_VARIABLE = "MLXP_RUN_DIRECTORY"
"""Environment variable that holds the path of the directory that mlxpsub made for the run."""

CONTAINER_PREFIXES = {"apptainer": "APPTAINERENV_", "singularity": "SINGULARITYENV_"}
"""What makes these containers set a variable inside, even if they are told to clear the environment."""

_shared: set[str] = set()
"""Directories of submitted runs in which this process takes part without being the first process."""


def claimed_directory() -> RunDirectory | None:
    """Return the directory in which this process is to run, but only once; None if it was not submitted.

    Raises
    ------
    SystemExit
        With code 0, after a sentence that says so, if this process has nothing to do: its job is not the run's, or the
        run is COMPLETE.
    MLXPError
        If the run has been cancelled, since a scheduler may restart a job while it is told to end it; or if another
        process is executing the run.
    """
    path = os.environ.pop(RUN_VARIABLE, None)
    for prefix in CONTAINER_PREFIXES.values():
        os.environ.pop(prefix + RUN_VARIABLE, None)
    if not path:
        return None
    directory = RunDirectory(Path(path))
    submitted = directory.submission()
    copy = Copy.known(submitted.get("code"))
    if copy is not None:  # read here, since a container may hide the environment
        os.environ |= {COPY: str(copy.path), COPY_OF: str(copy.of)}
    cancelled_at = submitted.get("cancelled_at")
    if cancelled_at is not None:
        raise MLXPError(f"run {path} was cancelled at {cancelled_at}; `mlxp resubmit` submits it again")
    if rank() > 0:
        _shared.add(path)
        obstacle = other_job(submitted)
    else:
        obstacle = _is_done(directory, submitted) or claim(directory, submitted)
    if obstacle is not None:
        print(f"mlxp: run {path}: {obstacle}; nothing is executed here", file=sys.stderr)  # noqa: T201 - said once
        raise SystemExit(0)
    return directory


def _is_done(directory: RunDirectory, submitted: dict[str, Any]) -> str | None:
    info = directory.info()
    begun, attempt = info.get("attempt") or 1, submitted.get("attempt") or 1
    if info.get("status") == Status.COMPLETE and begun >= attempt:
        return "it is COMPLETE, and `mlxp resubmit --force` repeats it"
    return None


def is_another_rank(directory: Path) -> bool:
    """Tell whether a launcher has started this process beside the first one, for the submitted run in `directory`.

    Such a process shares the directory, and leaves the writing to the first one.
    """
    return str(directory) in _shared


def submission(directory: RunDirectory | None) -> dict[str, Any]:
    """Return what the submitter wrote about the run; nothing if it was not submitted, or if that cannot be read."""
    return directory.submission() if directory is not None else {}


def scheduler_info(directory: RunDirectory | None) -> dict[str, Any] | None:
    """Return what info.yaml says about the scheduler; None if the run was not submitted."""
    known = submission(directory)
    if not known or directory is None:
        return None
    # The job that has claimed the attempt knows its id before the submitter has recorded it.
    claimed = directory.claim(known.get("attempt") or 1).get("scheduler_job_id")
    return {"scheduler": known.get("scheduler"), "scheduler_job_id": claimed or known.get("scheduler_job_id")}
