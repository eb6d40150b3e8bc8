"""Makes the directories of planned runs, writes their scripts, and hands them to a scheduler.

Everything about a run is on disk before its job is submitted; afterwards only ``submission.yaml`` is written, which no
job writes. A submission that is cut short can be finished from there.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mlxp.errors import InvalidSchedulerError, JobSubmissionError
from mlxp.programs import ProgramError, run_program
from mlxp.run_directory.files import write_atomically, write_yaml
from mlxp.run_directory.layout import RunDirectory, create_run_directory
from mlxp.run_directory.status import Status
from mlxp.running.submitted_run import VARIABLE as RUN_VARIABLE
from mlxp.scheduler import SCHEDULERS, Scheduler, problem_with, scheduler_named
from mlxp.scripts.job_script import JobWriter, command_line, quoted
from mlxp.scripts.plan import Plan
from mlxp.scripts.python_command import clearing_launcher
from mlxp.scripts.script import Script

_SECONDS = 300.0
"""How long a scheduler may take to accept or to cancel a job; a busy one takes a minute."""


@dataclass
class Submission:
    """A submitted run, or one to be submitted: its directory and the content of its submission.yaml."""

    directory: RunDirectory
    content: dict[str, Any]

    @classmethod
    def of(cls, directory: RunDirectory) -> "Submission | None":
        """Return the submission that is on disk; None if there is none, or none that can be understood."""
        content = directory.submission()
        return cls(directory, content) if content else None

    @property
    def status(self) -> Status:
        """PREPARED, SUBMITTED or REFUSED."""
        return Status(self.content["status"])

    @property
    def job_id(self) -> str | None:
        """The scheduler's id of the job; None as long as it is not known."""
        return self.content.get("scheduler_job_id")

    @property
    def attempt(self) -> int:
        """How often it was submitted."""
        return int(self.content.get("attempt") or 1)

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler that the run was, or is to be, submitted to."""
        return scheduler_named(str(self.content["scheduler"]))

    def write(self, **changes: Any) -> None:
        """Replace the file on disk after these `changes`."""
        self.content |= changes
        write_yaml(self.directory.submission_file, self.content)


def directives_of(script: Script, scheduler: Scheduler) -> list[tuple[int, str]]:
    """Return the lines with options of `scheduler`, each with its number: those that it would obey."""
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
        Its directives tell which one.
    name
        The name of the scheduler, where they do not, or where they are for several.

    Raises
    ------
    InvalidSchedulerError
        If it is not clear which one.
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
        What to submit to.

    Raises
    ------
    InvalidSchedulerError
        If the script says what a submission cannot follow, or if a run's directory would have a path that the
        scheduler cannot take.
    """

    def __init__(self, plan: Plan, scheduler: Scheduler) -> None:
        self.plan = plan
        self.scheduler = scheduler
        self.work_dir = _working_directory()
        self.directives = directives_of(plan.script, scheduler)
        self.writer = JobWriter(plan, self.work_dir, [line for line, _ in self.directives])
        self.notes = [*plan.notes, *self._check_directives()]
        self._check_launchers()
        for parent in self.parents:
            check_path(scheduler, parent)

    @property
    def parents(self) -> list[Path]:
        """The directories that the runs' directories are in."""
        return list(dict.fromkeys(Path(run.parent_log_dir) for _, run in self.plan.runs))

    @property
    def digest(self) -> str:
        """What tells this submission from another one of the same script."""
        lines = [self.work_dir, self.scheduler.name, *(command_line(self.plan, *part) for part in self.plan.runs)]
        return hashlib.sha256("\0".join(lines).encode(errors="surrogateescape") + self.plan.script.text).hexdigest()

    def _check_directives(self) -> Iterator[str]:
        files = {"name": "the name", "stdout": "log.stdout", "stderr": "log.stderr"}
        for line, text in self.directives:
            options = text[len(self.scheduler.directive) :]
            if self.scheduler.own_options["array"].search(options):
                raise InvalidSchedulerError(
                    f"{self.plan.script.path}, line {line}: {text}: every task would do the same run; "
                    "remove the line, and submit with --array for an array of all runs"
                )
            for what, name in files.items():
                if self.scheduler.own_options[what].search(options):
                    yield f"line {line}: {text}: has no effect, since MLXP sets {name} of each run"

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
        step, run = self.plan.runs[number]
        name, files = job_name(directory), (directory.stdout, directory.stderr)
        return self.writer.script_of(step, run, directory, self.header(name, *files))

    def header(self, name: str, stdout: Path, stderr: Path) -> list[str]:
        """Return the lines with the options of a job: MLXP's, then the user's."""
        values = _values(self.scheduler, name, stdout, stderr, shell=self.shell)
        if self.scheduler.quotes_in_header:
            values = {key: quoted(value) for key, value in values.items()}
        own = [f"{self.scheduler.directive} {filled(option, values)}" for option in self.scheduler.header]
        return [*own, *(text for _, text in self.directives)]

    @property
    def shell(self) -> str:
        """The path of the shell that the script is written for."""
        return shell_path(self.plan.script.interpreter)

    def prepare(self, number: int, batch: str) -> Submission:
        """Create the directory of the run with this `number`, write what is in it, and return its submission."""
        step, run = self.plan.runs[number]
        directory = create_run_directory(Path(run.parent_log_dir))
        directory.metadata.mkdir()
        write_atomically(directory.config_file, run.config)
        write_atomically(directory.script, self.script_for(number, directory))
        directory.script.chmod(0o755)
        submission = Submission(directory, {})
        submission.write(
            status=Status.PREPARED,
            scheduler=self.scheduler.name,
            scheduler_job_id=None,
            attempt=1,
            run=command_line(self.plan, step, run),
            overrides=run.overrides,
            shell=self.shell,
            version_manager=run.version_manager,
            batch=batch,
            number=number,
        )
        return submission


