"""The jobs of one submission: one for each run, for several runs in turn, or arrays of them.

Where a job does several runs, or is one task of an array, a small script finds on its line of a list which runs are its
own, and starts the script of each.
"""

import contextlib
import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from mlxp.errors import InvalidSchedulerError, JobSubmissionError, LogDirectoryError
from mlxp.jobs.job_options import submission_command
from mlxp.jobs.submission import (
    Submission,
    job_ids,
    now,
    submit,
)
from mlxp.jobs.submitter import Submitter
from mlxp.run_directory.files import write_atomically
from mlxp.run_directory.layout import SWEEPS_DIR, RunDirectory, next_log_id, run_directories
from mlxp.run_directory.status import Status
from mlxp.scheduler import Array, Scheduler
from mlxp.schedulers.base import asked
from mlxp.scripts.job_script import quoted

Item = TypeVar("Item")

_UNFINISHED = "unfinished"
"""Name of the file that is there as long as a submission is under way, beside what else belongs to it."""

_SCRIPT = """
# The runs of this job, one after another: their directories are on one line of this list.
task={task}
status=0
while IFS= read -r directory; do
    {interpreter} "$directory/script.sh" < /dev/null >> "$directory/log.stdout" 2>> "$directory/log.stderr" || status=$?
done << END
$(sed -n "${{task}}p" {list} | tr '\\t' '\\n')
END
exit $status
"""


@dataclass(frozen=True)
class Packing:
    """How runs are put into jobs.

    Attributes
    ----------
    per_job
        How many runs a job does one after another.
    array
        Whether the jobs are tasks of arrays, where the scheduler has arrays.
    at_once
        How many tasks of an array may run at once; None for any number.
    """

    per_job: int = 1
    array: bool = False
    at_once: int | None = None

    def notes(self, scheduler: Scheduler) -> list[str]:
        """Return what the scheduler cannot do of this, for the user to know."""
        if not self.array:
            return []
        if scheduler.array is None:
            all_at_once = ", and all may run at once" if self.at_once is not None else ""
            return [
                f"{scheduler.name} has no arrays that work in the same way on every site: single jobs are submitted"
                + all_at_once
            ]
        if self.at_once is not None and not scheduler.array.limit:
            return [f"{scheduler.name} cannot limit how many tasks of an array run at once: all may"]
        return []

    def words(self, scheduler: Scheduler, submissions: int, jobs: int) -> str:
        """Return how runs become jobs.

        Examples
        --------
        >>> from mlxp.scheduler import SCHEDULERS
        >>> Packing(per_job=2, array=True, at_once=5).words(SCHEDULERS["SLURM"], submissions=1, jobs=100)
        '100 SLURM jobs of at most 2 runs, as tasks of 1 array, 5 at once'
        """
        shape = f"one {scheduler.name} job each"
        if self.per_job > 1:
            shape = f"{jobs} {scheduler.name} job{'s' * (jobs != 1)} of at most {self.per_job} runs"
        if not self.array or scheduler.array is None:
            return shape
        limit = f", {self.at_once} at once" if self.at_once is not None and scheduler.array.limit else ""
        return f"{shape}, as tasks of {submissions} array{'s' * (submissions != 1)}{limit}"


