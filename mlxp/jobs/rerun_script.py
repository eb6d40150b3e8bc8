"""Submits a rerun as its run was submitted: with the script of that run, in the copy of its code."""

import contextlib
import re
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mlxp.errors import InvalidSchedulerError, MLXPError
from mlxp.jobs.packing import Packing
from mlxp.jobs.submitter import Submitter, directives_of
from mlxp.jobs.submitting import submit_all
from mlxp.reproduction.rerun import Rerun
from mlxp.running.repeated_run import RERUN_OF
from mlxp.running.submitted_run import RUN_VARIABLE
from mlxp.scheduler import Scheduler, problem_with, scheduler_named
from mlxp.scripts.job_script import quoted
from mlxp.scripts.plan import make_plan
from mlxp.scripts.python_command import python_command
from mlxp.scripts.script import Command, Script, parsed, read_script

_SETTING: Final = re.compile(rf"export \w*{RUN_VARIABLE}=")
_OF_HERE: Final = ("PATH", "VIRTUAL_ENV")  # which are others in a job
_OWN: Final = ("name", "stdout", "stderr")


def submit_rerun(planned: Rerun, overrides: Sequence[str]) -> int:
    """Submit a job that does a run again, and return the exit code.

    Raises
    ------
    MLXPError
        If the run was not submitted, if its script does not show which command starts it, or if its scheduler is not
        here.
    """
    name = str(planned.source.submission().get("scheduler"))
    if not planned.source.script.is_file() or name == "None":
        raise MLXPError(f"run {planned.source.log_id} was not submitted, so there is no script for it; use mlxpsub")
    scheduler = scheduler_named(name)
    problem = problem_with(scheduler)
    if problem is not None:
        raise InvalidSchedulerError(f"{problem}; nothing was submitted")
    with tempfile.TemporaryDirectory(prefix="mlxp-rerun-") as folder, contextlib.chdir(planned.directory):
        file = Path(folder, f"rerun-{planned.source.log_id}.sh")
        text = planned.source.script.read_bytes()
        file.write_bytes(rerun_script(text, planned, scheduler, overrides))
        script = read_script(file)
        options = [text for _, text in directives_of(script, scheduler)]
        given = planned.source.submission().get("options") or []
        submitter = Submitter(make_plan(script, scheduler.name, [*options, *given]), scheduler, options=given)
        return submit_all(submitter, Packing(), "mlxp", None)


def rerun_script(text: bytes, planned: Rerun, scheduler: Scheduler, overrides: Sequence[str]) -> bytes:
    """Return the script of a run, as its user could have written it, with what makes a rerun of its command.

    Parameters
    ----------
    text
        The script of the run's job.
    planned
        The rerun.
    scheduler
        The scheduler of the job, whose options for the job's name and output are taken out.
    overrides
        What is to be different.
    """
    script = parsed(text, planned.source.script)
    command = _command(script, planned)
    # The new run is beside the old one, wherever that is by now.
    added = [*overrides, f"mlxp.logger.parent_log_dir={_for_hydra(str(planned.source.path.parent))}"]
    end = command.words[-1].end
    edits = [(end, end, " " + " ".join(map(quoted, added)))]
    interpreter = _interpreter(script, command) if planned.has_own_environment else None
    for number, word in enumerate(command.words):
        old = _plain(script.text_of(word))
        # By its path, since the set-up lines of the script may choose another one.
        new = planned.words[0] if number == interpreter else planned.moved(old)
        edits += [(word.start, word.end, quoted(new))] if new != old else []
    changed = script.text
    for start, stop, instead in sorted(edits, reverse=True):
        changed = changed[:start] + instead.encode(errors="surrogateescape") + changed[stop:]
    own = {line for line, option in directives_of(script, scheduler) if _is_own(option, scheduler)}
    lines = changed.decode(errors="surrogateescape").split("\n")
    return "\n".join(_with_settings(lines, own, planned)).encode(errors="surrogateescape")


def _with_settings(lines: list[str], own: set[int], planned: Rerun) -> list[str]:
    """Return the lines of a job's script with the settings of the rerun in place of those of the job."""
    numbers = [number for number, line in enumerate(lines) if _SETTING.match(line)]
    if not numbers or not lines[numbers[0] - 1].startswith("cd "):
        raise MLXPError(f"{planned.source.script} is not a script that mlxpsub wrote")
    variables = {**planned.variables, RERUN_OF: str(planned.source.path)}
    settings = [f"cd {quoted(str(planned.directory))} || exit 1"]
    settings += [
        f"export {name}={quoted(value)}" for name, value in variables.items() if value and name not in _OF_HERE
    ]
    taken_out = {*numbers, numbers[0] - 1, *(line - 1 for line in own)}
    kept = [(number, line) for number, line in enumerate(lines) if number not in taken_out]
    before = [line for number, line in kept if number < numbers[0]]
    return [*before, *settings, *(line for number, line in kept if number > numbers[0])]


def _is_own(option: str, scheduler: Scheduler) -> bool:
    words = option[len(scheduler.directive) :]
    return any(scheduler.own_options[what].search(words) for what in _OWN)


def _command(script: Script, planned: Rerun) -> Command:
    """Return the command that starts the run's program."""
    programs = {Path(word).name for word in planned.words[1:]}
    found = []
    for command in script.commands:
        words = [_plain(script.text_of(word)) for word in command.words]
        python = python_command(words)
        if python is not None and Path(words[python.program]).name in programs:
            found.append(command)
    if len(found) != 1:
        raise MLXPError(f"{len(found)} commands in {script.path} start {' or '.join(sorted(programs))}; use mlxpsub")
    return found[0]


def _interpreter(script: Script, command: Command) -> int:
    """Return which word of a command is the interpreter."""
    python = python_command([_plain(script.text_of(word)) for word in command.words])
    if python is None or not python.has_interpreter:
        said = script.text_of(command)
        raise MLXPError(f"--env uv with --submit needs a command that begins with python, and the script has `{said}`")
    return python.start


def _plain(word: str) -> str:
    """Return a word of a script without its quotes; as it is, if it is not plain."""
    try:
        words = shlex.split(word)
    except ValueError:
        return word
    return words[0] if len(words) == 1 else word


def _for_hydra(path: str) -> str:
    escaped = path.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
