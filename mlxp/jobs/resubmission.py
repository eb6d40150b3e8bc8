"""Submits runs again, in their directories, if they have no job or their job is over."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING

from mlxp.errors import JobSubmissionError
from mlxp.jobs.batch import new_name, submit_jobs
from mlxp.jobs.order import Order
from mlxp.jobs.packing import Packing
from mlxp.jobs.run_state import RunState
from mlxp.jobs.submission import Submission
from mlxp.jobs.submitted_code import restore
from mlxp.run_directory.status import Status

if TYPE_CHECKING:
    from mlxp.job_state import Search


def resubmit(
    runs: Iterable[RunState], before_each: Callable[[], None], *, force: bool = False, accept_changes: bool = False
) -> Iterator[tuple[int, Submission | None, str]]:
    """Submit runs again, packed as before; for each, yield its id, its submission, and why it has no job.

    Parameters
    ----------
    runs
        The runs, with the answers of their scheduler.
    before_each
        Called before each scheduler command.
    force
        Whether to submit also COMPLETE runs, and runs for which there is no way to know whether they have a job.
    accept_changes
        Whether the runs may use another configuration than the recorded one.
    """
    good: list[Submission] = []
    for run in runs:
        problem = run.obstacle_to_resubmission(force=force)
        if problem is None and run.submission is not None:
            good.append(run.submission)
        else:
            yield run.directory.log_id, run.submission, problem or "it was not submitted by mlxpsub"
    searches: dict[str, Search] = {}
    for packing, group in _alike(good):
        scheduler, batch = group[0].scheduler, new_name()
        for jobs in packing.shares(scheduler, group):
            before_each()
            order = Order(scheduler, jobs, packing, batch)
            begin = _beginning({one.directory.log_id: _seen(one) for one in order.runs}, accept_changes=accept_changes)
            problems = submit_jobs(order, searches, force=force, begin=begin)
            for one in order.runs:
                yield one.directory.log_id, one, problems.get(one.directory.log_id, "")


def _alike(submissions: list[Submission]) -> Iterator[tuple[Packing, list[Submission]]]:
    def key(one: Submission) -> tuple[str, ...]:
        return one.scheduler.name, one.shell, str(one.packing), str(one.options), str(one.content.get("call"))

    for _, group in groupby(sorted(submissions, key=lambda one: (key(one), one.directory.log_id)), key):
        found = list(group)
        yield found[0].packing, found


def _seen(one: Submission) -> tuple[object, ...]:
    return one.attempt, one.status, one.job_id, one.token


def _beginning(seen: Mapping[int, tuple[object, ...]], *, accept_changes: bool) -> Callable[[Submission], None]:
    """Return a function that begins the next attempt of a run that has had a job, if it is still as it was `seen`."""

    def begin(one: Submission) -> None:
        if _seen(one) != seen[one.directory.log_id]:
            raise JobSubmissionError(f"it was submitted meanwhile{f', as job {one.job_id}' if one.job_id else ''}")
        restore(one)
        if one.status is Status.SUBMITTED:
            begin_attempt(one, accept_changes=accept_changes)
        if accept_changes or "accept_changes" in one.content:
            one.write(accept_changes=accept_changes)

    return begin


def begin_attempt(submission: Submission, *, accept_changes: bool = False, put_back: int = 0) -> None:
    """Keep the output of the last attempt, as ``log.stdout.1``, and record that there is another attempt.

    Parameters
    ----------
    submission
        The run.
    accept_changes
        Whether the attempt may use another configuration than the recorded one.
    put_back
        How often the run was put back into the queue, if that is the reason for the attempt.
    """
    content, attempt = submission.content, submission.attempt
    for file in (submission.directory.stdout, submission.directory.stderr):
        if file.exists():
            file.rename(file.with_name(f"{file.name}.{attempt}"))
    recorded = submission.directory.config_file
    if accept_changes and recorded.exists():
        shutil.copyfile(recorded, recorded.with_name(f"{recorded.name}.{attempt}"))
    facts = {name: content.get(name) for name in ("scheduler_job_id", "submitted_at", "verdict")}
    # The program counts its attempts itself, including those that the scheduler restarted.
    begun = submission.directory.info().get("attempt") or attempt
    submission.write(
        status=Status.PREPARED,
        scheduler_job_id=None,
        token=None,
        attempt=max(attempt, begun) + 1,
        earlier=[*(content.get("earlier") or []), {"attempt": attempt, **facts}],
        cancelled_at=None,
        verdict=None,
        stderr=None,
        **({"put_back": put_back} if "requeue" in content else {}),
    )
