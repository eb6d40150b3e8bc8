"""Writes the script of one run: the user's script, with this run's command in it and the other runs' taken out.

Set-up lines stay unchanged and in place. A loop, a condition or a function call around the command is replaced by what
it would have executed: the exports, the change of directory and the command.
"""

import functools
import os
import re
from collections.abc import Sequence
from pathlib import Path

from mlxp.launching.arguments import takes_value
from mlxp.run_directory.layout import RunDirectory
from mlxp.running.copies import Copy
from mlxp.running.plan_report import PlannedRun
from mlxp.running.submitted_run import CONTAINER_PREFIXES, RUN_VARIABLE
from mlxp.scripts.block_parts import assignment_as_written, block_actions
from mlxp.scripts.job_variables import SUBMIT_DIRECTORIES
from mlxp.scripts.job_words import override_texts, quoted_for_job
from mlxp.scripts.job_words import quoted as quoted  # noqa: PLC0414 - this module's name for it is known, too
from mlxp.scripts.plan import LeftOut, Plan, Step
from mlxp.scripts.plan_step import is_program_of_mlxp
from mlxp.scripts.script import OWN_PATH, Block, Command


class JobWriter:
    """Writes the scripts of the runs of one plan.

    Parameters
    ----------
    plan
        What the script does.
    work_dir
        The directory in which the script was executed in plan mode, and in which the jobs will execute it.
    directive_lines
        Numbers of the lines that hold directives, which go to the head of the script.
    """

    def __init__(self, plan: Plan, work_dir: str, directive_lines: Sequence[int] = ()) -> None:
        self.plan = plan
        self.script = plan.script
        self.work_dir = work_dir
        self.directive_lines = directive_lines
        self.swept = {step.block for step in plan.steps if step.runs and step.block is not None}

    def check(self) -> None:
        """Check that there can be a script for each run.

        Raises
        ------
        ScriptError
            If a run needs something that cannot be written into its script.
        """
        for step in self.plan.steps:
            if step.runs:
                self._body(step, step.runs[0])

    def script_of(self, step: Step, run: PlannedRun, directory: RunDirectory, header: Sequence[str]) -> str:
        """Return the script that does `run`, in `directory`; `header` holds the lines after the first one."""
        prefixes = ["", *(prefix for name, prefix in CONTAINER_PREFIXES.items() if self._mentions(step, name))]
        copy = Copy.known(run.code)
        work_dir = copy.directory(self.work_dir) if copy is not None else self.work_dir
        setting = [f"cd {quoted(work_dir)} || {_end(copy)}"]
        setting += [f"export {prefix}{RUN_VARIABLE}={quoted(str(directory.path))}" for prefix in prefixes]
        setting += [f"export {name}={quoted(work_dir)}" for name in self._submit_directories()]
        if OWN_PATH.encode() in self.script.text:
            setting.append(f"{OWN_PATH}={quoted(_file(self.script.path.absolute(), copy))}")
        if copy is not None:
            setting += [f"export {name}={quoted(value)}" for name, value in copy.variables_of_uv().items()]
        head = [self.script.shebang, *header, "", *setting]
        return "\n".join(head) + "\n" + self._body(step, run)

    def _submit_directories(self) -> list[str]:
        """Return the variables that must name the script's directory, since a job is submitted from its own."""
        names = sorted({name for names in SUBMIT_DIRECTORIES.values() for name in names})
        return [name for name in names if name.encode() in self.script.text and self.plan.variables.values.get(name)]

    def _mentions(self, step: Step, program: str) -> bool:
        return program.encode() in self.script.text or any(program in word for group in step.groups for word in group)

    def _body(self, step: Step, run: PlannedRun) -> str:
        text = self.script.text
        edits = {*self._edits(step, run), *self._without_directives()}  # a pipeline is taken out once
        for start, end, new in sorted(edits, reverse=True):
            text = text[:start] + new.encode(errors="surrogateescape") + text[end:]
        body = text[self.script.body_start :].decode(errors="surrogateescape")
        return body if body.endswith("\n") else body + "\n"

    def _without_directives(self) -> list[tuple[int, int, str]]:
        starts = [0, *(match.end() for match in re.finditer(b"\n", self.script.text)), len(self.script.text)]
        return [(starts[line - 1], starts[line], "") for line in self.directive_lines]

    def _edits(self, step: Step, run: PlannedRun) -> list[tuple[int, int, str]]:
        edits = []
        for number, block in enumerate(self.script.blocks):
            if number == step.block:
                edits.append((block.start, block.end, self._block_text(block, step, run)))
            elif number in self.swept:
                edits.append(_removed(block, self._pipeline_of(step)))
        for number, command in enumerate(self.script.commands):
            if command.block is not None and command.block in self.swept:
                continue
            if number == step.command and step.block is None:
                edits.append((command.start, command.end, self._straight_text(command, step, run)))
            elif self._is_taken_out(number):
                edits.append(_removed(command, self._pipeline_of(step), succeeded=self._has_succeeded(number)))
        return edits

    def _has_succeeded(self, number: int) -> bool:
        # The last time counts, which is what ended a loop like `until COMMAND`.
        return [0, *(step.exit for step in self.plan.steps if step.command == number)][-1] == 0

    def _pipeline_of(self, step: Step) -> tuple[int, int] | None:
        part = self.script.commands[step.command] if step.block is None else self.script.blocks[step.block]
        return part.place.pipeline

    def _is_taken_out(self, number: int) -> bool:
        command = self.script.commands[number]
        steps = [step for step in self.plan.steps if step.command == number]
        if number in self.plan.direct or (steps and all(step.program is None for step in steps)):
            return False
        if not steps:
            # What the plan did not reach may still be needed in the job, except a run that nobody asked for.
            return not command.in_function and command.looks_like_python and self._may_have_runs(command)
        if all(step.runs is None for step in steps):
            is_for_jobs = any(step.left or (step.exit and self.plan.is_after_all_runs(step)) for step in steps)
            return not is_for_jobs and not self.plan.is_part_of_others(number)
        return True

    def _may_have_runs(self, command: Command) -> bool:
        words = [self.script.text_of(word) for word in command.words]
        files = [Path(self.work_dir, word) for word in words if word.endswith(".py")]
        return not files or any(not file.exists() or is_program_of_mlxp(file) for file in files)

    def _straight_text(self, command: Command, step: Step, run: PlannedRun) -> str:
        # A loop that is not in this job may have changed the directory.
        moved = any(self.script.blocks[number].start < command.start for number in self.swept & self.plan.moved)
        change = f"cd {self._quoted(run.work_dir)} && " if moved or run.work_dir != step.cwd else ""
        assignments = self._source(command.start, command.words[0].start)
        words = _command_words(self.plan, step, run, local=frozenset())
        change += "".join(f"{line} && " for line in _python_path(run))
        return change + assignments + " ".join([*words, *self._redirections(command)])

    def _block_text(self, block: Block, step: Step, run: PlannedRun) -> str:
        command = self.script.commands[step.command]
        lines = []
        if os.path.realpath(run.work_dir) != os.path.realpath(self.work_dir):
            lines.append(f"cd {self._quoted(run.work_dir)}")
        exported = {name: value for name, value in step.environment.items() if name.isidentifier()}
        own = [
            self._assignment(name, exported.pop(name), step) for name in sorted(command.assignments & exported.keys())
        ]
        lines += [f"export {self._assignment(name, value, step)}" for name, value in exported.items()]
        before, after = block_actions(self.plan, step)
        lines += [self._left_text(left) for left in before]
        lines += _python_path(run)
        words = _command_words(self.plan, step, run, local=block.assigned)
        lines.append(" ".join([*own, *words]))
        lines += [self._left_text(left) for left in after]
        if block.place.lines is not None or len(lines) == 1:
            return "\n".join(lines)
        return "{ " + "; ".join(lines) + "; }"

    def _quoted(self, word: str) -> str:
        return quoted_for_job(word, self.plan.variables.markers)

    def _left_text(self, left: LeftOut) -> str:
        return " ".join(map(self._quoted, left.words))

    def _assignment(self, name: str, value: str, step: Step) -> str:
        """Return an assignment that a block makes; a command's output, which may be a secret, stays as written."""
        written = assignment_as_written(self.plan, step, name)
        return f"{name}={self._quoted(value)}" if written is None else written

    def _source(self, start: int, end: int) -> str:
        return self.script.text[start:end].decode(errors="surrogateescape")

    def _redirections(self, command: Command) -> list[str]:
        """Return the parts between the command's words that are not words themselves."""
        ends = [word.end for word in command.words]
        starts = [*(word.start for word in command.words[1:]), command.end]
        gaps = [self._source(end, start).replace("\\\n", " ").strip() for end, start in zip(ends, starts, strict=True)]
        return [gap for gap in gaps if gap]


