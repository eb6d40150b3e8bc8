"""Takes the runs of one submission from directories to jobs, and resumes a submission that was cut short."""

import contextlib
import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from mlxp.errors import JobSubmissionError, LogDirectoryError
from mlxp.job_state import Search
from mlxp.jobs.handing_over import hand_over, settle
from mlxp.jobs.known_states import known_states
from mlxp.jobs.order import Order
from mlxp.jobs.packing import Packing
from mlxp.jobs.submission import Submission, owned
from mlxp.jobs.submitter import Submitter
from mlxp.run_directory.files import sync_folder, write_atomically
from mlxp.run_directory.layout import SWEEPS_DIR, RunDirectory, next_log_id, run_directories
from mlxp.run_directory.locks import LockedError, locked
from mlxp.run_directory.status import Status
from mlxp.running.missing_runs import Decision, MissingRuns

_UNFINISHED = "unfinished"
"""Name of the file that marks a submission as under way; it lies beside the submission's other files."""


class Batch:
    """The runs of one submission.

    Parameters
    ----------
    submitter
        What is submitted.
    packing
        How the runs are put into jobs.
    only_missing
        Whether to leave out the runs that are there already; those that ask for it themselves are left out in any case.

    Attributes
    ----------
    decisions
        By number, which of the runs that are wanted only if they are missing are there, and why.
    """

    def __init__(self, submitter: Submitter, packing: Packing, *, only_missing: bool = False) -> None:
        self.submitter = submitter
        self.packing = packing
        self._missing = MissingRuns(known_states)
        self._wanted_once = [only_missing or run.only_missing for _, run in submitter.plan.runs]
        self.decisions: dict[int, Decision] = {}
        names = _unfinished(submitter)
        self.name = names[-1] if names else new_name()
        self._earlier = {one.content["number"]: one for one in _runs_of(submitter, self.name)} if names else {}
        self.is_resumed = bool(self._earlier)
        self._marks = [parent / SWEEPS_DIR / name / _UNFINISHED for parent in submitter.parents for name in names]
        self._marks += [parent / SWEEPS_DIR / self.name / _UNFINISHED for parent in submitter.parents]
        self.submissions: list[Submission] = []

    def prepare(self, before_each: Callable[[], None]) -> None:
        """Create the directory of each run and write what is in it."""
        for mark in self._marks[-len(self.submitter.parents) :]:
            try:
                mark.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise LogDirectoryError(f"cannot create {mark.parent}: {error.strerror}") from error
            write_atomically(mark, self.submitter.digest, durably=True)
        before_each()
        self._decide()
        self.submitter.record_code(self._earlier)
        batch = next((one.content.get("batch") for one in self._earlier.values()), self.submitter.batch)
        for number in range(len(self.submitter.plan.runs)):
            before_each()
            done = self._earlier.get(number) or self._prepared(number, batch)
            if done is not None:
                batch = batch or done.content.get("batch")
                self.submissions.append(done)
        for parent in self.submitter.parents:  # once for all runs, before any of them is submitted
            sync_folder(parent)

    def _decide(self) -> None:
        once = [number for number, is_so in enumerate(self._wanted_once) if is_so and number not in self._earlier]
        decisions = self._missing.decisions([self.submitter.wanted(number) for number in once])
        self.decisions = dict(zip(once, decisions, strict=True))

    @property
    def left_out(self) -> dict[int, Decision]:
        """The runs that are there already, by number."""
        return {number: decision for number, decision in self.decisions.items() if decision.is_there}

    def _prepared(self, number: int, batch: str | None) -> Submission | None:
        if number not in self.decisions:
            return self.submitter.prepare(number, self.name, batch, self.packing)
        if self.decisions[number].is_there:
            return None
        with self._missing.claimed(self.submitter.wanted(number)) as claim:
            self.decisions[number] = claim.decision
            if claim.decision.is_there:
                return None
            submission = self.submitter.prepare(number, self.name, batch, self.packing)
            claim.started(submission.directory.log_id)
            return submission

    def prepared(self) -> list[Submission]:
        """Return the runs to submit, in the directories that they would get now, without creating anything."""
        new_ids = {parent: itertools.count(next_log_id(parent)) for parent in self.submitter.parents}
        found = []
        self._decide()
        for number, (_, run) in enumerate(self.submitter.plan.runs):
            if number in self.left_out:
                continue
            if number in self._earlier:
                found.append(self._earlier[number])
            else:
                parent = Path(run.parent_log_dir)
                directory = RunDirectory(parent / str(next(new_ids[parent])))
                found.append(Submission(directory, {"status": Status.PREPARED, "number": number}))
        return [one for one in found if one.status is not Status.SUBMITTED]

    def shares(self, missing: Sequence[Submission]) -> list[list[list[Submission]]]:
        """Return the jobs of each submission, each as a list of its runs."""
        return self.packing.shares(self.submitter.scheduler, missing)

    def script_of(self, jobs: list[list[Submission]]) -> tuple[Path, str]:
        """Return the path and the text of the script that is submitted for these jobs."""
        order = Order(self.submitter.scheduler, jobs, self.packing, self.name)
        first = order.runs[0]
        return order.script, order.script_text(self.submitter.script_for(first.content["number"], first.directory))

    def submit(self, before_each: Callable[[], None], told: Callable[[Submission, str], None]) -> None:
        """Submit the jobs one by one; call `told` with each run and the reason if it has no job."""
        searches: dict[str, Search] = {}
        for jobs in self.shares([one for one in self.submissions if one.status is not Status.SUBMITTED]):
            before_each()
            runs = [one for job in jobs for one in job]
            order = Order(self.submitter.scheduler, jobs, self.packing, self.name)
            problems = submit_jobs(order, searches)
            for run in runs:
                told(run, problems.get(run.directory.log_id, ""))
        if not any(one.is_in_doubt for one in self.submissions):
            self.close()

    def close(self) -> None:
        """Remove what marks the submission as under way."""
        for mark in self._marks:
            with contextlib.suppress(FileNotFoundError):
                mark.unlink()
            for left in mark.parent.glob(".*"):  # a directory that was being prepared when somebody died
                shutil.rmtree(left, ignore_errors=True)
            with contextlib.suppress(OSError):  # there is more in it
                mark.parent.rmdir()


