"""Finds out what a script would run by executing it once, on this computer, in plan mode.

A stand-in replaces every command that may start Python, and starts the program without its launcher and in plan mode.
The rest is executed as far as it changes nothing that was there; see effects.py. The script's own text is left to
job_script.py, which writes the jobs' scripts.
"""

import dataclasses
import functools
import json
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlxp.running.plan_report import PlannedRun, read_reports
from mlxp.scripts import plan_step
from mlxp.scripts.execution import execute
from mlxp.scripts.job_variables import JobVariables, job_variables
from mlxp.scripts.job_words import override_texts, recorded
from mlxp.scripts.script import Script, ScriptError


@dataclass(frozen=True)
class Step:
    """A command that was executed in plan mode, and what it would run.

    Attributes
    ----------
    command, block
        The number of the command, and of the block in which it was executed.
    groups
        The expansion of each word of the command.
    program
        The number of the expanded word that is the program; None if the command started no Python program.
    runs
        What the program would run; None if it is not a program of MLXP.
    started
        When it started: the number of the process that the script started for it, and the time. These numbers are in
        order also for commands in the background.
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
    exit: int | None = 0
    left: str = ""
    """What the program was kept from doing; if anything, the program is left to the jobs."""


@dataclass(frozen=True)
class LeftOut:
    """A command, with its expanded words, that the plan did not execute since it may change what is there.

    Attributes
    ----------
    action
        The number of the action, or of the command; None if it stands in another file.
    block
        The number of the block in which it would have been executed.
    """

    action: int | None
    command: int | None
    block: int | None
    words: list[str]
    time: int
    reason: str = ""


@dataclass(frozen=True)
class Plan:
    """What a script would do: its steps in the order of their execution."""

    script: Script
    steps: tuple[Step, ...]
    direct: frozenset[int]
    """Commands that turned out to start no Python program."""
    moved: frozenset[int] = frozenset()
    """Blocks that ended in a different directory from the one they began in."""
    left: tuple[LeftOut, ...] = ()
    unwritten: frozenset[int] = frozenset()
    """Redirections to existing files, and actions in the background, which were left out, too."""
    variables: JobVariables = field(default_factory=JobVariables)
    overrides: tuple[str, ...] = ()
    """What takes precedence over the overrides in the script."""

    @functools.cached_property
    def runs(self) -> list[tuple[Step, PlannedRun]]:
        """The runs to submit, each with the step that it comes from."""
        return [(step, run) for step in self.steps for run in step.runs or []]

    @property
    def notes(self) -> list[str]:
        """What the user should know: which Python programs ran here, and what was left out."""
        return [*self._notes_on_programs(), *self._notes_on_what_was_left()]

    def _notes_on_programs(self) -> Iterator[str]:
        others = {step.command: step for step in self.steps if step.program is not None and step.runs is None}
        for number, step in sorted(others.items()):
            command = self.script.commands[number]
            what = f"line {command.line}: {self.script.text_of(command)}: not an MLXP program; "
            if step.left:
                yield f"{what}it would {step.left}, which a plan does not: it is left to the jobs"
            elif step.exit and self.is_after_all_runs(step):
                yield f"{what}it failed here with exit code {step.exit}, after the last run, and is left to the jobs"
            elif self.is_part_of_others(number):
                yield f"{what}it ran here, and runs in the jobs, too"
            else:
                yield f"{what}it ran here, once, and is in no job"

    def _notes_on_what_was_left(self) -> Iterator[str]:
        numbers = {left.action for left in self.left if left.action is not None} | self.unwritten
        actions = [self.script.actions[number] for number in numbers]
        commands = [self.script.commands[left.command] for left in self.left if left.command is not None]
        shown = {action.whole[0]: f"line {action.line}: {self._shown(*action.whole)}" for action in actions}
        shown |= {one.start: f"line {one.line}: {self._shown(one.start, one.end)}" for one in commands}
        if shown:
            lines = "; ".join(shown[start] for start in sorted(shown))
            yield f"left to the jobs, because a plan changes no existing file: {lines}"
        elsewhere = sorted({shlex.join(left.words) for left in self.left if left.action is left.command is None})
        if elsewhere:
            yield f"left to the jobs, in other files that the script reads: {'; '.join(elsewhere)}"

    def _shown(self, start: int, end: int) -> str:
        lines = self.script.text[start:end].decode(errors="surrogateescape").splitlines()
        return lines[0] + (" ..." if len(lines) > 1 else "")

    def is_after_all_runs(self, step: Step) -> bool:
        """Tell whether a step comes after all those that have runs."""
        with_runs = [self.steps.index(one) for one in self.steps if one.runs]
        return bool(with_runs) and self.steps.index(step) > with_runs[-1]

    def is_part_of_others(self, number: int) -> bool:
        """Tell whether jobs need a command: it gives its output to another one, or takes the output of a run."""
        command = self.script.commands[number]
        return command.substituted or command.place.pipeline in self._pipelines_of_runs

    @functools.cached_property
    def _pipelines_of_runs(self) -> set[tuple[int, int] | None]:
        straight = [self.script.commands[step.command] for step in self.steps if step.runs and step.block is None]
        return {run.place.pipeline for run in straight} - {None}

    def may_fail(self, step: Step) -> bool:
        """Tell whether a program that is not MLXP's may fail without stopping the submission.

        It may where the script checks its exit code, where it shares a pipeline with a run (since runs neither take nor
        give any output in the plan), and after all runs, since it may need their results.
        """
        command = self.script.commands[step.command]
        is_needless = command.tested or command.place.pipeline in self._pipelines_of_runs
        return step.runs is None and (is_needless or (self.is_after_all_runs(step) and self._is_there(step)))

    def _is_there(self, step: Step) -> bool:
        """Tell whether the program is a file, since a wrong name may have been meant for a run."""
        words = [word for group in step.groups for word in group]
        program = Path(step.cwd, words[step.program or 0])
        return program.suffix != ".py" or program.exists()


def make_plan(script: Script, scheduler: str = "", options: Sequence[str] = (), overrides: Sequence[str] = ()) -> Plan:
    """Execute `script` in plan mode and return what it would run.

    The script's output goes to standard error.

    Parameters
    ----------
    scheduler
        The name of the scheduler; the script may use its variables.
    options
        The lines with the scheduler's options.
    overrides
        Overrides that take precedence over those in the script.

    Raises
    ------
    ScriptError
        If the script or one of its programs fails or does not end, if it would run nothing, or if only a job knows what
        it would run.
    """
    with tempfile.TemporaryDirectory(prefix="mlxpsub-") as name:
        directory = Path(name).resolve()
        variables = job_variables(scheduler, options, str(Path.cwd()), directory)
        code = execute(script, directory, variables, overrides)
        _remove_stand_ins(_lines(directory / "made.jsonl"), variables)
        steps = [_step(json.loads(file.read_text(encoding="utf-8"))) for file in directory.glob("step-*.json")]
        plan = Plan(
            script,
            tuple(sorted(steps, key=lambda step: (_position(script, step), step.started))),
            _numbers(directory / "direct"),
            _numbers(directory / "moved"),
            tuple(map(_left_out, _lines(directory / "left.jsonl"))),
            _numbers(directory / "kept") | _numbers(directory / "background"),
            variables,
            tuple(overrides),
        )
        unknown = [command for runs, command in read_reports(directory / "unknown.jsonl") if runs]
        _check_refusals(plan, _lines(directory / "refused.jsonl"), unknown)
        _check(plan, code, reached_end=(directory / "end").exists())
        return _with_late_words(plan, directory)


def _with_late_words(plan: Plan, directory: Path) -> Plan:
    """Return the plan with configurations that name the job's variables instead of their stand-ins."""
    steps = []
    for step in plan.steps:
        runs = [recorded(plan, step, run) for run in step.runs or []]
        steps.append(dataclasses.replace(step, runs=runs if step.runs is not None else None))
    finished = dataclasses.replace(plan, steps=tuple(steps))
    for step, run in finished.runs:
        override_texts(finished, step, run, private=str(directory))
    return finished


