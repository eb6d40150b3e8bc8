"""The job schedulers: the table of known ones, and the types for adding your own.

Each scheduler is a row. The rows that come with MLXP are in `mlxp.schedulers`, one file each; `register` adds your own.
Their contents come from real schedulers, or from the documentation that a comment names.
"""

import importlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from mlxp.earlier_names import removed
from mlxp.errors import InvalidSchedulerError
from mlxp.schedulers.base import Array, Name, Scheduler, asked
from mlxp.schedulers.grid_engine import SGE
from mlxp.schedulers.lsf import LSF
from mlxp.schedulers.moab import MWM
from mlxp.schedulers.oar import OAR
from mlxp.schedulers.pbs import PBS
from mlxp.schedulers.slurm import SLURM

__all__ = [
    "LOCAL",
    "LSF",
    "MWM",
    "OAR",
    "PBS",
    "SCHEDULERS",
    "SGE",
    "SLURM",
    "Array",
    "Name",
    "Scheduler",
    "import_plugin",
    "problem_with",
    "register",
    "scheduler_named",
]


__getattr__ = removed(Schedulers_dict="write a row, Scheduler(name, ...), and give it to mlxp.scheduler.register")

LOCAL = "LOCAL"
"""What stands for the name of a scheduler in the record of a run that ``mlxpsub --local`` does on this computer."""

SCHEDULERS: dict[str, Scheduler] = {row.name: row for row in (SLURM, OAR, PBS, SGE, MWM, LSF)}
"""The known schedulers by name."""


def register(scheduler: Scheduler) -> None:
    """Add a scheduler, or replace the one of the same name; call this in a module that ``--plugin`` imports."""
    SCHEDULERS[scheduler.name] = scheduler


def import_plugin(module: str) -> None:
    """Import a module, here or installed, that registers schedulers.

    Raises
    ------
    InvalidSchedulerError
        If there is no such module, or if it cannot import what it needs.
    """
    sys.path.insert(0, str(Path.cwd()))
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise InvalidSchedulerError(
            f"cannot import {module}: {error}; --plugin takes the name of a module, here or installed"
        ) from error


def scheduler_named(name: str) -> Scheduler:
    """Return the scheduler of that name; ``#SBATCH`` and ``SLURMScheduler``, its name in MLXP 1, also work as names.

    Raises
    ------
    InvalidSchedulerError
        If there is none.
    """
    known = {key.upper(): row for row in SCHEDULERS.values() for key in (row.name, row.directive)}
    short = name.upper().removesuffix("SCHEDULER")
    if short not in known:
        known_names = ", ".join(SCHEDULERS)
        raise InvalidSchedulerError(
            f"unknown scheduler {name!r}; it is one of {known_names}, or one that a --plugin registers"
        )
    return known[short]


def problem_with(scheduler: Scheduler) -> str | None:
    """Return why a scheduler cannot be used on this computer; None if it can."""
    if shutil.which(scheduler.command) is None:
        return f"the command {scheduler.command}, which submits '{scheduler.directive}' scripts, is not on PATH"
    if scheduler.identify and not scheduler.identity.search(_output_of(scheduler.identify)):
        return scheduler.identity_error
    return None


def _output_of(command: Sequence[str]) -> str:
    answer = asked(command)
    return answer.output + answer.errors if answer is not None else ""
