"""What ``mlxp rerun`` does: repeats a run as a new run, and checks whether it gives the same results."""

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mlxp.errors import LogDirectoryError, MLXPError
from mlxp.jobs.run_state import run_states
from mlxp.reproduction.comparison import Tolerance, Verdict, compared
from mlxp.reproduction.rerun import Rerun, rerun_of
from mlxp.run_directory.files import write_yaml
from mlxp.run_directory.layout import RunDirectory, create_run_directory
from mlxp.run_directory.status import Status

_OVERRIDE = re.compile(r"(\+{1,2}|~)?[\w.@/-]+=(?!=)|~[\w.@/-]+$")


def rerun(options: argparse.Namespace) -> int:
    """Repeat each run; return 1 if one could not be done, failed, or did not give the same results."""
    ids, query, overrides = _taken_apart(options.words)
    sources = _sources(options.logs, ids, query)
    if not sources:
        raise LogDirectoryError(f"no run in {options.logs} matches {query!r}")
    return max(_done_again(source, overrides, options) for source in sources)


def _taken_apart(words: Sequence[str]) -> tuple[list[int], str, list[str]]:
    """Return the ids, the query and the overrides from the words of a command."""
    ids = [int(word) for word in words if word.isascii() and word.isdigit()]
    overrides = [word for word in words if _OVERRIDE.match(word)]
    queries = [word for word in words if word not in overrides and not (word.isascii() and word.isdigit())]
    if len(queries) > 1 or bool(ids) == bool(queries):
        raise MLXPError(
            "rerun takes ids of runs, or one query, and then overrides: "
            "mlxp rerun 12 15 seed=3; mlxp rerun \"status == 'COMPLETE'\" --check"
        )
    return ids, "".join(queries), overrides


def _sources(logs: Path, ids: Sequence[int], query: str) -> list[RunDirectory]:
    if not logs.is_dir():
        raise LogDirectoryError(f"there is no directory {logs}; name the runs' directory with --logs")
    logs = logs.absolute()
    if query:
        from mlxp.commands.run_query import matching

        return [state.directory for state in matching(run_states(logs), logs, query)]
    runs = [RunDirectory(logs / str(log_id)) for log_id in ids]
    missing = [str(run.log_id) for run in runs if not run.path.is_dir()]
    if missing:
        raise LogDirectoryError(f"there is no run {', '.join(missing)} in {logs}")
    return runs


def _done_again(source: RunDirectory, overrides: Sequence[str], options: argparse.Namespace) -> int:
    try:
        planned = rerun_of(source, overrides)
    except MLXPError as error:
        return _told(source, f"cannot be done again: {error}")
    for remark in planned.remarks:
        print(f"run {source.log_id}: the last digits of numbers may differ: {remark}", file=sys.stderr)
    if planned.differences and not options.force:
        listed = "; ".join(planned.differences)
        return _told(
            source, f"is not done again, since the environment differs: {listed}; --force does it all the same"
        )
    if options.dry_run:
        print(f"run {source.log_id}: in {planned.directory}: {' '.join(planned.words)}")
        return 0
    return _executed(planned, options)


def _told(source: RunDirectory, sentence: str) -> int:
    print(f"run {source.log_id} {sentence}", file=sys.stderr)
    return 1


def _executed(planned: Rerun, options: argparse.Namespace) -> int:
    source = planned.source
    again = create_run_directory(source.path.parent)
    print(f"run {again.log_id}: run {source.log_id} again: {' '.join(planned.words)}", flush=True)
    code = subprocess.run(
        planned.words, cwd=planned.directory, env=planned.environment_in(again), check=False
    ).returncode
    if code:
        print(f"run {again.log_id} ended with exit code {code}", file=sys.stderr)
    if not options.check:
        return int(code != 0)
    verdicts = compared(source, again, Tolerance(options.rtol, options.atol))
    holds = all(verdict.holds for verdict in verdicts) and _status(source) == _status(again)
    _print_verdicts(source, again, verdicts, holds)
    _record(again, verdicts, holds, options)
    return int(not holds)


def _status(run: RunDirectory) -> Status | None:
    return Status.of(run.info().get("status"))


def _print_verdicts(source: RunDirectory, again: RunDirectory, verdicts: Sequence[Verdict], holds: bool) -> None:
    for verdict in verdicts:
        if verdict.outcome != "identical":
            size = f", at most by {verdict.largest:.1e}" if verdict.outcome == "within tolerance" else ""
            print(f"  {verdict.metric}: {verdict.outcome}{size}" + (f"; {verdict.where}" if verdict.where else ""))
    if _status(source) != _status(again):
        print(f"  status: {_status(source)} and {_status(again)}")
    same = sum(verdict.holds for verdict in verdicts)
    answer = "reproduces" if holds else "does not reproduce"
    print(f"run {again.log_id} {answer} run {source.log_id}: {same} of {len(verdicts)} metrics are the same")


def _record(again: RunDirectory, verdicts: Sequence[Verdict], holds: bool, options: argparse.Namespace) -> None:
    """Write the verdict into the run's own file, which is safe since it has ended and we started it."""
    info = again.info()
    if info:
        different = {verdict.metric: verdict.where for verdict in verdicts if not verdict.holds}
        check = {"rtol": options.rtol, "atol": options.atol, "different": different}
        write_yaml(again.info_file, {**info, "reproduces": holds, "check": check})