def _position(script: Script, step: Step) -> int:
    # Commands in the background start at any time, yet have an order.
    part = script.commands[step.command] if step.block is None else script.blocks[step.block]
    return part.start


def _numbers(file: Path) -> frozenset[int]:
    words = file.read_text(encoding="ascii").split() if file.exists() else []
    return frozenset(int(word) for word in words if word != "-")  # which stands for a place in another file


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def _step(record: dict[str, Any]) -> Step:
    report = record.pop("report", None)
    reports = read_reports(Path(str(report))) if report else []
    runs = [run for runs, _ in reports for run in runs] if reports else None
    return Step(**record, runs=runs)


def _left_out(record: dict[str, Any]) -> LeftOut:
    part = record.pop("part")
    number = int(part.lstrip("c")) if part != "-" else None
    is_command = part.startswith("c")
    return LeftOut(action=None if is_command else number, command=number if is_command else None, **record)


def _remove_stand_ins(made: list[dict[str, Any]], variables: JobVariables) -> None:
    """Remove the directories that the script made and named after a job that does not exist."""
    for path in (Path(name) for one in made for name in one["paths"] if variables.are_in(name)):
        top = next((parent for parent in [*reversed(path.parents), path] if variables.are_in(parent.name)), None)
        if top is not None and not top.is_symlink():
            shutil.rmtree(top, ignore_errors=True)