def _removed(part: Command | Block, kept: tuple[int, int] | None, *, succeeded: bool = True) -> tuple[int, int, str]:
    """Return the edit that removes a part, with its redirections and its pipeline unless that is to be `kept`."""
    place, instead = part.place, ":" if succeeded else "false"
    if place.pipeline is not None and place.pipeline == kept:
        return part.start, part.end, instead
    return (*place.lines, "") if place.lines is not None else (place.start, place.end, instead)


def _end(copy: Copy | None) -> str:
    """Return the shell command that ends a job whose directory is not there."""
    if copy is None:
        return "exit 1"
    said = f"mlxp: the copy of the code in {copy.path} is gone; mlxp resubmit makes it again"
    return f"{{ echo {quoted(said)} >&2; exit 1; }}"


def _file(path: Path, copy: Copy | None) -> str:
    moved = copy.moved(str(path)) if copy is not None else str(path)
    return moved if Path(moved).is_file() else str(path)


def _python_path(run: PlannedRun) -> list[str]:
    """Return the line by which Python imports the modules of a copied repository from the copy."""
    copy = Copy.known(run.code)
    if copy is None or not run.python_path:
        return []
    moved = os.pathsep.join(dict.fromkeys(copy.moved(entry) for entry in run.python_path))
    escaped = re.sub(r'([\\"$`])', r"\\\1", moved)
    return [f'export PYTHONPATH="{escaped}${{PYTHONPATH:+:$PYTHONPATH}}"']


