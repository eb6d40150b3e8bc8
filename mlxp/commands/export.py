"""What ``mlxp export`` does: puts runs, and all that they were made from, into a zip file for others."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mlxp.commands.run_query import chosen
from mlxp.errors import LogDirectoryError, MLXPError
from mlxp.jobs.run_state import RunState, run_states
from mlxp.reproduction.export import Told, names_of
from mlxp.reproduction.export import export as write_export
from mlxp.reproduction.exported_run import ExportedRun, raw_info, with_those_made_from
from mlxp.reproduction.store import megabytes
from mlxp.run_directory.archive import is_archive
from mlxp.run_directory.layout import RunDirectory
from mlxp.run_directory.printable import printable
from mlxp.run_directory.status import Status

_MOST_FILES = 3  # that are named for each name that is left


def export(options: argparse.Namespace) -> int:
    """Write runs to a zip file."""
    *words, name = options.words
    target = _target(name, words)
    asked = [run.directory for run in chosen(options.logs, words)]
    states = _states(with_those_made_from(asked))
    _refuse_unfinished(states)
    runs = _numbered(states, asked[0].path.parent)
    names = None if options.keep_names else names_of(runs, options.hide)
    told = write_export(runs, target, names, artifacts=options.artifacts)
    more = [run for run in runs if run.directory not in asked]
    several = "s" * (len(asked) != 1)
    taken = f", and {len(more)} that they were made from: {_ids(more)}" if more else ""
    print(f"{target}: {len(asked)} run{several}{taken}; {megabytes(target.stat().st_size)}")
    _tell(told)
    return 0


def _target(name: str, words: Sequence[str]) -> Path:
    target = Path(name)
    if not words or target.suffix != ".zip":
        raise MLXPError(
            "export takes ids of runs, or one query, and then the zip file to write: "
            "mlxp export 12 15 supplement.zip; mlxp export \"status == 'COMPLETE'\" supplement.zip"
        )
    if not target.parent.is_dir():
        raise LogDirectoryError(f"there is no directory {target.parent} to write {target.name} into")
    if target.exists() and not is_archive(target):
        raise LogDirectoryError(f"{target} exists and is not a zip file; choose another name")
    return target


def _states(runs: Sequence[RunDirectory]) -> list[RunState]:
    """Return the runs with their status; they may be in several directories."""
    by_parent: dict[Path, list[int]] = {}
    for run in runs:
        by_parent.setdefault(run.path.parent, []).append(run.log_id)
    return [state for parent, ids in by_parent.items() for state in run_states(parent, ids)]


def _refuse_unfinished(states: Sequence[RunState]) -> None:
    unfinished = [state for state in states if state.status.is_open or state.status.is_unsubmitted]
    if unfinished:
        listed = ", ".join(f"run {state.directory.log_id} is {state.status}" for state in unfinished)
        raise MLXPError(
            f"{listed}: only runs that have ended can be exported; nothing was written; "
            "leave others out by a query such as \"status in ['COMPLETE', 'FAILED']\""
        )


def _numbered(states: Sequence[RunState], logs: Path) -> list[ExportedRun]:
    """Return the runs with their ids in the export: the same, but for runs from other directories."""
    inside = [state for state in states if state.directory.path.parent == logs]
    elsewhere = [state for state in states if state.directory.path.parent != logs]
    ids = [state.directory.log_id for state in inside]
    ids += range(max(ids) + 1, max(ids) + 1 + len(elsewhere))
    return [
        ExportedRun(state.directory, raw_info(state.directory), _word(state.status), log_id)
        for state, log_id in zip([*inside, *elsewhere], ids, strict=True)
    ]


def _word(status: Status) -> str:
    return status.value


def _ids(runs: Sequence[ExportedRun]) -> str:
    return ", ".join(str(run.log_id) for run in runs)


def _tell(told: Told) -> None:
    """Say what is not in the export, and which names still are."""
    for what in told.left_out:
        print(f"not in the export: {printable(what)}", file=sys.stderr)
    for word, files in sorted(told.names.items()):
        some = ", ".join(files[:_MOST_FILES]) + (f", and {len(files) - _MOST_FILES} more" * (len(files) > _MOST_FILES))
        print(f"the name {printable(word)} is still in it: {printable(some)}", file=sys.stderr)
    if told.names:
        print(
            "code, metrics and artifacts are never changed; --hide NAME takes a name out of configurations",
            file=sys.stderr,
        )
