"""Finds out what a script would run: executes it once, on this computer, in plan mode.

Every command that may start Python is replaced by a stand-in, which starts the program without its launcher and in plan
mode; everything else does what it says. The script's own text is left to job_script.py, which writes the jobs.
"""

import functools
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlxp.running.plan_report import VARIABLE, PlannedRun, read_reports
from mlxp.scripts import plan_step
from mlxp.scripts.python_command import LAUNCHERS
from mlxp.scripts.script import OWN_PATH, Script, ScriptError

_UNTRACED = "{ case $- in *x*) local - || :; set +x;; esac; } 2> /dev/null"
"""Keeps ``set -x`` in the script from showing what is ours."""

_FUNCTIONS = """
OWN_PATH
__mlxp_enter() { UNTRACED; __mlxp_block=$1; __mlxp_place=$PWD; env -0 > DIRECTORY/"block-$1.env"; }
__mlxp_leave() {
    { __mlxp_status=$?; } 2> /dev/null
    UNTRACED
    [ "$PWD" = "$__mlxp_place" ] || echo "$__mlxp_block" >> DIRECTORY/moved
    __mlxp_block=
    return $__mlxp_status
}
__mlxp_run() {
    UNTRACED
    __mlxp_command=$1; shift
    __mlxp_first=; __mlxp_python=
    for __mlxp_word do
        [ "$__mlxp_word" = SEPARATOR ] || [ -n "$__mlxp_first" ] || __mlxp_first=${__mlxp_word##*/}
        case ${__mlxp_word##*/} in python*|pypy*|*.py|-m|--module) __mlxp_python=yes;; esac
    done
    case $__mlxp_python$__mlxp_first in
        yespython*|yespypy*|yes*.py|LAUNCHERS)
            HELPER "$__mlxp_command" "${__mlxp_block:-}" $$ "$@"; return;;
    esac
    echo "$__mlxp_command" >> DIRECTORY/direct
    for __mlxp_word do shift; [ "$__mlxp_word" = SEPARATOR ] || set -- "$@" "$__mlxp_word"; done
    "$@"
}
__mlxp_wait() {
    # In bash a plain `wait` also waits for the end of `exec > >(tee log)`, which waits for the end of the shell.
    [ -n "${BASH_VERSION:-}" ] || wait
    unset IFS
    for __mlxp_job in $([ -z "${BASH_VERSION:-}" ] || jobs -p); do wait "$__mlxp_job" || :; done
}
"""


@dataclass(frozen=True)
class Step:
    """A command that was executed in plan mode, and what it would run.

    Attributes
    ----------
    command, block
        The numbers of the command and of the block that it was executed in.
    groups
        For each word of the command, what it expanded to.
    program
        Which of the expanded words is the program; None if the command started no Python program.
    runs
        What the program would run; None if it is no program of MLXP.
    started
        When: by the number of the process that the script started for it, which are in order also for commands in the
        background, and by the time.
    environment
        Variables exported since the block began.
    """

    command: int
    block: int | None
    groups: list[list[str]]
    program: int | None
    cwd: str
    started: tuple[int, int]
    runs: list[PlannedRun] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    exit: int = 0


@dataclass(frozen=True)
class Plan:
    """What a script would do: its steps in the order of their execution."""

    script: Script
    steps: tuple[Step, ...]
    direct: frozenset[int]
    """Commands that turned out to start no Python program."""
    moved: frozenset[int] = frozenset()
    """Blocks that ended in another directory than they began in."""

    @functools.cached_property
    def runs(self) -> list[tuple[Step, PlannedRun]]:
        """The runs that are to be submitted, each with the step that it comes from."""
        return [(step, run) for step in self.steps for run in step.runs or []]

    @property
    def notes(self) -> list[str]:
        """What the user should know: which Python programs ran here, once."""
        others = {step.command for step in self.steps if step.program is not None and step.runs is None}
        commands = [(number, self.script.commands[number]) for number in sorted(others)]
        return [
            f"line {command.line}: {self.script.text_of(command)}: no program of MLXP; it ran here, "
            + ("and runs in the jobs, too" if self.is_part_of_others(number) else "once, and is in no job")
            for number, command in commands
        ]

    def is_part_of_others(self, number: int) -> bool:
        """Tell whether a command gives its output to another one, or takes that of a run, which jobs need it for."""
        command = self.script.commands[number]
        return command.substituted or command.place.pipeline in self._pipelines_of_runs

    @functools.cached_property
    def _pipelines_of_runs(self) -> set[tuple[int, int] | None]:
        straight = [self.script.commands[step.command] for step in self.steps if step.runs and step.block is None]
        return {run.place.pipeline for run in straight} - {None}

    def may_fail(self, step: Step) -> bool:
        """Tell whether the exit code of a program that is none of MLXP says nothing about what is submitted.

        That is where the script looks at it; and beside a run, which in the plan neither takes nor gives any output.
        """
        command = self.script.commands[step.command]
        return step.runs is None and (command.tested or command.place.pipeline in self._pipelines_of_runs)


