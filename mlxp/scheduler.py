"""The job schedulers: how each one spells what all of them can do.

A scheduler is a row of a table. A user's own is another row, added by `register`. What the rows say was found on real
ones, or in the documentation that a comment names; running their commands is left to submission.py and job_state.py.
"""

import importlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlxp import job_state
from mlxp.errors import InvalidSchedulerError
from mlxp.job_state import JobState

__all__ = ["SCHEDULERS", "Array", "Name", "Scheduler", "import_plugin", "register", "scheduler_named"]


@dataclass(frozen=True, slots=True)
class Name:
    """What a scheduler accepts as the name of a job."""

    refused: re.Pattern[str] = re.compile(r"(?!)")
    length: int = 100
    starts_with_letter: bool = False

    def adapted(self, name: str) -> str:
        """Return the accepted name that is most like `name`.

        Examples
        --------
        >>> Name(refused=re.compile("[^a-z0-9]"), length=8, starts_with_letter=True).adapted("2024/long/12")
        'long-12'
        """
        prefix, _, last = name.rpartition("/")
        room = self.length - len(last) - 1
        prefix = prefix[-room:] if room > 0 else ""
        adapted = self.refused.sub("-", f"{prefix}/{last}" if prefix else last)
        if self.starts_with_letter and not (adapted[:1].isascii() and adapted[:1].isalpha()):
            letters = re.search(r"[A-Za-z].*", adapted)
            adapted = letters.group() if letters else f"mlxp-{adapted}"
        return adapted[-self.length :]


@dataclass(frozen=True, slots=True)
class Array:
    """How a scheduler runs one script as many tasks.

    Attributes
    ----------
    option
        The option of the submission; ``{first}`` and ``{last}`` are the numbers of its tasks, ``{limit}`` is what
        `limit` makes of the number that may run at once.
    limit
        Added where a number of tasks at once is given.
    task_variable
        The environment variable in which a task finds its number.
    task_id
        The id of one task, from the array's.
    names
        What is accepted as its name, where that differs from what is accepted as a job's.
    first
        The number of the first task.
    largest
        How many tasks one array may have, where the site does not say; `largest_command` asks it.
    largest_is_excluded
        Whether the number that the site says is one more than the largest number of a task.
    """

    option: tuple[str, ...]
    limit: str
    task_variable: str
    task_id: str
    names: Name | None = None
    first: int = 1
    largest: int = 1000
    largest_is_excluded: bool = False
    largest_command: tuple[str, ...] = ()
    largest_pattern: re.Pattern[str] = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True)
class Scheduler:
    """How one batch system spells what every batch system can do.

    Attributes
    ----------
    name, directive
        What it is called, and what an option's line in a script begins with.
    submit
        The command that submits a script. In its words, ``{name}``, ``{stdout}``, ``{stderr}``, ``{directory}`` (of
        the run) and ``{shell}`` are filled in; the script follows, or is its standard input.
    header
        The same three options as lines of the script.
    job_id
        Finds the id in what `submit` prints.
    own_options
        The options by which a script would set what MLXP sets, by what they set: ``name``, ``stdout``, ``stderr``; and
        ``array``, which a script cannot have.
    identify, identity
        A command whose output must match, where several systems share the name of a command.
    refused_in_paths
        Characters that a run's directory cannot have.
    state
        Asks for the states of jobs, by their ids; see job_state.py. None if the scheduler cannot be asked.
    cancel
        The command that ends the jobs whose ids follow; none if there is none.
    restarts_as_another_job
        Whether a job that is started again gets another id, so that only `state` tells which job is to be cancelled.
    job_variable
        The environment variable in which a job finds its id.
    """

    name: str
    directive: str
    submit: tuple[str, ...]
    header: tuple[str, ...]
    job_id: re.Pattern[str]
    own_options: dict[str, re.Pattern[str]]
    names: Name = field(default_factory=Name)
    script_is_input: bool = False
    directives_anywhere: bool = True
    quotes_in_header: bool = True
    identify: tuple[str, ...] = ()
    identity: re.Pattern[str] = re.compile("")
    identity_error: str = ""
    refused_in_paths: re.Pattern[str] = re.compile(r"(?!)")
    escaped_in_output: tuple[tuple[str, str], ...] = ()
    state: Callable[[Sequence[str]], dict[str, JobState]] | None = None
    cancel: tuple[str, ...] = ()
    restarts_as_another_job: bool = False
    job_variable: str = ""
    array: Array | None = None

    @property
    def command(self) -> str:
        """The program that submits."""
        return self.submit[0]

    def is_directive(self, line: str) -> bool:
        """Tell whether a line of a script holds an option of this scheduler.

        Examples
        --------
        >>> [SCHEDULERS["SGE"].is_directive(line) for line in ("#$ -l gpu=1", "#$HOME is not one", "# $ -l gpu=1")]
        [True, False, False]
        """
        if not line.startswith(self.directive):
            return False
        return re.match(r"\s+-|-" if self.directive == "#$" else r"\s", line[len(self.directive) :]) is not None


