"""What the process of a submitted run knows about it: which directory is its own, and how it was submitted.

The job's script names the directory in its environment. The first program of MLXP takes it out of there, so that what
it starts in turn is a run of its own.
"""

import os
from pathlib import Path
from typing import Any

from mlxp.errors import MLXPError
from mlxp.run_directory.layout import RunDirectory
from mlxp.running.rank import rank

VARIABLE = "MLXP_RUN_DIRECTORY"
"""Environment variable that holds the path of the directory that mlxpsub made for the run."""

CONTAINER_PREFIXES = {"apptainer": "APPTAINERENV_", "singularity": "SINGULARITYENV_"}
"""What makes these containers set a variable inside, even where they are told to clear the environment."""

_shared: set[str] = set()
"""Directories of submitted runs that this process takes part in without being the first."""


def claimed_directory() -> RunDirectory | None:
    """Return the directory that this process shall run in, once; None if it was not submitted.

    Raises
    ------
    MLXPError
        If the run has been cancelled: a scheduler may start a job again that it is told to end at the same time.
    """
    path = os.environ.pop(VARIABLE, None)
    if path and rank() > 0:
        _shared.add(path)
    for prefix in CONTAINER_PREFIXES.values():
        os.environ.pop(prefix + VARIABLE, None)
    directory = RunDirectory(Path(path)) if path else None
    cancelled_at = submission(directory).get("cancelled_at")
    if cancelled_at is not None:
        raise MLXPError(f"run {path} was cancelled at {cancelled_at}; `mlxp resubmit` submits it again")
    return directory


def is_another_rank(directory: Path) -> bool:
    """Tell whether a launcher has started this process for the submitted run in `directory` beside the first one.

    It shares the directory, and leaves the writing to the first one.
    """
    return str(directory) in _shared


def submission(directory: RunDirectory | None) -> dict[str, Any]:
    """Return what the submitter wrote about the run; nothing if it was not submitted, or if that cannot be read."""
    return directory.submission() if directory is not None else {}


def scheduler_info(directory: RunDirectory | None) -> dict[str, Any] | None:
    """Return what info.yaml says about the scheduler; None if the run was not submitted."""
    known = submission(directory)
    return {name: known.get(name) for name in ("scheduler", "scheduler_job_id")} if known else None