def submit_jobs(
    order: Order,
    searches: dict[str, Search],
    *,
    force: bool = False,
    begin: Callable[[Submission], None] = lambda _: None,
) -> dict[int, str]:
    """Submit the runs of an order that have no job, and return by id why some still have none.

    Parameters
    ----------
    order
        The runs, and how they are put into jobs.
    searches, force
        See `settle`.
    begin
        Called with the current state of each run on disk, once no other process can change it.
    """
    runs = order.runs
    problems: dict[int, str] = {}
    try:
        with owned(runs, f"submits run {runs[0].directory.log_id}"):
            for run in runs:
                try:
                    run.refresh()
                    begin(run)
                    settle(run, searches, force=force)
                except JobSubmissionError as error:
                    problems[run.directory.log_id] = str(error)
            left = [[one for one in job if _is_left(one, problems)] for job in order.jobs]
            left = [job for job in left if job]
            if left:
                _hand_over(replace(order, jobs=left), problems)
    except LockedError as error:
        problems = {one.directory.log_id: str(error) for one in runs}
    return problems


def _is_left(run: Submission, problems: dict[int, str]) -> bool:
    return run.status is not Status.SUBMITTED and run.directory.log_id not in problems


def _hand_over(order: Order, problems: dict[int, str]) -> None:
    try:
        hand_over(order)
    except JobSubmissionError as error:  # recorded; the others are submitted all the same
        for run in order.runs:
            if run.status is not Status.SUBMITTED:
                problems[run.directory.log_id] = str(error)


@contextlib.contextmanager
def alone(submitter: Submitter) -> Iterator[None]:
    """Keep other processes from submitting the same runs within this context, as a command given twice would.

    Raises
    ------
    LockedError
        If another process is submitting them.
    """
    folders = [parent / SWEEPS_DIR for parent in submitter.parents]
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LogDirectoryError(f"cannot create {error.filename}: {error.strerror}") from error
    try:
        with locked([folder / f"{submitter.digest[:16]}.lock" for folder in folders], "submits the same"):
            yield
    finally:
        for folder in folders:
            with contextlib.suppress(OSError):  # there is more in it
                folder.rmdir()


def _unfinished(submitter: Submitter) -> list[str]:
    """Return the names of earlier, identical submissions that were cut short."""
    digest = submitter.digest
    marks = [mark for parent in submitter.parents for mark in (parent / SWEEPS_DIR).glob(f"*/{_UNFINISHED}")]
    return sorted({mark.parent.name for mark in marks if mark.read_text(encoding="utf-8") == digest})


def _runs_of(submitter: Submitter, name: str) -> list[Submission]:
    parents = [parent for parent in submitter.parents if parent.is_dir()]
    found = [Submission.of(directory) for parent in parents for directory in run_directories(parent)]
    return [one for one in found if one is not None and one.content.get("call") == name]


def new_name() -> str:
    """Return a name for one call, which no other call has; it begins with the time."""
    return f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{os.urandom(3).hex()}"