class Batch:
    """The runs of one submission, from their directories to their jobs; one that was cut short is taken up again.

    Parameters
    ----------
    submitter
        What is submitted.
    packing
        How the runs are put into jobs.
    """

    def __init__(self, submitter: Submitter, packing: Packing) -> None:
        self.submitter = submitter
        self.packing = packing
        earlier = _unfinished(submitter)
        self.is_resumed = bool(earlier)
        self._earlier = {one.content["number"]: one for one in earlier}
        self.name = earlier[0].content["batch"] if earlier else _new_name()
        self.submissions: list[Submission] = []

    def prepare(self, before_each: Callable[[], None]) -> None:
        """Create the directory of each run and write what is in it."""
        for mark in self._marks:
            try:
                mark.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise LogDirectoryError(f"cannot create {mark.parent}: {error.strerror}") from error
            write_atomically(mark, self.submitter.digest)
        for number in range(len(self.submitter.plan.runs)):
            before_each()
            done = self._earlier.get(number)
            self.submissions.append(done if done is not None else self.submitter.prepare(number, self.name))

    def prepared(self) -> list[Submission]:
        """Return the runs that are to be submitted, in the directories that they would get now; create nothing."""
        new_ids = {parent: itertools.count(next_log_id(parent)) for parent in self.submitter.parents}
        found = []
        for number, (_, run) in enumerate(self.submitter.plan.runs):
            if number in self._earlier:
                found.append(self._earlier[number])
            else:
                parent = Path(run.parent_log_dir)
                directory = RunDirectory(parent / str(next(new_ids[parent])))
                found.append(Submission(directory, {"status": Status.PREPARED, "number": number}))
        return [one for one in found if one.status is not Status.SUBMITTED]

    def submit(self, before_each: Callable[[], None], told: Callable[[Submission], None]) -> None:
        """Submit the jobs one after another; `told` is called with each run, whatever became of it."""
        for jobs in self.shares([one for one in self.submissions if one.status is not Status.SUBMITTED]):
            before_each()
            with contextlib.suppress(JobSubmissionError):  # recorded; the others are submitted all the same
                if self._is_single:
                    submit(jobs[0][0])
                else:
                    self._submit_share(jobs)
            for submission in [one for job in jobs for one in job]:
                told(submission)
        self._close()

    @property
    def _array(self) -> Array | None:
        return self.submitter.scheduler.array if self.packing.array else None

    @property
    def _is_single(self) -> bool:
        return self.packing.per_job == 1 and self._array is None

    def shares(self, missing: Sequence[Submission]) -> list[list[list[Submission]]]:
        """Return what goes into each submission: its jobs, and of each job the runs."""
        jobs = _cut(missing, self.packing.per_job)
        return _cut(jobs, largest_array(self._array) if self._array is not None else 1)

    def _submit_share(self, jobs: list[list[Submission]]) -> None:
        """Submit an array with these jobs as its tasks, or the only one as itself."""
        name = _name_of(jobs)
        script, text = self.script_of(jobs)
        stdout, stderr = script.with_suffix(".stdout"), script.with_suffix(".stderr")
        self._write_script(script, text, jobs)
        scheduler = self.submitter.scheduler
        command = submission_command(
            scheduler,
            name,
            stdout,
            stderr,
            shell=self.submitter.shell,
            extra=self._array_option(name, script, len(jobs)),
            replaced=self._array.replaces if self._array is not None else "",
        )
        submissions = [one for job in jobs for one in job]
        try:
            ids = self._task_ids(job_ids(scheduler, command, script), len(jobs))
        except JobSubmissionError as error:
            for one in submissions:
                one.write(status=Status.REFUSED, error=str(error), command=command, submitted_at=now())
            raise
        facts = {
            "status": Status.SUBMITTED,
            "error": None,
            "command": command,
            "submitted_at": now(),
            "stderr": str(stderr),
        }
        for job_id, job in zip(ids, jobs, strict=True):
            for one in job:
                one.write(scheduler_job_id=job_id, **facts)

    def script_of(self, jobs: Sequence[Sequence[Submission]]) -> tuple[Path, str]:
        """Return the path and the text of the script that is handed over for these jobs."""
        first = jobs[0][0]
        if self._is_single:
            return first.directory.script, self.submitter.script_for(first.content["number"], first.directory)
        script = first.directory.path.parent / SWEEPS_DIR / self.name / f"{first.directory.log_id}.sh"
        header = self.submitter.header(_name_of(jobs), script.with_suffix(".stdout"), script.with_suffix(".stderr"))
        body = _SCRIPT.format(
            task=_line_of_task(self._array) if self._array is not None else "1",
            interpreter=" ".join(map(quoted, self.submitter.plan.script.interpreter)),
            list=quoted(str(script.with_suffix(".txt"))),
        )
        return script, "\n".join([self.submitter.plan.script.shebang, *header]) + "\n" + body

    def _write_script(self, script: Path, text: str, jobs: list[list[Submission]]) -> None:
        paths = [[str(one.directory.path) for one in job] for job in jobs]
        if any("\t" in path for job in paths for path in job):
            raise InvalidSchedulerError(
                f"a job cannot do several runs in directories with a tab in their names: {paths[0][0]}"
            )
        write_atomically(script.with_suffix(".txt"), "".join("\t".join(job) + "\n" for job in paths))
        if self._array is not None and self._array.task_is_argument:
            tasks = "".join(f"{task}\n" for task in self._array.tasks(len(jobs)))
            write_atomically(script.with_suffix(".parameters"), tasks)
        write_atomically(script, text)
        script.chmod(0o755)

    def _array_option(self, name: str, script: Path, tasks: int) -> list[str]:
        if self._array is None:
            return []
        limit = self._array.limit.format(at_once=self.packing.at_once) if self.packing.at_once is not None else ""
        scheduler_name = (self._array.names or self.submitter.scheduler.names).adapted(name)
        parameters = script.with_suffix(".parameters").name
        numbers = self._array.tasks(tasks)
        words: list[str] = []
        for word in self._array.option:
            if word == "{limit}":
                words += limit.split()
            else:
                words.append(
                    word.format(
                        first=numbers[0], last=numbers[-1], limit=limit, name=scheduler_name, parameters=parameters
                    )
                )
        return words

    def _task_ids(self, ids: list[str], tasks: int) -> list[str]:
        if self._array is None or not self._array.task_id:
            if len(ids) != tasks:
                raise JobSubmissionError(f"{tasks} jobs were submitted, and {len(ids)} ids came back: {' '.join(ids)}")
            return ids
        return [self._array.task_id.format(id=ids[0], task=task) for task in self._array.tasks(tasks)]

    def _close(self) -> None:
        for mark in self._marks:
            mark.unlink()
            with contextlib.suppress(OSError):  # there is more in it
                mark.parent.rmdir()
                mark.parent.parent.rmdir()

    @property
    def _marks(self) -> list[Path]:
        return [parent / SWEEPS_DIR / self.name / _UNFINISHED for parent in self.submitter.parents]