def submit(submission: Submission) -> None:
    """Hand the run's script to its scheduler and record the answer.

    Raises
    ------
    JobSubmissionError
        If the scheduler does not accept the job; that is recorded, too.
    """
    directory = submission.directory
    command = submission_command(
        submission.scheduler, job_name(directory), directory.stdout, directory.stderr, shell=submission.content["shell"]
    )
    try:
        ids = job_ids(submission.scheduler, command, directory.script)
    except JobSubmissionError as error:
        submission.write(status=Status.REFUSED, error=str(error), command=command, submitted_at=now())
        raise
    submission.write(status=Status.SUBMITTED, scheduler_job_id=ids[0], error=None, command=command, submitted_at=now())


def resubmit(submission: Submission) -> None:
    """Submit a run again, in its directory; what its last attempt printed is kept beside, as ``log.stdout.1``.

    Raises
    ------
    JobSubmissionError
        If the scheduler does not accept the job.
    """
    if submission.status is Status.SUBMITTED:
        content = submission.content
        attempt = submission.attempt
        for file in (submission.directory.stdout, submission.directory.stderr):
            if file.exists():
                file.rename(file.with_name(f"{file.name}.{attempt}"))
        facts = {name: content.get(name) for name in ("scheduler_job_id", "submitted_at")}
        earlier = [*(content.get("earlier") or []), {"attempt": attempt, **facts}]
        # The program counts its attempts itself, those that the scheduler started again included.
        begun = submission.directory.info().get("attempt") or attempt
        submission.write(
            status=Status.PREPARED,
            scheduler_job_id=None,
            attempt=max(attempt, begun) + 1,
            earlier=earlier,
            cancelled_at=None,
            stderr=None,
        )
    submit(submission)


def cancel(scheduler: Scheduler, submissions: Sequence[Submission], job_ids: Iterable[str]) -> str | None:
    """Cancel the jobs of runs, and return what the scheduler says against it, if anything."""
    jobs = dict.fromkeys(job_ids)
    if not scheduler.cancel:
        return f"{scheduler.name} has no command that cancels jobs"
    try:
        answer = run_program([*scheduler.cancel, *jobs], seconds=_SECONDS)
    except ProgramError as error:
        return str(error)
    if answer.code:
        return answer.complaint
    for one in submissions:
        # Grid Engine keeps no record of a job that never started.
        one.write(cancelled_at=now())
    return None