def _check_refusals(plan: Plan, refused: list[dict[str, Any]], unknown: list[list[str]]) -> None:
    path = plan.script.path
    if refused:
        raise ScriptError(f"{path}: `{shlex.join(refused[0]['words'])}` {refused[0]['reason']}; nothing was submitted")
    if unknown:
        raise ScriptError(
            f"{path} starts `{shlex.join(unknown[0])}` through a program that mlxpsub does not know; "
            "write the python command itself in the script, or 'env' before a launcher that starts it exactly once"
        )
    for step in plan.steps:
        command = plan.script.commands[step.command]
        what = f"{path}, line {command.line}: {plan.script.text_of(command)}:"
        if step.exit is None:
            raise ScriptError(f"{what} started and did not end; nothing was submitted")
        if step.left and _is_program_of_mlxp(step):
            raise ScriptError(
                f"{what} would {step.left} before mlxpsub knows what it runs; do that in the task, or in a command of "
                "its own. Nothing was submitted"
            )


def _is_program_of_mlxp(step: Step) -> bool:
    words = [word for group in step.groups for word in group]
    return plan_step.is_program_of_mlxp(Path(step.cwd, words[step.program or 0]))


def _check(plan: Plan, code: int, *, reached_end: bool) -> None:
    path = plan.script.path
    for step in plan.steps:
        command = plan.script.commands[step.command]
        if step.program is not None and step.exit != 0 and not plan.may_fail(step):
            raise ScriptError(
                f"{path}, line {command.line}: {plan.script.text_of(command)}: failed with exit code {step.exit}, "
                "as it says above; nothing was submitted"
            )
    if not reached_end and code != 0 and not _ended_after_last_command(plan):
        raise ScriptError(f"{path} ended with exit code {code} before its last line; nothing was submitted")
    if not plan.runs:
        raise ScriptError(f"{path} starts no MLXP program: no function decorated with mlxp.launch was called")


def _ended_after_last_command(plan: Plan) -> bool:
    """Tell whether the script was ended by a program that may need the runs' results and that no run can follow."""
    last = plan.steps[-1] if plan.steps else None
    if last is None or not last.exit or not plan.may_fail(last):
        return False
    return not any(command.start > plan.script.commands[last.command].start for command in plan.script.commands)