def make_plan(script: Script) -> Plan:
    """Execute `script` in plan mode and return what it would run.

    What it prints goes to standard error.

    Raises
    ------
    ScriptError
        If the script or one of its programs fails, or if it would run nothing.
    """
    with tempfile.TemporaryDirectory(prefix="mlxpsub-") as name:
        directory = Path(name)
        code = _execute(script, directory)
        records = [json.loads(file.read_text(encoding="utf-8")) for file in directory.glob("step-*.json")]
        steps = sorted(map(_step, records), key=lambda step: (_position(script, step), step.started))
        unknown = read_reports(directory / "unknown.jsonl")
        plan = Plan(script, tuple(steps), _numbers(directory / "direct"), _numbers(directory / "moved"))
        _check(
            plan, code, reached_end=(directory / "end").exists(), unknown=[command for runs, command in unknown if runs]
        )
    return plan


def _position(script: Script, step: Step) -> int:
    # Commands in the background start at any time, and have an order all the same.
    part = script.commands[step.command] if step.block is None else script.blocks[step.block]
    return part.start


def _numbers(file: Path) -> frozenset[int]:
    return frozenset(map(int, file.read_text(encoding="ascii").split())) if file.exists() else frozenset()


def _step(record: dict[str, object]) -> Step:
    report = record.pop("report", None)
    reports = read_reports(Path(str(report))) if report else []
    runs = [run for runs, _ in reports for run in runs] if reports else None
    return Step(**record, runs=runs)  # type: ignore[arg-type] # as plan_step writes it


def _execute(script: Script, directory: Path) -> int:
    functions = directory / "functions.sh"
    functions.write_text(_functions(script, directory), encoding="utf-8", errors="surrogateescape")
    text = _instrumented(script, functions, directory)
    environment = {**os.environ, VARIABLE: str(directory / "unknown.jsonl")}
    # By -c and not from a file, so that messages name the user's script.
    command: list[str | bytes] = [*script.interpreter, "-c", text, str(script.path)]
    sys.stderr.flush()
    try:
        return subprocess.run(command, env=environment, stdout=sys.stderr.fileno(), check=False).returncode
    except OSError as error:
        raise ScriptError(f"cannot execute {script.path}: {error.strerror}") from error


def _functions(script: Script, directory: Path) -> str:
    helper = shlex.join([sys.executable, "-I", "-S", plan_step.__file__])
    values = {
        "OWN_PATH": f"{OWN_PATH}={shlex.quote(str(script.path.absolute()))}",
        "UNTRACED": _UNTRACED,
        "DIRECTORY": shlex.quote(str(directory)),
        "HELPER": helper,
        "SEPARATOR": plan_step.SEPARATOR,
        "LAUNCHERS": "|".join(f"yes{name}" for name in LAUNCHERS),
    }
    return re.sub("|".join(values), lambda match: values[match.group()], _FUNCTIONS)


def _instrumented(script: Script, functions: Path, directory: Path) -> bytes:
    separator = f" {plan_step.SEPARATOR}"
    edits: list[tuple[int, str]] = []
    for number, command in enumerate(script.commands):
        edits += [(command.words[0].start, f"__mlxp_run {number}{separator} ")]
        edits += [(word.end, separator) for word in command.words[:-1]]
    for number, block in enumerate(script.blocks):
        has_here_document = b"<<" in script.text[block.start : block.end]
        edits += [(block.start, f"{{ __mlxp_enter {number}; ")]
        edits += [(block.end, ("\n" if has_here_document else "; ") + "__mlxp_leave; }")]
    text = script.text
    for position, insertion in sorted(edits, key=lambda edit: edit[0], reverse=True):
        text = text[:position] + insertion.encode() + text[position:]
    # In the place of the first line, so that the shell's messages count lines as the user does.
    start = f". {shlex.quote(str(functions))}".encode()
    text = start + b"\n" + text[script.body_start :] if script.body_start else start + b"; " + text
    end = shlex.quote(str(directory / "end"))
    return (
        text + f"\n{{ __mlxp_status=$?; set +x; }} 2> /dev/null; __mlxp_wait; : > {end}; exit $__mlxp_status\n".encode()
    )


def _check(plan: Plan, code: int, *, reached_end: bool, unknown: list[list[str]]) -> None:
    path = plan.script.path
    for step in plan.steps:
        command = plan.script.commands[step.command]
        if step.program is not None and step.exit != 0 and not plan.may_fail(step):
            raise ScriptError(
                f"{path}, line {command.line}: {plan.script.text_of(command)}: failed with exit code {step.exit}, "
                "as it says above; nothing was submitted"
            )
    if unknown:
        raise ScriptError(
            f"{path} starts `{shlex.join(unknown[0])}` by a program that mlxpsub does not know; "
            "write the python command itself in the script, or 'env' before an unknown launcher"
        )
    if not reached_end and code != 0:
        raise ScriptError(f"{path} ended with exit code {code} before its last line; nothing was submitted")
    if not plan.runs:
        raise ScriptError(f"{path} runs no program of MLXP: no function decorated with mlxp.launch was called")