def submission_command(  # noqa: PLR0913 - what a job is given
    scheduler: Scheduler, name: str, stdout: Path, stderr: Path, *, shell: str, extra: Sequence[str] = ()
) -> list[str]:
    """Return the words of the command that submits a script; `extra` options replace those of the same name."""
    values = _values(scheduler, name, stdout, stderr, shell)
    words = list(scheduler.submit)
    if extra and extra[0] in words:
        position = words.index(extra[0])
        del words[position : position + 2]
    return [filled(word, values) for word in [*words, *extra]]


def job_ids(scheduler: Scheduler, command: Sequence[str], script: Path) -> list[str]:
    """Run a submission command on `script`, from its directory, and return the ids that the scheduler gave.

    Raises
    ------
    JobSubmissionError
        If the command fails, or if there is no id in its answer.
    """
    # Relative, since not every scheduler can take a path with spaces.
    words = list(command) if scheduler.script_is_input else [*command, f"./{script.name}"]
    given = script.read_bytes() if scheduler.script_is_input else None
    environment = _environment(script.parent)
    try:
        answer = run_program(words, seconds=_SECONDS, directory=script.parent, environment=environment, given=given)
    except ProgramError as error:
        raise JobSubmissionError(str(error)) from error
    ids = scheduler.job_id.findall(answer.output)
    if answer.code != 0 or not ids:
        raise JobSubmissionError(answer.complaint)
    return ids


def _environment(directory: Path) -> dict[str, str]:
    # A job that inherits the environment must not take itself for another run, nor plan. OAR believes PWD.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MLXP_")}
    return {**inherited, "PWD": str(directory)}


def _values(scheduler: Scheduler, name: str, stdout: Path, stderr: Path, shell: str) -> dict[str, str]:
    """Return what stands for the ``{names}`` in the options of a job."""
    files = {"stdout": str(stdout), "stderr": str(stderr)}
    for plain, escaped in scheduler.escaped_in_output:
        files = {key: path.replace(plain, escaped) for key, path in files.items()}
    return {"name": scheduler.names.adapted(name), **files, "shell": shell, "directory": str(stdout.parent)}


def filled(text: str, values: dict[str, str]) -> str:
    """Return `text` with its ``{names}`` replaced; other braces stay.

    Examples
    --------
    >>> filled("--output={stdout}", {"stdout": "/logs/{1}/log.stdout"})
    '--output=/logs/{1}/log.stdout'
    """
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), text)


def job_name(directory: RunDirectory) -> str:
    """Return what a run's job is called where the scheduler allows it: ``logs/1``."""
    return f"{directory.path.parent.name}/{directory.path.name}"


def shell_path(interpreter: Sequence[str]) -> str:
    """Return the path of the shell that a script is written for, without ``env`` and options."""
    word = next((word for word in interpreter if Path(word).name not in {"env", "-S"}), "/bin/bash")
    return shutil.which(word) or word


def check_path(scheduler: Scheduler, path: Path) -> None:
    """Check that `scheduler` can write to files in `path`.

    Raises
    ------
    InvalidSchedulerError
        If there is a character in it that it cannot take.
    """
    found = scheduler.refused_in_paths.search(str(path))
    if found is not None:
        raise InvalidSchedulerError(
            f"{scheduler.name} cannot write to a path with the character {found.group()!r}: {path}; "
            "set mlxp.logger.parent_log_dir to another directory"
        )


def _working_directory() -> str:
    # As the shell calls it, where that is the same directory: a symbolic link is how users see a path.
    logical = os.environ.get("PWD", "")
    current = str(Path.cwd())
    return logical if logical and os.path.realpath(logical) == os.path.realpath(current) else current


def now() -> str:
    """Return the time, with its zone."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
