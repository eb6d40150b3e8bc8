"""What ``mlxp`` does with the jobs of runs: shows their status and output, cancels them and submits them again."""

import argparse
import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from mlxp.commands.logs_directory import check_directory
from mlxp.commands.terminal import coloured
from mlxp.errors import LogDirectoryError, MLXPError
from mlxp.jobs.cancellation import cancel as cancel_jobs
from mlxp.jobs.local import cancel_here
from mlxp.jobs.resubmission import resubmit as submit_again
from mlxp.jobs.run_state import RunState, run_states
from mlxp.jobs.submission import Submission
from mlxp.jobs.submitting import stops_between_steps
from mlxp.jobs.warning import warn
from mlxp.printing import guarded_output
from mlxp.run_directory.batches import LAST
from mlxp.run_directory.layout import RunDirectory
from mlxp.run_directory.printable import printable
from mlxp.run_directory.status import Status
from mlxp.scheduler import Scheduler

_POLL_SECONDS = 0.5


def _runs(options: argparse.Namespace) -> list[RunState]:
    return _matching(_in_batch(_all_runs(options), options), options)


def _all_runs(options: argparse.Namespace, *, ask_all: bool = False) -> list[RunState]:
    check_directory(options.logs)
    # The path is absolute, since a job that is submitted again starts elsewhere.
    return run_states(options.logs.absolute(), ask_all=ask_all)


def _matching(runs: list[RunState], options: argparse.Namespace) -> list[RunState]:
    if not getattr(options, "query", None):
        return runs
    from mlxp.commands.run_query import matching

    return matching(runs, options.logs, options.query)


def _in_batch(runs: list[RunState], options: argparse.Namespace) -> list[RunState]:
    """Return the runs of the batch that is asked for, or all runs."""
    if options.batch is None:
        return runs
    known = list(dict.fromkeys(run.batch for run in reversed(runs) if run.batch))
    name = known[0] if known and options.batch == LAST else options.batch
    if name not in known:
        shown = f"the latest are {', '.join(known[:5])}" if known else "no run there belongs to a batch"
        raise MLXPError(f"there is no batch {name!r} in {options.logs}; {shown}")
    return [run for run in runs if run.batch == name]


def status(options: argparse.Namespace) -> int:
    """Show the status of the runs."""
    runs = _runs(options)
    if options.json:
        print(json.dumps([run.to_dict() for run in runs], indent=2))
        return 0
    counts = Counter(run.status for run in runs)
    summary = ", ".join(f"{count} {coloured(state)}" for state, count in counts.most_common())
    print(f"{len(runs)} run{'s' * (len(runs) != 1)} in {options.logs}" + (f": {summary}" if summary else ""))
    for run in runs:
        if run.status is not Status.COMPLETE or run.code_change:
            job = f"job {printable(run.job_id)}  " if run.job_id else ""
            reasons = [_first_line(run.reason) if run.status is not Status.COMPLETE else "", run.code_change]
            reason = printable("; ".join(filter(None, reasons)))
            print(f"{run.directory.log_id:>6}  {coloured(run.status, width=9)}  {job}{reason}".rstrip())
    return 0


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def cancel(options: argparse.Namespace) -> int:
    """Cancel the jobs of waiting or running runs."""
    everything = _all_runs(options, ask_all=True)
    going_on = [run for run in everything if run.has_live_job]
    chosen = [run for run in _in_batch(everything, options) if run.has_live_job or _is_live_here(run)]
    chosen = _matching(chosen, options)
    runs = [run for run in chosen if run.has_live_job]
    _refuse_to_cancel_others(runs, going_on)
    _refuse_to_cancel_in_vain(runs)
    errors, cancelled = _cancel_here([run for run in chosen if not run.has_live_job])
    with stops_between_steps() as stop_if_asked:
        for scheduler, jobs in _jobs_by_scheduler(runs):
            stop_if_asked()
            error = cancel_jobs(scheduler, jobs)
            if error:
                errors.append(error)
                print(f"mlxp: {error}", file=sys.stderr)
            else:
                cancelled += [str(one.directory.log_id) for group in jobs.values() for one in group]
    if cancelled or not errors:
        several = "s" * (len(cancelled) != 1)
        which = f": {' '.join(cancelled)}" if cancelled else "; none of these has a job in progress"
        print(f"cancelled the jobs of {len(cancelled)} run{several}{which}")
    return 1 if errors else 0


def _is_live_here(run: RunState) -> bool:
    return run.is_local and (run.status is Status.PREPARED or run.status.is_under_way)


