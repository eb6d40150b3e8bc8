"""Submits the job that goes on with the runs of this one, where a scheduler cannot put a job back into its queue.

The script of a job starts this module at its end, with the directories of its runs on the standard input. As ever, the
request is on disk before the scheduler is asked.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from mlxp.errors import MLXPError
from mlxp.jobs.batch import new_name, submit_jobs
from mlxp.jobs.order import Order
from mlxp.jobs.packing import Packing
from mlxp.jobs.resubmission import begin_attempt
from mlxp.jobs.submission import Submission
from mlxp.run_directory.layout import RunDirectory
from mlxp.run_directory.outcome import own_word
from mlxp.run_directory.status import Status


def submit_next(directories: Iterable[Path]) -> int:
    """Submit one job for those of the runs that are not done, and return an exit code."""
    found = [Submission.of(RunDirectory(path)) for path in directories]
    runs = [run for run in found if run is not None and _is_to_go_on(run)]
    if not runs:
        return 0
    first = runs[0].packing
    packing = Packing(per_job=first.per_job, side_by_side=first.side_by_side)
    order = Order(runs[0].scheduler, [runs], packing, new_name())
    problems = submit_jobs(order, {}, begin=_begin)
    for run in runs:
        log_id = run.directory.log_id
        told = f"not submitted: {problems[log_id]}" if log_id in problems else f"goes on in job {run.job_id}"
        print(f"mlxp: run {log_id}: {told}", file=sys.stderr)  # noqa: T201 - the job's own output
    return int(bool(problems))


def _is_to_go_on(run: Submission) -> bool:
    """Tell whether a run is to be done by the next job: it was told to stop, or its turn has not come."""
    info = run.directory.info()
    said = own_word(info, run.content)
    return said is None or (said is Status.KILLED and bool((info.get("exit") or {}).get("put_back")))


def _begin(run: Submission) -> None:
    if run.status is Status.SUBMITTED:  # and not so already by somebody else
        begin_attempt(run, put_back=(run.directory.info().get("exit") or {}).get("put_back") or 0)


if __name__ == "__main__":
    try:
        sys.exit(submit_next([Path(line.rstrip("\n")) for line in sys.stdin if line.strip()]))
    except MLXPError as error:
        sys.exit(f"mlxp: the job was not submitted again: {error}")
