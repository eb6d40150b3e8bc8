"""Prepares the runs of a plan for a scheduler: chooses it, checks its options, and writes directories and scripts.

Everything about a run is on disk before its job is submitted. Afterwards only ``submission.yaml`` is written, and no
job writes to it. A submission that was cut short can be finished from these files.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mlxp.errors import InvalidSchedulerError
from mlxp.jobs.job_options import header_lines, job_name, shell_path, task_variable, tasks_of
from mlxp.jobs.packing import Packing
from mlxp.jobs.scheduler_options import directives_in_force
from mlxp.jobs.submission import Submission
from mlxp.jobs.submitted_code import SubmittedCode
from mlxp.run_directory import yaml_lines
from mlxp.run_directory.batches import default_name
from mlxp.run_directory.files import write_atomically
from mlxp.run_directory.identity import relative_name
from mlxp.run_directory.layout import SWEEPS_DIR, RunDirectory, take_log_id
from mlxp.run_directory.status import Status
from mlxp.running.missing_runs import Wanted
from mlxp.running.recorded_configuration import identity
from mlxp.running.secrets import holds_secret
from mlxp.running.submitted_run import RUN_VARIABLE
from mlxp.scheduler import SCHEDULERS, Scheduler, problem_with, scheduler_named
from mlxp.scripts.job_script import JobWriter, command_line
from mlxp.scripts.job_words import named
from mlxp.scripts.plan import Plan
from mlxp.scripts.python_command import clearing_launcher
from mlxp.scripts.script import Script


def directives_of(script: Script, scheduler: Scheduler) -> list[tuple[int, str]]:
    """Return the numbered lines of a script whose options `scheduler` would obey."""
    return [
        (line, text)
        for line, text in script.comments
        if scheduler.is_directive(text) and (scheduler.directives_anywhere or line < script.first_statement)
    ]


def chosen_scheduler(script: Script, name: str | None = None) -> Scheduler:
    """Return the scheduler that a script is for.

    Parameters
    ----------
    script
        The script; its directives tell which scheduler it is for.
    name
        The name of the scheduler, where the directives do not tell or are for several.

    Raises
    ------
    InvalidSchedulerError
        If it is not clear which scheduler the script is for.
    """
    found = [row for row in SCHEDULERS.values() if directives_of(script, row)]
    if name is not None:
        found = [scheduler_named(name)]
    if not found:
        known = ", ".join(row.directive for row in SCHEDULERS.values())
        raise InvalidSchedulerError(
            f"{script.path} has no options for a scheduler; begin lines at its top with one of {known}, "
            "or name the scheduler with --scheduler"
        )
    usable = [row for row in found if problem_with(row) is None] if len(found) > 1 else found
    if len(usable) != 1:
        names = ", ".join(row.name for row in usable or found)
        raise InvalidSchedulerError(
            f"{script.path} has options for several schedulers; choose one of {names} with --scheduler"
        )
    return usable[0]


class Submitter:
    """Prepares the runs of one plan for one scheduler.

    Parameters
    ----------
    plan
        What the script runs.
    scheduler
        The scheduler to submit to.
    is_frozen
        Whether the jobs run the code of now.
    options
        The words of options for the scheduler that take precedence over the script's; see `checked_options`.
    batch
        The name of the batch that the runs belong to; by default, the date and the id of the first run.

    Attributes
    ----------
    runs
        The runs of the plan, each with the step that it comes from.

    Raises
    ------
    InvalidSchedulerError
        If the script asks for something that a submission cannot do, or if a run's directory would have a path that
        the scheduler does not accept.
    """

    def __init__(
        self,
        plan: Plan,
        scheduler: Scheduler,
        *,
        is_frozen: bool = False,
        options: Sequence[str] = (),
        batch: str | None = None,
    ) -> None:
        self.plan = plan
        self.code = SubmittedCode(is_frozen=is_frozen)
        self.runs = plan.runs
        self.scheduler = scheduler
        self.work_dir = _working_directory()
        self.options = tuple(options)
        self.batch = batch
        written = directives_of(plan.script, scheduler)
        self.directives = directives_in_force(written, scheduler, self.options)
        self.writer = JobWriter(plan, self.work_dir, [line for line, _ in written])
        self.notes = [*plan.notes, *self._check_directives()]
        self.writer.check()
        self._check_launchers()
        for parent in self.parents:
            check_path(scheduler, parent)

    @property
    def parents(self) -> list[Path]:
        """The directories that hold the runs' directories."""
        return list(dict.fromkeys(Path(run.parent_log_dir) for _, run in self.plan.runs))

    @property
    def digest(self) -> str:
        """A digest that distinguishes this submission from others of the same script."""
        lines = [self.work_dir, self.scheduler.name, *(command_line(self.plan, *part) for part in self.plan.runs)]
        lines += [*self.options, *([self.batch] if self.batch else [])]
        lines += [identity(run.config, run.late) for _, run in self.plan.runs]
        return hashlib.sha256("\0".join(lines).encode(errors="surrogateescape") + self.plan.script.text).hexdigest()

    def _check_directives(self) -> Iterator[str]:
        files = {"name": "the name", "stdout": "log.stdout", "stderr": "log.stderr"}
        for line, text in self.directives:
            options = text[len(self.scheduler.directive) :]
            what_to_do = self._instead_of(options)
            if what_to_do is not None:
                raise InvalidSchedulerError(f"{self.plan.script.path}, line {line}: {text}: {what_to_do}")
            for what, name in files.items():
                if self.scheduler.own_options[what].search(options):
                    yield f"line {line}: {text}: has no effect, since MLXP sets {name} of each run"

    def _instead_of(self, options: str) -> str | None:
        """Return advice on what to use instead of options that a script cannot have; None if there are none."""
        found = self.scheduler.own_options["array"].search(options)
        if found is not None:
            advice = "remove the line, and submit with --array for an array of all runs"
            variable = task_variable(self.scheduler)
            if variable is None or variable.encode() not in self.plan.script.text:
                return f"every task would do the same run; {advice}"
            tasks = tasks_of(options[found.start() :])
            return (
                f"MLXP makes arrays itself; put the command into a loop, `for {variable} in {tasks}; do ...; done`, "
                f"{advice}"
            )
        directory = self.scheduler.own_options.get("directory")
        if directory is not None and (found := directory.search(options)):
            place = options[found.end() :].lstrip(" =").split()
            change = f"cd {place[0] if place else 'DIRECTORY'}"
            return f"jobs begin where you submit; write `{change}` as the script's first command instead"
        return None

    def _check_launchers(self) -> None:
        for step in {step.command: step for step, _ in self.plan.runs}.values():
            words = [word for group in step.groups for word in group]
            clearing = clearing_launcher(words[: step.program], RUN_VARIABLE)
            if clearing is not None:
                command = self.plan.script.commands[step.command]
                raise InvalidSchedulerError(
                    f"{self.plan.script.path}, line {command.line}: {clearing[0]} hides the environment from the run, "
                    f"which could not find its directory; add {clearing[1]} to its options"
                )

    def script_for(self, number: int, directory: RunDirectory) -> str:
        """Return the text of the script of the run with this `number` in `directory`."""
        step, run = self.runs[number]
        files = directory.stdout, directory.stderr
        own = header_lines(self.scheduler, job_name(directory), *files, shell=self.shell)
        return self.writer.script_of(step, run, directory, [*own, *(text for _, text in self.directives)])

    @property
    def shell(self) -> str:
        """The path of the shell that the script is written for."""
        return shell_path(self.plan.script.interpreter)

    def wanted(self, number: int) -> Wanted:
        """Return what makes the run with this `number` the same as another."""
        _, run = self.plan.runs[number]
        config = yaml_lines.load(run.config) or {}
        return Wanted.of(run.parent_log_dir, run.program, config, run.identity, [*run.late, *run.secret])

    def overrides(self, number: int) -> list[str]:
        """Return the overrides of the run with this `number`, in a form for people to read."""
        return [named(one, self.plan.variables.markers) for one in self.plan.runs[number][1].overrides]

    def record_code(self, earlier: Mapping[int, Submission]) -> None:
        """Record the code of all runs, and make the copies that jobs start in; `earlier` are submitted already."""
        for number, submission in earlier.items():
            self.code.remember(self.runs[number][1], submission)
        self.runs = [(step, self.code.recorded(run)) for step, run in self.runs]

    def preview_code(self) -> list[str]:
        """Do the same without making anything, and return lines that say what is frozen."""
        lines: list[str] = []
        previews = [(step, *self.code.preview(run)) for step, run in self.runs]
        for _, _, found in previews:
            lines += [] if found == lines[-len(found) :] else found
        self.runs = [(step, run) for step, run, _ in previews]
        return lines

    def prepare(self, number: int, call: str, batch: str | None, packing: Packing) -> Submission:
        """Create the directory of the run with this `number`, with all its files, and return its submission.

        The directory is made in the folder of the `call` and gets its name at the end, so it is never seen half-made.
        A `batch` without a name is named after its first run.
        """
        step, run = self.runs[number]
        parent = Path(run.parent_log_dir)
        directory = RunDirectory(parent / str(take_log_id(parent)))
        made = RunDirectory(parent / SWEEPS_DIR / call / f".{directory.log_id}")
        made.metadata.mkdir(parents=True)
        write_atomically(made.config_file, run.config)
        script = self.script_for(number, directory)
        write_atomically(made.script, script)
        # Whoever may read it may execute it; where it holds a secret that the job needs, only its owner.
        mode = made.script.stat().st_mode
        made.script.chmod(0o700 if holds_secret(script) else mode | (mode & 0o444) >> 2)
        content = {
            "status": Status.PREPARED,
            "scheduler": self.scheduler.name,
            "scheduler_job_id": None,
            "attempt": 1,
            "run": command_line(self.plan, step, run),
            "overrides": self.overrides(number),
            "shell": self.shell,
            "version_manager": run.version_manager,
            "code": run.code,
            "batch": self.batch or run.batch or batch or default_name(directory.log_id),
            "call": call,
            "number": number,
            "packing": packing.to_dict(),
            **({"options": list(self.options)} if self.options else {}),
            **({"requeue": run.requeue} if run.requeue else {}),
            **({"late": run.late} if run.late else {}),
            **({"program": relative_name(run.program, run.parent_log_dir)} if run.program else {}),
            **({"identity": {"version": version}} if (version := run.identity.get("version")) is not None else {}),
        }
        Submission(made, content).write()
        made.path.rename(directory.path)
        return Submission(directory, content)


def check_path(scheduler: Scheduler, path: Path) -> None:
    """Check that `scheduler` can write to files in `path`.

    Raises
    ------
    InvalidSchedulerError
        If the path has a character that the scheduler does not accept.
    """
    found = scheduler.refused_in_paths.search(str(path))
    if found is not None:
        raise InvalidSchedulerError(
            f"{scheduler.name} cannot write to a path with the character {found.group()!r}: {path}; "
            "set mlxp.logger.parent_log_dir to another directory"
        )


def _working_directory() -> str:
    # The shell's name for it, where that is the same directory: users see a path through its symbolic links.
    logical = os.environ.get("PWD", "")
    current = str(Path.cwd())
    return logical if logical and os.path.realpath(logical) == os.path.realpath(current) else current
