"""Submits a batch and reports on each run, for ``mlxpsub`` and for programs that submit themselves."""

import contextlib
import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mlxp.jobs.batch import Batch, alone
from mlxp.jobs.packing import Packing
from mlxp.jobs.submission import Submission
from mlxp.jobs.submitted_code import what_jobs_run
from mlxp.jobs.submitter import Submitter
from mlxp.run_directory.layout import RunDirectory
from mlxp.run_directory.status import Status
from mlxp.running.signals import Terminated, exit_code, signal_of


def submit_all(
    submitter: Submitter, packing: Packing, program: str, to_freeze: str | None, *, only_missing: bool = False
) -> int:
    """Submit runs, report on each, and return an exit code.

    Parameters
    ----------
    submitter, packing
        The runs, and how they are put into jobs.
    program
        What messages begin with.
    to_freeze
        How the user asks for jobs that run the code of now; None where that is no question.
    only_missing
        Whether to leave out the runs that are there already.

    Raises
    ------
    LockedError
        If another process is submitting the same runs.
    """
    with stops_between_steps() as stop_if_asked, alone(submitter):
        batch = Batch(submitter, packing, only_missing=only_missing)
        if batch.is_resumed:
            print(f"{program}: {_what_is_resumed(batch)}", file=sys.stderr)
        try:
            batch.prepare(stop_if_asked)
            for line in left_out_lines(batch):
                tell(line)
            batch.submit(stop_if_asked, functools.partial(_print_line, batch=batch))
        except (KeyboardInterrupt, Terminated) as error:
            done = sum(one.status is Status.SUBMITTED for one in batch.submissions)
            wanted = len(submitter.plan.runs) - len(batch.left_out)
            print(
                f"{program}: interrupted; {done} of {wanted} runs were submitted. "
                "The same command, or `mlxp resubmit`, submits the others.",
                file=sys.stderr,
            )
            return exit_code(signal_of(error))
    missing = [one for one in batch.submissions if one.status is not Status.SUBMITTED]
    if missing:
        runs = "1 run was" if len(missing) == 1 else f"{len(missing)} runs were"
        print(f"{program}: {runs} not submitted; `mlxp resubmit` tries again", file=sys.stderr)
    if to_freeze is not None and batch.submissions:
        print(f"{program}: {what_jobs_run([run for _, run in submitter.runs], to_freeze)}", file=sys.stderr)
    return 1 if missing else 0


def _what_is_resumed(batch: Batch) -> str:
    if batch.prepared():
        return "finishing the submission that was cut short"
    return "the submission that was cut short is complete by now: give the command again to submit the runs once more"


def shown(directory: RunDirectory, *, several: bool) -> str:
    """Return the name of a run for people: its id, with its directory where there are `several`."""
    if not several:
        return str(directory.log_id)
    path = directory.path
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def left_out_lines(batch: Batch) -> list[str]:
    """Return a line for each run that is left out, since it is there; and how many are missing, if that was asked."""
    lines = [
        f"left out, since {decision.why}: {' '.join(batch.submitter.overrides(number))}".rstrip(": ")
        for number, decision in batch.left_out.items()
    ]
    wanted = len(batch.decisions)
    return [*lines, f"{wanted - len(lines)} of {wanted} runs are missing"] if wanted else []


def _print_line(submission: Submission, problem: str, *, batch: Batch) -> None:
    what = f"job {submission.job_id}" if submission.status is Status.SUBMITTED else f"not submitted: {problem}"
    decision = batch.decisions.get(submission.content["number"])
    before = f" ({decision.why})" if decision is not None and decision.log_id is not None else ""
    name = shown(submission.directory, several=len(batch.submitter.parents) > 1)
    tell(f"run {name}: {what}: {submission.content['run']}{before}")


def tell(line: str) -> None:
    """Print a line."""
    try:
        print(line, flush=True)
    except BrokenPipeError:  # as when the output is piped to `head`, which is no reason to stop halfway
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_plan(batch: Batch, processes: int | None = None) -> None:
    """Print which runs would be submitted, and the script of the first submission.

    Parameters
    ----------
    batch
        The runs.
    processes
        How many of them go on at once, if they are not submitted but done on this computer.
    """
    runs = batch.prepared()
    left_out = left_out_lines(batch)
    if not runs:
        tell("\n".join(left_out or ["0 runs: all were submitted by the submission that was cut short"]))
        return
    frozen = batch.submitter.preview_code()
    shares = batch.shares(runs)
    shape = f"{processes} at a time on this computer"
    if processes is None:
        shape = batch.packing.words(batch.submitter.scheduler, len(shares), sum(map(len, shares)))
    overrides = [" ".join(batch.submitter.overrides(one.content["number"])) for one in runs]
    several = len(batch.submitter.parents) > 1
    lines = [f"{len(runs)} run{'s' * (len(runs) != 1)}, {shape}:"]
    lines += [
        f"  run {shown(one.directory, several=several)}: {words}" for one, words in zip(runs, overrides, strict=True)
    ]
    lines += [f"  {line}" for line in left_out]
    script, text = batch.script_of(shares[0])
    what = "submission" if processes is None else "run"
    lines += ["", *frozen, f"the script of the first {what}, {script}:", "", text.rstrip("\n")]
    first = runs[0].directory
    if script != first.script:
        own = batch.submitter.script_for(runs[0].content["number"], first)
        lines += ["", f"the script of run {first.log_id}, {first.script}, which it starts:", "", own.rstrip("\n")]
    tell("\n".join(lines))


@contextmanager
def stops_between_steps() -> Iterator[Callable[[], None]]:
    """Hold back Ctrl-C, a closed terminal and `kill`, and yield a function that lets those that came end the process.

    So a scheduler's answer is on disk before the process ends. Ignored signals, as under ``nohup``, stay ignored.
    """
    asked: list[int] = []
    is_main = threading.current_thread() is threading.main_thread()
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if is_main and hasattr(signal, name)]
    numbers = [number for name in names if signal.getsignal(number := getattr(signal, name)) is not signal.SIG_IGN]
    before = {number: signal.signal(number, lambda number, _: asked.append(number)) for number in numbers}

    def stop_if_asked() -> None:
        if asked:
            number = asked[0]
            asked.clear()
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)

    try:
        yield stop_if_asked
    finally:
        for number, handler in before.items():
            with contextlib.suppress(TypeError):  # one that was not set from Python
                signal.signal(number, handler)