# Grid Engine: sge_types(5), and what 8.1.9 refused. PBS: OpenPBS allows letters, digits and -_+ after a letter; old
# versions of Torque take 15 characters.
_SGE_NAME = Name(re.compile(r"[^\w.+=-]", re.ASCII), 200, starts_with_letter=True)
_PBS_NAME = Name(re.compile(r"[^A-Za-z0-9_-]"), 15, starts_with_letter=True)
# Asked for its version, PBS tells it, and Grid Engine complains; Grid Engine's -help would make PBS submit a job.
_ASK_VERSION = ("qsub", "--version")
_NOT_OF_PBS = re.compile(r"\A(?![\s\S]*(?:pbs_version|^Version:))", re.MULTILINE)
_NOT_OF_GRID_ENGINE = re.compile(r"\A(?![\s\S]*invalid option argument)")
_NO_LINE_BREAK = r"\n\r"


def _option(*spellings: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|\s)(?:{'|'.join(spellings)})")


SLURM = Scheduler(
    name="SLURM",
    directive="#SBATCH",
    # Slurm also obeys lines of other schedulers, unless it is told not to.
    submit=(
        "sbatch",
        "--parsable",
        "--ignore-pbs",
        "--job-name={name}",
        "--output={stdout}",
        "--error={stderr}",
        "--open-mode=append",
    ),
    header=("--job-name={name}", "--error={stderr}", "--output={stdout}"),
    job_id=re.compile(r"^(?:Submitted batch job )?(\d+)(?:;.*)?$", re.MULTILINE),
    own_options={
        "name": _option("-J", "--job-name"),
        "stdout": _option("-o", "--output"),
        "stderr": _option("-e", "--error"),
        "array": _option("-a", "--array"),
    },
    names=Name(re.compile(r"[\n\r]"), 200),
    directives_anywhere=False,
    # A backslash switches the patterns off and then is a part of the path; jobs with one did not start.
    refused_in_paths=re.compile(rf"[\\{_NO_LINE_BREAK}]"),
    escaped_in_output=(("%", "%%"),),
    state=job_state.slurm,
    cancel=("scancel",),
    job_variable="SLURM_JOB_ID",
    array=Array(
        option=("--array={first}-{last}{limit}",),
        limit="%{at_once}",
        task_variable="SLURM_ARRAY_TASK_ID",
        task_id="{id}_{task}",
        largest_command=("scontrol", "show", "config"),
        largest_is_excluded=True,
        largest_pattern=re.compile(r"^MaxArraySize\s*=\s*(\d+)", re.MULTILINE),
    ),
)

SGE = Scheduler(
    name="SGE",
    directive="#$",
    submit=(
        "qsub",
        "-terse",
        "-N",
        "{name}",
        "-o",
        ":{stdout}",
        "-e",
        ":{stderr}",
        "-j",
        "n",
        "-wd",
        "{directory}",
        # By default Grid Engine ignores the first line of a script.
        "-S",
        "{shell}",
    ),
    header=("-N {name}", "-e :{stderr}", "-o :{stdout}", "-S {shell}"),
    job_id=re.compile(r"^(?:Your job(?:-array)? )?(\d+)", re.MULTILINE),
    own_options={
        "name": _option(r"-N\s"),
        "stdout": _option(r"-o\s"),
        "stderr": _option(r"-e\s"),
        "array": _option(r"-t\s"),
    },
    names=_SGE_NAME,
    identify=_ASK_VERSION,
    identity=_NOT_OF_PBS,
    identity_error="the qsub on PATH is not Grid Engine's, which '#$' lines are for",
    # $USER and the like are expanded in paths, and a comma separates them.
    refused_in_paths=re.compile(rf"[,${_NO_LINE_BREAK}]"),
    state=job_state.grid_engine,
    cancel=("qdel",),
    job_variable="JOB_ID",
    array=Array(
        option=("-t", "{first}-{last}", "{limit}"),
        limit="-tc {at_once}",
        task_variable="SGE_TASK_ID",
        task_id="{id}.{task}",
        largest_command=("qconf", "-sconf"),
        largest_pattern=re.compile(r"^max_aj_tasks\s+(\d+)", re.MULTILINE),
    ),
)