def _cancel_here(runs: list[RunState]) -> tuple[list[str], list[str]]:
    """Cancel runs that have no job, and return the complaints, and the ids of those that are cancelled."""
    errors, cancelled = [], []
    for run in runs:
        error = cancel_here(run.submission) if run.submission is not None else None
        if error:
            errors.append(error)
            print(f"mlxp: {error}", file=sys.stderr)
        else:
            cancelled.append(str(run.directory.log_id))
    return errors, cancelled


def preempt(options: argparse.Namespace) -> int:
    """Send runs the warning that a scheduler sends before it ends a job."""
    check_directory(options.logs)
    found = {run.directory.log_id: run for run in run_states(options.logs.absolute(), options.log_ids)}
    code = 0
    for log_id in options.log_ids:
        if log_id not in found:
            raise LogDirectoryError(f"there is no run {log_id} in {options.logs}")
        problem = warn(found[log_id])
        code = 1 if problem else code
        print(f"run {log_id}: {problem or 'warned'}", file=sys.stderr if problem else sys.stdout)
    return code


def _jobs_by_scheduler(runs: list[RunState]) -> list[tuple[Scheduler, dict[str, list[Submission]]]]:
    found: dict[str, tuple[Scheduler, dict[str, list[Submission]]]] = {}
    for run in runs:
        if run.submission is not None:
            scheduler = run.submission.scheduler
            _, jobs = found.setdefault(scheduler.name, (scheduler, {}))
            jobs.setdefault(str(run.job_id), []).append(run.submission)
    return list(found.values())


def _refuse_to_cancel_others(runs: list[RunState], going_on: list[RunState]) -> None:
    """Raise an error if a job of `runs` also does other runs, since it can only be cancelled as a whole."""
    jobs = {run.job_key for run in runs}
    sharing = [run for run in going_on if run.job_key in jobs and run.says is not Status.COMPLETE]
    others = [str(run.directory.log_id) for run in sharing if run not in runs]
    if others:
        ids = ", ".join(str(run.directory.log_id) for run in sharing)
        raise MLXPError(
            f"the same jobs also do the runs {', '.join(others)}, and can only be cancelled as a whole; nothing was "
            f'cancelled. To cancel them all: mlxp cancel "info.logger.log_id in [{ids}]"'
        )


def _refuse_to_cancel_in_vain(runs: list[RunState]) -> None:
    """Raise an error if a run may have another job by now, since cancelling the known one would end nothing."""
    moved = [run for run in runs if run.may_have_moved]
    if moved:
        raise MLXPError(f"{moved[0].unknown_job}; nothing was cancelled, try again later")


def output(options: argparse.Namespace) -> int:
    """Print the output of a run; if it is followed, keep printing until the run has ended."""
    directory = RunDirectory(options.logs / str(options.log_id))
    if not directory.path.is_dir():
        raise LogDirectoryError(f"there is no run {options.log_id} in {options.logs}")
    file = directory.stderr if options.stderr else directory.stdout
    if not file.exists() and not options.follow:
        raise LogDirectoryError(
            f"there is no {file}: the run has printed nothing yet, or was started with log_streams_to_file: false"
        )
    with guarded_output() as printed:
        for text in _followed(file, directory) if options.follow else [file.read_bytes()]:
            printed.write_bytes(text)
            printed.flush()
            if printed.problem is not None:  # as when the output is piped to `head`
                return 1
    return 0


def _followed(file: Path, directory: RunDirectory) -> Iterator[bytes]:
    opened: IO[bytes] | None = None
    with contextlib.ExitStack() as files:
        while True:
            state = run_states(directory.path.parent, [directory.log_id])[0]
            if opened is None and file.exists():
                opened = files.enter_context(file.open("rb"))
            # The file is read after the state, so that the last output is not missed.
            if opened is not None:
                yield opened.read()
            if not state.status.is_open:
                return
            time.sleep(_POLL_SECONDS)


def resubmit(options: argparse.Namespace) -> int:
    """Submit runs again under their ids."""
    runs = _matching(_in_batch(_all_runs(options, ask_all=options.query is not None), options), options)
    if options.query is None:
        runs = [run for run in runs if run.status.is_unsubmitted and run.submission is not None and not run.is_local]
    code = 0
    with stops_between_steps() as stop_if_asked:
        again = submit_again(runs, stop_if_asked, force=options.force, accept_changes=options.accept_changes)
        for log_id, submission, problem in again:
            code = 1 if problem else code
            what = f"not submitted: {problem}" if problem or submission is None else f"job {submission.job_id}"
            print(f"run {log_id}: {what}", flush=True)
    if not runs:
        print("no run to submit")
    return code
