"""The building blocks of every scheduler's file: the types of a row, and what several schedulers share."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mlxp.job_state import JobState, Phase, Search
from mlxp.programs import Answer, ProgramError, run_program

_SECONDS = 60
SIGNALLED = 128


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
        The option of the submission; ``{first}`` and ``{last}`` are the numbers of its tasks, and ``{limit}`` is
        `limit`, filled in with the number of tasks that may run at once.
    limit
        Added where the number of tasks that may run at once is given.
    task_variable
        The environment variable in which a task finds its number; none if `task_is_argument`.
    task_is_argument
        Whether a task gets its number as the first argument of the script, from a file of numbers.
    replaces
        The option of a submission, with its value, that `option` replaces.
    task_id
        The id of one task, made from the array's id.
    id_variable
        The environment variable in which a task finds the array's id, where it differs from the variable of a job.
    names
        What is accepted as the array's name, where that differs from a job's.
    first
        The number of the first task.
    largest
        How many tasks one array may have, unless the site says otherwise; `largest_command` asks the site.
    largest_is_excluded
        Whether the number that the site says is one more than the largest number of a task.
    """

    option: tuple[str, ...]
    limit: str
    task_variable: str
    task_id: str
    names: Name | None = None
    id_variable: str = ""
    task_is_argument: bool = False
    replaces: str = ""
    first: int = 1
    largest: int = 1000
    largest_is_excluded: bool = False
    largest_command: tuple[str, ...] = ()
    largest_pattern: re.Pattern[str] = re.compile(r"(?!)")

    def tasks(self, number: int) -> range:
        """Return the task numbers of an array with this number of tasks.

        Examples
        --------
        >>> list(Array(("-t", "{first}-{last}"), "", "TASK", "{id}.{task}", first=0).tasks(3))
        [0, 1, 2]
        """
        return range(self.first, self.first + number)


@dataclass(frozen=True, slots=True)
class Scheduler:
    """How one batch system expresses what every batch system can do.

    Attributes
    ----------
    name, directive
        The scheduler's name, and what a line with options in a script begins with.
    submit
        The command that submits a script. In its words, ``{name}``, ``{stdout}``, ``{stderr}``, ``{directory}`` (of
        the run) and ``{shell}`` are filled in; the script follows, or is its standard input.
    header
        The same three options as lines of the script.
    job_id
        Finds the id in what `submit` prints.
    own_options
        The options by which a script would set what MLXP sets, keyed by what they set: ``name``, ``stdout``,
        ``stderr``; and ``array`` and ``directory``, which a script cannot have.
    identify, identity
        A command whose output must match, where several systems share the name of a command.
    refused_in_paths
        Characters that the path of a run's directory cannot contain.
    state
        Asks for the states of jobs, by their ids; see `JobState`. None if the scheduler cannot be asked.
    cancel
        The command that ends the jobs whose ids follow; empty if there is no such command.
    restarts_as_another_job
        Whether a restarted job gets another id, so that only `state` tells which job to cancel.
    job_variable, name_variable
        The environment variables in which a job finds its id and its name.
    find
        Looks for jobs by part of their name and the seconds since they were submitted; see `Search`. None if there is
        no way to look for them.
    most_option_values
        How many words may follow an option as its values.
    command_line_replaces
        Options of a script, with their values, that are left out of it where the command line has an option that the
        same pattern matches, since the scheduler would combine the two, or refuse both.
    put_back, put_back_options
        The shell commands by which a job puts itself back into the queue, at its end, and the options that it needs for
        that. Without such commands, the job submits another one.
    warn
        The command that sends a warning to the job whose id follows; empty if there is no such command.
    settles
        Seconds after which a submitted job is certain to be found, whatever happened to the command that submitted it.
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
    name_variable: str = ""
    find: Callable[[str, float], Search] | None = None
    put_back: str = ""
    put_back_options: tuple[str, ...] = ()
    warn: tuple[str, ...] = ()
    settles: float = 60.0
    most_option_values: int = 1
    command_line_replaces: tuple[re.Pattern[str], ...] = ()
    array: Array | None = None

    @property
    def command(self) -> str:
        """The program that submits jobs."""
        return self.submit[0]

    def own_job_id(self, environment: Mapping[str, str]) -> str | None:
        """Return the id of the job that a process with this environment runs in; None if it runs in none.

        Examples
        --------
        >>> from mlxp.schedulers.slurm import SLURM
        >>> SLURM.own_job_id({"SLURM_JOB_ID": "14", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3"})
        '12_3'
        """
        job = environment.get(self.job_variable) or None
        if job is None or self.array is None or not self.array.task_id:
            return job
        task = environment.get(self.array.task_variable, "")
        if not task.isdecimal() or (task == "0" and self.array.first > 0):  # "undefined", or 0, where there is no array
            return job
        array_id = environment.get(self.array.id_variable, job)
        return self.array.task_id.format(id=array_id, task=task)

    def is_directive(self, line: str) -> bool:
        """Tell whether a line of a script holds an option of this scheduler.

        Examples
        --------
        >>> from mlxp.schedulers.grid_engine import SGE
        >>> [SGE.is_directive(line) for line in ("#$ -l gpu=1", "#$HOME is not one", "# $ -l gpu=1")]
        [True, False, False]
        """
        if not line.startswith(self.directive):
            return False
        return re.match(r"\s+-|-" if self.directive == "#$" else r"\s", line[len(self.directive) :]) is not None


# Asked for a version, PBS prints it and Grid Engine complains; Grid Engine's -help would make PBS submit a job.
ASK_VERSION = ("qsub", "--version")
NO_LINE_BREAK = r"\n\r"


def option(*spellings: str) -> re.Pattern[str]:
    """Return a pattern that finds an option, by its spellings, in a line of options."""
    return re.compile(rf"(?:^|\s)(?:{'|'.join(spellings)})")


def asked(command: Sequence[str]) -> Answer | None:
    """Return the answer of a scheduler's command; None if there is no answer."""
    try:
        return run_program(command, seconds=_SECONDS)
    except ProgramError:
        return None


def all_in(ids: Sequence[str], phase: Phase, words: str = "") -> dict[str, JobState]:
    """Return the same state for all of the jobs."""
    return dict.fromkeys(ids, JobState(phase, words))


def by_exit_code(code: int, failure: str = "0") -> JobState:
    """Return the state of a job that has ended with this exit code; above 128, a signal ended it."""
    failure = "" if failure.split()[:1] in ([], ["0"]) else f" (failed: {failure})"
    if code > SIGNALLED:
        return JobState(Phase.ENDED, f"ended by signal {code - SIGNALLED}{failure}")
    return JobState(Phase.FAILED if code or failure else Phase.DONE, f"exit code {code}{failure}")


def found_in(lines: Iterable[tuple[str, str]], token: str, *, is_complete: bool, words: str = "") -> Search:
    """Return which of the jobs, given by id and name, have `token` in their name.

    Examples
    --------
    >>> found_in([("12", "logs/7-kx3"), ("12", "logs/7-kx3"), ("13", "other")], "kx3", is_complete=True).ids
    ('12',)
    """
    ids = {job for job, name in lines if token in name}
    return Search(tuple(sorted(ids, key=_age)), is_complete or bool(ids), words)


def _age(job: str) -> tuple[int, str]:
    number = re.search(r"\d+", job)
    return int(number.group()) if number else 0, job
