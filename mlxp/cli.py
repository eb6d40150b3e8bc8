"""The command ``mlxp``: looks at the runs in a log directory, and acts on their jobs."""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from mlxp.errors import JobSubmissionError, LogDirectoryError, MLXPError
from mlxp.layout import RunDirectory
from mlxp.run_state import RunState, run_states
from mlxp.status import Status
from mlxp.submission import SUBMITTED, Submission, cancel, resubmit

__all__ = ["main"]

_COLOURS = {
    Status.COMPLETE.value: "32",
    Status.RUNNING.value: "36",
    Status.STARTING.value: "36",
    Status.SUBMITTED.value: "34",
    "PREPARED": "33",
    "LOST": "33",
}
"""Colours of a terminal by status; every other status is red."""

_POLL_SECONDS = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 1 if something failed."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.verb(options))
    except MLXPError as error:
        print(f"mlxp: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # as when the output is piped to `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--logs", type=Path, default=Path("logs"), metavar="DIR", help="log directory; default: logs")
    parser = argparse.ArgumentParser(prog="mlxp", description="Look at runs and act on their jobs.")
    verbs = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def verb(name: str, function: object, text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, parents=[common], help=text, description=text)
        added.set_defaults(verb=function)
        return added

    query = "which runs, such as \"info.status == 'FAILED' & seed < 3\""
    status = verb("status", _status, "Tell what became of the runs, and why, as far as the schedulers know.")
    status.add_argument("query", nargs="?", help=f"{query}; default: all")
    status.add_argument("--json", action="store_true", help="print a list with one object per run")
    cancelled = verb("cancel", _cancel, "Cancel the jobs of runs.")
    cancelled.add_argument("query", help=query)
    output = verb("output", _output, "Print what a run has printed.")
    output.add_argument("log_id", type=int, metavar="ID")
    output.add_argument("-f", "--follow", action="store_true", help="go on until the run has ended")
    output.add_argument("--stderr", action="store_true", help="what it has printed as errors")
    again = verb("resubmit", _resubmit, "Submit runs again, under the same ids.")
    again.add_argument("query", nargs="?", help=f"{query}; default: those whose job was not submitted")
    return parser


def _runs(options: argparse.Namespace) -> list[RunState]:
    return _matching(_all_runs(options), options)


def _all_runs(options: argparse.Namespace) -> list[RunState]:
    if not options.logs.is_dir():
        raise LogDirectoryError(f"there is no directory {options.logs}; name the runs' directory with --logs")
    # Absolute, since a job that is submitted again starts elsewhere.
    return run_states(options.logs.absolute())


def _matching(runs: list[RunState], options: argparse.Namespace) -> list[RunState]:
    if not getattr(options, "query", None):
        return runs
    from mlxp.run_query import matching

    return matching(runs, options.logs, options.query)


def _status(options: argparse.Namespace) -> int:
    runs = _runs(options)
    if options.json:
        print(json.dumps([run.to_dict() for run in runs], indent=2))
        return 0
    counts = Counter(run.status for run in runs)
    summary = ", ".join(f"{count} {_coloured(status)}" for status, count in counts.most_common())
    print(f"{len(runs)} run{'s' * (len(runs) != 1)} in {options.logs}" + (f": {summary}" if summary else ""))
    for run in runs:
        if run.status != Status.COMPLETE:
            job = f"job {run.job_id}  " if run.job_id else ""
            print(
                f"{run.directory.log_id:>6}  {_coloured(run.status, width=9)}  {job}{_first_line(run.reason)}".rstrip()
            )
    return 0


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _coloured(status: str, width: int = 0) -> str:
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return f"{status:<{width}}"
    return f"\033[{_COLOURS.get(status, '31')}m{status:<{width}}\033[0m"


def _cancel(options: argparse.Namespace) -> int:
    going_on = [run for run in _all_runs(options) if run.is_open and run.status not in {"KILLED", "FAILED", "LOST"}]
    runs = _matching(going_on, options)
    _refuse_to_cancel_others(runs, going_on)
    submitted = [(run.submission, str(run.job_id)) for run in runs if run.submission is not None]
    code = 0
    for scheduler in {one.scheduler.name: one.scheduler for one, _ in submitted}.values():
        own = [(one, job_id) for one, job_id in submitted if one.scheduler.name == scheduler.name]
        error = cancel(scheduler, [one for one, _ in own], [job_id for _, job_id in own])
        if error:
            print(f"mlxp: {error}", file=sys.stderr)
            code = 1
    ids = " ".join(str(run.directory.log_id) for run in runs)
    count = f"{len(runs)} run{'s' * (len(runs) != 1)}"
    print(f"cancelled the jobs of {count}" + (f": {ids}" if runs else "; none of these has one that goes on"))
    return code


def _refuse_to_cancel_others(runs: list[RunState], going_on: list[RunState]) -> None:
    """Raise an error if a job of `runs` also does others: it can only be cancelled as a whole."""
    jobs = {run.job_key for run in runs}
    sharing = [run for run in going_on if run.job_key in jobs]
    others = [str(run.directory.log_id) for run in sharing if run not in runs]
    if others:
        ids = ", ".join(str(run.directory.log_id) for run in sharing)
        raise MLXPError(
            f"the same jobs also do the runs {', '.join(others)}, and can only be cancelled as a whole; nothing was "
            f'cancelled. To cancel them all: mlxp cancel "info.logger.log_id in [{ids}]"'
        )


def _output(options: argparse.Namespace) -> int:
    directory = RunDirectory(options.logs / str(options.log_id))
    if not directory.path.is_dir():
        raise LogDirectoryError(f"there is no run {options.log_id} in {options.logs}")
    file = directory.stderr if options.stderr else directory.stdout
    if not file.exists() and not options.follow:
        raise LogDirectoryError(
            f"there is no {file}: the run has printed nothing yet, or was started with log_streams_to_file: false"
        )
    for text in _followed(file, directory) if options.follow else [file.read_bytes()]:
        sys.stdout.buffer.write(text)
        sys.stdout.flush()
    return 0


def _followed(file: Path, directory: RunDirectory) -> Iterator[bytes]:
    opened: IO[bytes] | None = None
    while True:
        state = run_states(directory.path.parent, [directory.log_id])[0]
        if opened is None and file.exists():
            opened = file.open("rb")
        # Read after the look at the state, so that what was printed last is not missed.
        if opened is not None:
            yield opened.read()
        if state.status not in {Status.SUBMITTED, Status.STARTING, Status.RUNNING}:
            return
        time.sleep(_POLL_SECONDS)


def _resubmit(options: argparse.Namespace) -> int:
    runs = _runs(options)
    if options.query is None:
        runs = [run for run in runs if run.submission is not None and run.submission.status != SUBMITTED]
    code = 0
    for run in runs:
        problem = _problem_of_resubmission(run)
        if problem is None and run.submission is not None:
            problem = _resubmitted(run.submission)
        if problem is not None:
            code = 1
        what = f"job {run.submission.job_id}" if problem is None and run.submission else f"not submitted: {problem}"
        print(f"run {run.directory.log_id}: {what}", flush=True)
    if not runs:
        print("no run to submit")
    return code


def _problem_of_resubmission(run: RunState) -> str | None:
    if run.submission is None:
        return "it was not submitted by mlxpsub"
    if run.status in {Status.SUBMITTED, Status.STARTING, Status.RUNNING}:
        return f"it is {run.status}; cancel it first"
    return None


def _resubmitted(submission: Submission) -> str | None:
    try:
        resubmit(submission)
    except JobSubmissionError as error:
        return str(error)
    return None
