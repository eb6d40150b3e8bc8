"""Submits the runs of a program by its own settings: ``python main.py mlxp.use_scheduler=true optimizer.lr=1,2``.

The settings under ``mlxp.scheduler`` say what a user's script for mlxpsub would say. The script is made from them.
Everything else is as for a script that mlxpsub has executed in plan mode, except that nothing is executed for it.
"""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from mlxp.errors import InvalidConfigFileError, InvalidSchedulerError
from mlxp.jobs.batch import Batch
from mlxp.jobs.packing import Packing
from mlxp.jobs.submitter import Submitter
from mlxp.jobs.submitting import print_plan, submit_all
from mlxp.running.plan_report import PlannedRun
from mlxp.running.settings import SchedulerSettings
from mlxp.scheduler import Scheduler, problem_with, scheduler_named
from mlxp.scripts.job_script import quoted
from mlxp.scripts.plan import Plan, Step
from mlxp.scripts.python_command import python_command
from mlxp.scripts.script import Command, Script, parsed


def submit_planned(runs: Sequence[PlannedRun], settings: SchedulerSettings) -> int:
    """Submit one job for each of the `runs` of this program, and return its exit code.

    Parameters
    ----------
    runs
        The runs that the command line of this process asks for.
    settings
        The settings under ``mlxp.scheduler``.

    Raises
    ------
    InvalidSchedulerError
        If the scheduler cannot be used here, or if this process is one of its jobs, which must not submit others.
    InvalidConfigFileError
        If the settings do not make a script.
    """
    scheduler = scheduler_named(settings.name)
    _refuse_in_a_job(scheduler)
    problem = problem_with(scheduler)
    is_dry = any(run.dry_run for run in runs)
    if problem is not None and not is_dry:
        raise InvalidSchedulerError(f"{problem}; nothing was submitted")
    submitter = Submitter(_plan(runs, settings, scheduler), scheduler)
    for note in submitter.notes:
        print(f"mlxp: {note}", file=sys.stderr)  # noqa: T201 - as mlxpsub says it
    if is_dry:
        print_plan(Batch(submitter, Packing()))
        return 0
    return submit_all(submitter, Packing(), "mlxp", "mlxp.use_version_manager=true")


def _refuse_in_a_job(scheduler: Scheduler) -> None:
    job = os.environ.get(scheduler.job_variable) if scheduler.job_variable else None
    if job:
        raise InvalidSchedulerError(
            f"the setting mlxp.use_scheduler is true inside job {job} of {scheduler.name}, and a job submits no "
            "others; set it to false to run here, or submit a script with mlxpsub"
        )


def _plan(runs: Sequence[PlannedRun], settings: SchedulerSettings, scheduler: Scheduler) -> Plan:
    """Return the plan that plan mode would make of the script that the settings describe."""
    words = [sys.executable, *sys.orig_argv[1:]]
    script, line = _script(words, settings, scheduler)
    commands = [number for number, command in enumerate(script.commands) if command.line == line]
    found = python_command(words)
    if len(commands) != 1 or found is None:
        given = " ".join(settings.before_cmd)
        raise InvalidConfigFileError(
            f"the setting mlxp.scheduler.before_cmd is {given!r}, which does not make one command "
            f"with {shlex.join(words[:2])!r}; set it to a launcher such as 'srun', or submit a script with mlxpsub"
        )
    command = script.commands[commands[0]]
    before = len(command.words) - len(words)
    groups = [[word] for word in [*_texts(script, command)[:before], *words]]
    step = Step(commands[0], None, groups, before + found.program, os.getcwd(), (0, 0), list(runs))  # noqa: PTH109 - a str
    others = frozenset(range(len(script.commands))) - {commands[0]}
    return Plan(script, (step,), others)


def _texts(script: Script, command: Command) -> list[str]:
    return [script.text_of(word) for word in command.words]


def _script(words: Sequence[str], settings: SchedulerSettings, scheduler: Scheduler) -> tuple[Script, int]:
    """Return the script and the number of the line that starts the program."""
    options = [f"{scheduler.directive} {option}" for option in settings.option_cmd]
    setup = [*settings.shell_config_cmd, *settings.cleanup_cmd, *settings.env_cmd]
    command = " ".join([*settings.before_cmd, *map(quoted, words)])
    before = "\n".join([f"#!{settings.shell_path}", *options, *setup]) + "\n"
    text = before + "\n".join([command, *settings.post_cmd]) + "\n"
    path = Path(f"mlxp.scheduler of {words[1] if len(words) > 1 else words[0]}")
    return parsed(text.encode(errors="surrogateescape"), path), before.count("\n") + 1
