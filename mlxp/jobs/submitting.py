"""Submits a batch, and tells what becomes of each run: for ``mlxpsub``, and for a program that submits itself."""

import functools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mlxp.jobs.batch import Batch
from mlxp.jobs.submission import Submission
from mlxp.run_directory.layout import RunDirectory
from mlxp.run_directory.status import Status


def submit_all(batch: Batch, program: str) -> int:
    """Submit a batch, tell what becomes of each run, and return an exit code; `program` begins what is said."""
    if batch.is_resumed:
        print(f"{program}: {_what_is_resumed(batch)}", file=sys.stderr)
    try:
        with interrupts_between_steps() as stop_if_interrupted:
            batch.prepare(stop_if_interrupted)
            batch.submit(stop_if_interrupted, functools.partial(_print_line, several=len(batch.submitter.parents) > 1))
    except KeyboardInterrupt:
        done = sum(one.status is Status.SUBMITTED for one in batch.submissions)
        print(
            f"{program}: interrupted; {done} of {len(batch.submitter.plan.runs)} runs were submitted. "
            "The same command, or `mlxp resubmit`, submits the others.",
            file=sys.stderr,
        )
        return 130
    refused = [one for one in batch.submissions if one.status is not Status.SUBMITTED]
    if refused:
        print(f"{program}: {len(refused)} runs were not submitted; `mlxp resubmit` tries those again", file=sys.stderr)
    return 1 if refused else 0


def _what_is_resumed(batch: Batch) -> str:
    if batch.prepared():
        return "finishing the submission that was cut short"
    return "the submission that was cut short is complete by now: give the command again to submit the runs once more"


def shown(directory: RunDirectory, *, several: bool) -> str:
    """Return what a run is called where people read it: by its id, and its directory where there are `several`."""
    if not several:
        return str(directory.log_id)
    path = directory.path
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _print_line(submission: Submission, *, several: bool) -> None:
    if submission.status is Status.SUBMITTED:
        what = f"job {submission.job_id}"
    else:
        what = f"not submitted: {submission.content['error']}"
    tell(f"run {shown(submission.directory, several=several)}: {what}: {submission.content['run']}")


def tell(line: str) -> None:
    """Print a line."""
    try:
        print(line, flush=True)
    except BrokenPipeError:  # as when the output is piped to `head`, which is no reason to stop half-way
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def interrupts_between_steps() -> Iterator[Callable[[], None]]:
    """Yield a function that raises KeyboardInterrupt if Ctrl-C was pressed; until it is called, nothing happens."""
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))

    def stop_if_interrupted() -> None:
        if pressed:
            raise KeyboardInterrupt

    try:
        yield stop_if_interrupted
    finally:
        signal.signal(signal.SIGINT, before)
