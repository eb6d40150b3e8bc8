"""What ``mlxp rerun`` does: repeats a run as a new run, and checks whether it gives the same results."""

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mlxp.commands.logs_directory import check_directory
from mlxp.errors import LogDirectoryError, MLXPError
from mlxp.jobs.rerun_script import submit_rerun
from mlxp.jobs.run_state import run_states
from mlxp.reproduction.comparison import Tolerance, Verdict, compared
from mlxp.reproduction.rerun import Rerun, differing, in_its_environment, rerun_of
from mlxp.run_directory.files import write_yaml
from mlxp.run_directory.layout import RunDirectory, create_run_directory
from mlxp.run_directory.status import Status

_OVERRIDE = re.compile(r"(\+{1,2}|~)?[\w.@/-]+=(?!=)|~[\w.@/-]+$")


def rerun(options: argparse.Namespace) -> int:
    """Repeat each run; return 1 if one could not be done, failed, or did not give the same results."""
    if options.submit and options.check:
        raise MLXPError(
            "--check compares runs that have ended, and a submitted run has not ended; leave out --check or --submit"
        )
    ids, query, overrides = _taken_apart(options.words)
    sources = _sources(options.logs, ids, query)
    if not sources:
        raise LogDirectoryError(f"no run in {options.logs} matches {query!r}")
    outcomes = {source.log_id: _done_again(source, overrides, options) for source in sources}
    if len(outcomes) > 1:
        print(_summary(outcomes))
    return int(any(outcome not in _GOOD for outcome in outcomes.values()))


_GOOD: Final = ("reproduced", "done again", "submitted", "planned")
_WORST_FIRST: Final = (
    "cannot be repeated",
    "not done again",
    "not submitted",
    "failed",
    "not reproduced",
    "not compared",
    *_GOOD,
)


def _summary(outcomes: Mapping[int, str]) -> str:
    """Return how many runs came out how, and which of them did not come out well.

    Examples
    --------
    >>> _summary({3: "reproduced", 4: "not reproduced", 5: "reproduced"})
    '3 runs: 1 not reproduced (4), 2 reproduced'
    """
    parts = []
    for outcome in _WORST_FIRST:
        ids = [log_id for log_id, one in outcomes.items() if one == outcome]
        which = "" if outcome in _GOOD else f" ({', '.join(map(str, ids))})"
        parts += [f"{len(ids)} {outcome}{which}"] if ids else []
    return f"{len(outcomes)} runs: {', '.join(parts)}"


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
    check_directory(logs)
    logs = logs.absolute()
    if query:
        from mlxp.commands.run_query import matching

        return [state.directory for state in matching(run_states(logs), logs, query)]
    runs = [RunDirectory(logs / str(log_id)) for log_id in ids]
    missing = [str(run.log_id) for run in runs if not run.path.is_dir()]
    if missing:
        raise LogDirectoryError(f"there is no run {', '.join(missing)} in {logs}")
    return runs


def _done_again(source: RunDirectory, overrides: Sequence[str], options: argparse.Namespace) -> str:
    """Repeat one run, and return what came out."""
    try:
        planned = rerun_of(source, overrides)
        if options.env == "uv" and not options.dry_run:
            planned = in_its_environment(planned)
    except MLXPError as error:
        return _told(source, f"cannot be repeated: {error}", "cannot be repeated")
    for remark in planned.remarks:
        print(f"run {source.log_id}: {remark}", file=sys.stderr)
    if planned.differences and not options.force and not options.env:
        listed = "; ".join(planned.differences)
        ways = "--env uv recreates the one that it had, and --force uses this one anyway"
        return _told(source, f"is not repeated, because the environment differs: {listed}; {ways}", "not done again")
    if options.dry_run:
        print(f"run {source.log_id}: in {planned.directory}: {shlex.join(planned.words)}")
        return "planned"
    if options.submit:
        return _submitted(planned, overrides)
    return _executed(planned, options)


def _submitted(planned: Rerun, overrides: Sequence[str]) -> str:
    try:
        return "not submitted" if submit_rerun(planned, overrides) else "submitted"
    except MLXPError as error:
        return _told(planned.source, f"is not submitted: {error}", "not submitted")


def _told(source: RunDirectory, sentence: str, outcome: str) -> str:
    print(f"run {source.log_id} {sentence}", file=sys.stderr)
    return outcome


def _executed(planned: Rerun, options: argparse.Namespace) -> str:
    source = planned.source
    again = create_run_directory(source.path.parent)
    print(f"run {again.log_id}: run {source.log_id} again: {' '.join(planned.words)}", flush=True)
    code = subprocess.run(
        planned.words, cwd=planned.directory, env=planned.environment_in(again), check=False
    ).returncode
    if not any(again.path.iterdir()):
        again.path.rmdir()
        return _told(source, f"was not done again: its program ended with exit code {code} before the run", "failed")
    if code:
        print(f"run {again.log_id} ended with exit code {code}", file=sys.stderr)
    if not options.check:
        return "failed" if code else "done again"
    verdicts = compared(source, again, Tolerance(options.rtol, options.atol))
    if not verdicts and (_status(source) == Status.COMPLETE or _reason(source) != _reason(again)):
        return _told(source, "has logged no metrics that could be compared", "not compared")
    holds = all(verdict.holds for verdict in verdicts) and _status(source) == _status(again)
    _print_verdicts(source, again, verdicts, holds)
    if any(verdict.outcome != "identical" for verdict in verdicts):
        _print_differing_environment(source, again)
    _record(again, verdicts, holds, options)
    return "reproduced" if holds else "not reproduced"


def _print_differing_environment(source: RunDirectory, again: RunDirectory) -> None:
    then, now = (run.info().get("environment") or {} for run in (source, again))
    for sentence in differing(then, now, ("cpu", "cpus", "gpus", "gpu_driver", "blas", "switches", "variables")):
        print(f"  {sentence}")


def _status(run: RunDirectory) -> Status | None:
    return Status.of(run.info().get("status"))


def _reason(run: RunDirectory) -> Any:
    """Return how a run ended."""
    return (run.info().get("exit") or {}).get("reason")


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
