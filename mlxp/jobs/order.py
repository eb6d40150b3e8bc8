"""One call of a scheduler's command: the script that it submits, its words, and the ids that it returns.

Where a job does several runs, or is one task of an array, a small script reads the job's own runs from its line of a
list, and starts the script of each.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlxp.errors import InvalidSchedulerError
from mlxp.jobs.job_options import filled, header_lines, job_name, option_values, shell_path
from mlxp.jobs.packing import Packing
from mlxp.jobs.several_runs import job_body
from mlxp.jobs.submission import Submission
from mlxp.run_directory.files import write_atomically
from mlxp.run_directory.layout import SWEEPS_DIR
from mlxp.scheduler import Array, Scheduler
from mlxp.scripts.job_script import quoted

_NEXT_JOB = f"printf '%s\\n' \"$directories\" | {quoted(sys.executable)} -m mlxp.jobs.next_job"
"""What submits another job for the same runs, where a job cannot be put back."""


@dataclass(frozen=True)
class Order:
    """What one call of the scheduler's command submits.

    Attributes
    ----------
    jobs
        The runs of each job; in an array, each job is a task.
    packing
        How the runs were put into the jobs.
    batch
        The name of the folder, beside the runs, for scripts that start several of them.
    """

    scheduler: Scheduler
    jobs: list[list[Submission]]
    packing: Packing
    batch: str

    @property
    def runs(self) -> list[Submission]:
        """All runs of the order."""
        return [run for job in self.jobs for run in job]

    @property
    def name(self) -> str:
        """The name of the job, where the scheduler allows it: ``logs/1``, ``logs/1-8``."""
        first, last = self.runs[0].directory, self.runs[-1].directory
        return job_name(first) if self._is_single else f"{job_name(first)}-{last.log_id}"

    @property
    def array(self) -> Array | None:
        """The array whose tasks the jobs are; None if they are not tasks."""
        return self.packing.array_of(self.scheduler)

    @property
    def _is_single(self) -> bool:
        """Whether the script of a run is submitted as it is."""
        return self.packing.is_single(self.scheduler) and not self._may_be_put_back

    @property
    def _may_be_put_back(self) -> bool:
        return any(run.content.get("requeue") for run in self.runs)

    @property
    def script(self) -> Path:
        """The script that is submitted."""
        first = self.runs[0].directory
        if self._is_single:
            return first.script
        return first.path.parent / SWEEPS_DIR / self.batch / f"{first.log_id}.sh"

    @property
    def output(self) -> tuple[Path, Path]:
        """The files for the job's standard output and standard error."""
        if self._is_single:
            directory = self.runs[0].directory
            return directory.stdout, directory.stderr
        return self.script.with_suffix(".stdout"), self.script.with_suffix(".stderr")

    def script_text(self, script_of_first_run: str) -> str:
        """Return the text of the script; its head comes from the first run's script, with the user's options."""
        if self._is_single:
            return script_of_first_run
        shebang, *head = script_of_first_run.partition("\n\n")[0].split("\n")
        interpreter = shebang[2:].split()
        own = header_lines(self.scheduler, self.name, *self.output, shell=shell_path(interpreter))
        body = job_body(
            self.packing,
            task=_line_of_task(self.array) if self.array is not None else "1",
            interpreter=" ".join(map(quoted, interpreter)),
            list_file=self.script.with_suffix(".txt"),
            put_back=(self.scheduler.put_back or _NEXT_JOB) if self._may_be_put_back else None,
        )
        return "\n".join([shebang, *own, *head[len(own) :]]) + "\n" + body

    def write_script(self) -> None:
        """Write the script, and beside it the files it reads; the script of a single run exists already."""
        if self._is_single:
            return
        paths = [[str(run.directory.path) for run in job] for job in self.jobs]
        if any("\t" in path for job in paths for path in job):
            raise InvalidSchedulerError(
                f"a job cannot do several runs in directories with a tab in their names: {paths[0][0]}"
            )
        self.script.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.script.with_suffix(".txt"), "".join("\t".join(job) + "\n" for job in paths))
        if self.array is not None and self.array.task_is_argument:
            tasks = "".join(f"{task}\n" for task in self.array.tasks(len(self.jobs)))
            write_atomically(self.script.with_suffix(".parameters"), tasks)
        first = self.runs[0].directory.script.read_text(encoding="utf-8", errors="surrogateescape")
        write_atomically(self.script, self.script_text(first))
        self.script.chmod(0o755)

    def command(self, token: str) -> list[str]:
        """Return the words of the command, with `token` at the end of the job's name."""
        name = f"{self.name}-{token}"
        values = option_values(self.scheduler, name, *self.output, shell=self.runs[0].shell)
        program, *words = self.scheduler.submit
        if self.array is not None and self.array.replaces in words:  # an option and its value
            position = words.index(self.array.replaces)
            words = [*words[:position], *words[position + 2 :]]
        script = [] if self.scheduler.script_is_input else [f"./{self.script.name}"]
        again = self.scheduler.put_back_options if self._may_be_put_back else ()
        own = [filled(word, values) for word in [*again, *words, *self._array_option(name)]]
        # The user's options come first, so that MLXP's count, and that none of them takes the script for its value.
        # The path is relative, since not every scheduler accepts a path with spaces.
        return [program, *self.runs[0].options, *own, *script]

    def _array_option(self, name: str) -> list[str]:
        array, at_once = self.array, self.packing.at_once
        if array is None:
            return []
        numbers = array.tasks(len(self.jobs))
        values = {
            "first": str(numbers[0]),
            "last": str(numbers[-1]),
            "limit": array.limit.format(at_once=at_once) if at_once is not None else "",
            "name": (array.names or self.scheduler.names).adapted(name),
            "parameters": self.script.with_suffix(".parameters").name,
        }
        words: list[str] = []
        for word in array.option:
            words += values["limit"].split() if word == "{limit}" else [filled(word, values)]
        return words

    def environment(self) -> dict[str, str]:
        """Return the environment of the command."""
        # A job that inherits it must neither take itself for another run nor run in plan mode. OAR trusts PWD.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MLXP_")}
        return {**inherited, "PWD": str(self.script.parent)}


def job_id_of(scheduler: Scheduler, ids: Sequence[str], task: int | None) -> str | None:
    """Return the id of one job from the ids that a submission returned; None if it is not among them.

    Parameters
    ----------
    scheduler, ids
        The scheduler and the ids that it gave; most arrays have a single id.
    task
        The number of the array's task, from 0; None if the job is not a task.
    """
    if task is None or scheduler.array is None:
        return ids[0] if ids else None
    if scheduler.array.task_id and ids:
        return scheduler.array.task_id.format(id=ids[0], task=scheduler.array.first + task)
    return ids[task] if task < len(ids) else None


def _line_of_task(array: Array) -> str:
    """Return the shell expression for the number of the line, from 1, that lists a task's runs."""
    task = "$1" if array.task_is_argument else f"${array.task_variable}"
    return task if array.first == 1 else f"$(({task} - {array.first} + 1))"
