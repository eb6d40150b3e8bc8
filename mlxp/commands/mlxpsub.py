"""The command ``mlxpsub``: submits one job for each run of a shell script."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlxp.commands.completion import complete
from mlxp.errors import InvalidSchedulerError, MLXPError
from mlxp.jobs.batch import Batch, Packing
from mlxp.jobs.submission import Submission, Submitter, chosen_scheduler
from mlxp.run_directory.status import Status
from mlxp.scheduler import SCHEDULERS, import_plugin, problem_with
from mlxp.scripts.plan import make_plan
from mlxp.scripts.script import read_script


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 1 if something was not submitted."""
    parser = _parser()
    complete(parser)
    options = parser.parse_args(arguments)
    try:
        for module in options.plugin:
            import_plugin(module)
        return _submit(options)
    except MLXPError as error:
        print(f"mlxpsub: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("mlxpsub: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mlxpsub",
        description="Submit a shell script's runs to a job scheduler: one job for each combination of options.",
        epilog="The scheduler is known from the options in the script: "
        + ", ".join(f"{row.directive} ({row.name})" for row in SCHEDULERS.values())
        + ". `mlxp status` tells what became of the runs.",
    )
    parser.add_argument("script", type=Path, help="shell script with the scheduler's options and `python main.py ...`")
    parser.add_argument("--dry-run", action="store_true", help="print what would be submitted; create nothing")
    parser.add_argument("--scheduler", metavar="NAME", help=f"one of {', '.join(SCHEDULERS)}; by default the script's")
    parser.add_argument(
        "--array", action="store_true", help="submit job arrays instead of single jobs, where the scheduler has them"
    )
    parser.add_argument(
        "--max-parallel", metavar="N", type=_count, help="how many tasks of an array may run at once (with --array)"
    )
    parser.add_argument(
        "--per-job", metavar="K", type=_count, default=1, help="do K runs after one another in each job"
    )
    parser.add_argument(
        "--plugin", metavar="MODULE", action="append", default=[], help="import a module that registers a scheduler"
    )
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, not {text!r}")
    return int(text)


def _submit(options: argparse.Namespace) -> int:
    script = read_script(options.script)
    scheduler = chosen_scheduler(script, options.scheduler)
    problem = problem_with(scheduler)
    if options.max_parallel is not None and not options.array:
        raise InvalidSchedulerError("--max-parallel limits the tasks of an array; add --array")
    if problem is not None and not options.dry_run:
        raise InvalidSchedulerError(f"{problem}; nothing was submitted")
    submitter = Submitter(make_plan(script), scheduler)
    packing = Packing(options.per_job, options.array, options.max_parallel)
    for note in [*submitter.notes, *packing.notes(scheduler)]:
        print(f"mlxpsub: {options.script}: {note}", file=sys.stderr)
    batch = Batch(submitter, packing)
    if options.dry_run:
        _print_plan(batch)
        if problem is not None:
            print(f"mlxpsub: {problem}", file=sys.stderr)
        return 0
    return submit_all(batch, "mlxpsub")


def _print_plan(batch: Batch) -> None:
    runs = batch.prepared()
    if not runs:
        _print("0 runs: all were submitted by the submission that was cut short")
        return
    shares = batch.shares(runs)
    shape = batch.packing.words(batch.submitter.scheduler, len(shares), sum(map(len, shares)))
    planned = batch.submitter.plan.runs
    overrides = [" ".join(planned[one.content["number"]][1].overrides) for one in runs]
    lines = [f"{len(runs)} runs, {shape}:"]
    lines += [f"  run {one.directory.log_id}: {words}" for one, words in zip(runs, overrides, strict=True)]
    script, text = batch.script_of(shares[0])
    lines += ["", f"the script of the first submission, {script}:", "", text.rstrip("\n")]
    first = runs[0].directory
    if script != first.script:
        own = batch.submitter.script_for(runs[0].content["number"], first)
        lines += ["", f"the script of run {first.log_id}, {first.script}, which it starts:", "", own.rstrip("\n")]
    _print("\n".join(lines))


def submit_all(batch: Batch, program: str) -> int:
    """Submit a batch, tell what becomes of each run, and return an exit code; `program` begins what is said."""
    if batch.is_resumed:
        print(f"{program}: {_what_is_resumed(batch)}", file=sys.stderr)
    try:
        with interrupts_between_steps() as stop_if_interrupted:
            batch.prepare(stop_if_interrupted)
            batch.submit(stop_if_interrupted, _print_line)
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


def _print_line(submission: Submission) -> None:
    if submission.status is Status.SUBMITTED:
        what = f"job {submission.job_id}"
    else:
        what = f"not submitted: {submission.content['error']}"
    _print(f"run {submission.directory.log_id}: {what}: {submission.content['run']}")


def _print(line: str) -> None:
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