def _unfinished(submitter: Submitter) -> list[Submission]:
    """Return the runs of an earlier submission that was the same and was cut short."""
    digest = submitter.digest
    marks = [mark for parent in submitter.parents for mark in sorted((parent / SWEEPS_DIR).glob(f"*/{_UNFINISHED}"))]
    names = [mark.parent.name for mark in marks if mark.read_text(encoding="utf-8") == digest]
    if not names:
        return []
    found = [Submission.of(directory) for parent in submitter.parents for directory in run_directories(parent)]
    return [one for one in found if one is not None and one.content.get("batch") == names[-1]]


def _line_of_task(array: Array) -> str:
    """Return what the shell takes for the number of the line, from 1, that a task finds its runs on."""
    task = "$1" if array.task_is_argument else f"${array.task_variable}"
    return task if array.first == 1 else f"$(({task} - {array.first} + 1))"


def _name_of(jobs: Sequence[Sequence[Submission]]) -> str:
    first, last = jobs[0][0].directory, jobs[-1][-1].directory
    return f"{first.path.parent.name}/{first.log_id}-{last.log_id}"


def _new_name() -> str:
    return f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{os.urandom(3).hex()}"


def _cut(items: Sequence[Item], size: int) -> list[list[Item]]:
    return [list(items[start : start + size]) for start in range(0, len(items), size)]


def largest_array(array: Array) -> int:
    """Return how many tasks the site allows in one array."""
    answer = asked(array.largest_command) if array.largest_command else None
    found = array.largest_pattern.search(answer.output) if answer is not None else None
    if found is None:
        return array.largest
    return max(int(found[1]) - array.largest_is_excluded, 1)