def command_line(plan: Plan, step: Step, run: PlannedRun) -> str:
    """Return the command that does `run`, in the form that messages show."""
    return " ".join(_command_words(plan, step, run, local=frozenset()))


def _command_words(plan: Plan, step: Step, run: PlannedRun, local: frozenset[str]) -> list[str]:
    """Return the command's words in shell syntax: launcher, program and flags as written, then the run's overrides.

    A word that needs one of the `local` variables, which have no value in the job, is written in its expanded form.
    """
    command = plan.script.commands[step.command]
    program = step.program or 0
    put_in = functools.partial(quoted_for_job, markers=plan.variables.markers)
    groups, moved = _groups_in_copy(step, run)
    before: list[str] = []
    flags: list[str] = []
    position = 0
    flag_is_open = False
    for number, (word, group) in enumerate(zip(command.words, groups, strict=True)):
        before_arguments = max(0, program + 1 - position)
        own, arguments = group[:before_arguments], group[before_arguments:]
        position += len(group)
        is_verbatim = not (word.variables & local) and number != moved
        if not arguments and (own or position <= program + 1):
            before.append(plan.script.text_of(word) if is_verbatim else " ".join(map(put_in, own)))
            continue
        before += [put_in(part) for part in own]
        kept, flag_is_open = _flags(arguments, flag_is_open)
        if kept:
            whole = is_verbatim and not own and kept == arguments
            flags.append(plan.script.text_of(word) if whole else " ".join(map(put_in, kept)))
    texts = override_texts(plan, step, run)
    return [part for part in [*before, *flags, *(texts[override] for override in run.overrides)] if part]


def _groups_in_copy(step: Step, run: PlannedRun) -> tuple[list[list[str]], int | None]:
    """Return the expanded words with the program as it is in the copy, and the number of the word that was changed."""
    copy, position = Copy.known(run.code), 0
    for number, group in enumerate(step.groups):
        index = (step.program or 0) - position
        position += len(group)
        if copy is not None and 0 <= index < len(group):
            program = copy.program(group[index], step.cwd)
            if program != group[index]:
                changed = [*group[:index], program, *group[index + 1 :]]
                return [*step.groups[:number], changed, *step.groups[number + 1 :]], number
    return step.groups, None


def _flags(arguments: list[str], flag_is_open: bool) -> tuple[list[str], bool]:
    """Return Hydra's options among the program's `arguments`, and whether a value is still to come."""
    kept = []
    for argument in arguments:
        if flag_is_open:
            kept.append(argument)
            flag_is_open = False
        elif argument.startswith("-"):
            if argument not in {"-m", "--multirun"}:
                kept.append(argument)
            flag_is_open = takes_value(argument)
        elif _is_for_hydra(argument):
            kept.append(argument)
    return kept, flag_is_open


def _is_for_hydra(override: str) -> bool:
    # Hydra's mode is set by the submitted run itself, which neither sweeps nor submits.
    key = override.lstrip("+~").partition("=")[0]
    return key.startswith(("hydra.", "hydra/")) and key != "hydra.mode"