OAR = Scheduler(
    name="OAR",
    directive="#OAR",
    submit=("oarsub", "-S", "-n", "{name}", "-O", "{stdout}", "-E", "{stderr}"),
    header=("-n {name}", "-E {stderr}", "-O {stdout}"),
    job_id=re.compile(r"^OAR_JOB_ID=(\d+)", re.MULTILINE),
    own_options={
        "name": _option(r"-n\s", "--name"),
        "stdout": _option(r"-O\s", "--stdout"),
        "stderr": _option(r"-E\s", "--stderr"),
        "array": _option("--array"),
    },
    names=Name(re.compile(rf"['\"{_NO_LINE_BREAK}]"), 100),
    # The rest of a line is one option's value, as it is.
    quotes_in_header=False,
    refused_in_paths=re.compile(r"[^A-Za-z0-9_./ -]"),
    state=job_state.oar,
    cancel=("oardel",),
    restarts_as_another_job=True,
    job_variable="OAR_JOB_ID",
    array=Array(
        option=("--array-param-file", "{parameters}"),
        limit="",
        # Each job of the array has an id of its own, and gets its number as an argument.
        task_variable="1",
        task_id="",
    ),
)

PBS = Scheduler(
    name="PBS",
    directive="#PBS",
    submit=("qsub", "-N", "{name}", "-o", "{stdout}", "-e", "{stderr}", "-j", "n", "-S", "{shell}"),
    header=("-N {name}", "-e {stderr}", "-o {stdout}", "-S {shell}"),
    job_id=re.compile(r"^(\d+(?:\[\])?(?:\.[\w.-]+)?)$", re.MULTILINE),
    own_options={
        "name": _option("-N"),
        "stdout": _option("-o"),
        "stderr": _option("-e"),
        "array": _option(r"-t\s*\d", r"-J\s*\d"),
    },
    names=_PBS_NAME,
    directives_anywhere=False,
    identify=_ASK_VERSION,
    identity=_NOT_OF_GRID_ENGINE,
    identity_error="the qsub on PATH is Grid Engine's, which silently ignores '#PBS' lines",
    # A colon ends the name of a host.
    refused_in_paths=re.compile(rf"[:,{_NO_LINE_BREAK}]"),
    state=job_state.pbs,
    cancel=("qdel",),
    job_variable="PBS_JOBID",
)

MWM = Scheduler(
    name="MWM",
    directive="#MSUB",
    submit=("msub", "-N", "{name}", "-o", "{stdout}", "-e", "{stderr}", "-j", "n", "-S", "{shell}"),
    header=("-N {name}", "-e {stderr}", "-o {stdout}", "-S {shell}"),
    # The id stands between empty lines.
    job_id=re.compile(r"^\s*([A-Za-z]\w*\.\d+|\d+(?:\[\])?(?:\.[\w.-]+)?)\s*$", re.MULTILINE),
    own_options={
        "name": _option("-N"),
        "stdout": _option("-o"),
        "stderr": _option("-e"),
        "array": _option("-t"),
    },
    names=_PBS_NAME,
    directives_anywhere=False,
    refused_in_paths=re.compile(rf"[:,{_NO_LINE_BREAK}]"),
    state=job_state.moab,
    cancel=("mjobctl", "-c"),
    job_variable="MOAB_JOBID",
)

LSF = Scheduler(
    name="LSF",
    directive="#BSUB",
    submit=("bsub", "-J", "{name}", "-o", "{stdout}", "-e", "{stderr}", "-cwd", "{directory}"),
    header=("-J {name}", "-e {stderr}", "-o {stdout}"),
    job_id=re.compile(r"^Job <(\d+)> is submitted", re.MULTILINE),
    own_options={
        "name": _option("-J"),
        "stdout": _option(r"-oo?\s"),
        "stderr": _option(r"-eo?\s"),
        "array": _option(r"""-J\s*["']?[^\s"']*\["""),
    },
    names=Name(re.compile(rf"[\[\]{_NO_LINE_BREAK}]"), 255),
    # bsub reads the options in a script only where the script is its standard input.
    script_is_input=True,
    refused_in_paths=re.compile(rf"[{_NO_LINE_BREAK}]"),
    escaped_in_output=(("%", "%%"),),
    state=job_state.lsf,
    cancel=("bkill",),
    job_variable="LSB_JOBID",
    array=Array(
        option=("-J", "{name}[{first}-{last}]{limit}"),
        limit="%{at_once}",
        task_variable="LSB_JOBINDEX",
        task_id="{id}[{task}]",
        names=Name(re.compile(r"[^A-Za-z0-9._-]"), 255),
    ),
)

SCHEDULERS: dict[str, Scheduler] = {row.name: row for row in (SLURM, OAR, PBS, SGE, MWM, LSF)}
"""The known schedulers by name."""


def register(scheduler: Scheduler) -> None:
    """Make another scheduler known, or replace one of the same name; in a module that ``--plugin`` imports."""
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
    """Return the scheduler of that name; ``#SBATCH`` and ``SLURMScheduler``, as MLXP 1 called it, are also names.

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
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout + answer.stderr
