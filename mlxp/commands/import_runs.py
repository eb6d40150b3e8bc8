"""What ``mlxp import`` does: adds runs that others recorded to a log directory."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mlxp.errors import LogDirectoryError
from mlxp.importers import format_of, formats
from mlxp.importers.adding import add_runs
from mlxp.importers.foreign_run import Format
from mlxp.reproduction import importing
from mlxp.run_directory.printable import printable

_ARCHIVES: Final = "a zip file that mlxp export wrote, or one of a log directory"


def import_runs(options: argparse.Namespace) -> int:
    """Add runs to a log directory; return 1 if something could not be added."""
    source, logs = options.source, options.target or options.logs
    if not source.exists():
        raise LogDirectoryError(f"there is no {source}")
    if importing.recognises(source):
        return _from_archive(source, logs)
    found = format_of(source)
    if found is None:
        known = "; ".join([_ARCHIVES, *(one.what for one in formats())])
        raise LogDirectoryError(f"{source} is nothing that can be imported; that is {known}")
    return _from_tool(found, source, logs)


def _from_archive(source: Path, logs: Path) -> int:
    brought = importing.import_runs(source, logs.absolute())
    print(f"{_runs(len(brought.new))} added to {logs}{_listed(brought.new)}")
    if brought.known:
        print(f"{len(brought.known)} there before{_listed(brought.known)}")
    for log_id in brought.changed:
        _warn(f"run {log_id} has changed since it was added as {brought.known[log_id]}, which is left as it is")
    return _problems(brought.problems)


def _from_tool(found: Format, source: Path, logs: Path) -> int:
    added = add_runs(found, source, logs.absolute())
    print(f"{_runs(len(added.new))} of {found.tool} added to {logs}{_ids(added.new)}")
    if added.known:
        print(f"{len(added.known)} there before{_ids(added.known)}")
    if added.updated:
        print(f"{len(added.updated)} of these had grown, and were brought up to date{_ids(added.updated)}")
    for kind, count in sorted(added.left_out.items()):
        print(f"left out of {_runs(count)}: {printable(kind)}")
    for log_id in added.changed:
        _warn(f"the files of run {log_id} have changed since it was added; it is left as it is")
    return _problems(added.problems)


def _runs(count: int) -> str:
    return f"{count} run{'s' * (count != 1)}"


def _warn(sentence: str) -> None:
    print(f"mlxp: {sentence}", file=sys.stderr)


def _problems(problems: list[str]) -> int:
    for problem in problems:
        _warn(f"not added: {printable(problem)}")
    return int(bool(problems))


def _ids(ids: list[int]) -> str:
    """Return ids, in short where each is one more than the one before."""
    if not ids:
        return ""
    if len(ids) > 3 and ids[-1] - ids[0] == len(ids) - 1 and ids == sorted(ids):
        return f": {ids[0]}–{ids[-1]}"
    return f": {', '.join(map(str, ids))}"


def _listed(ids: Mapping[int, int]) -> str:
    """Return pairs of ids, in short where both go up by one."""
    pairs = list(ids.items())
    if not pairs:
        return ""
    first, last = pairs[0], pairs[-1]
    if len(pairs) > 3 and last[0] - first[0] == last[1] - first[1] == len(pairs) - 1:
        return f": {first[0]}–{last[0]} as {first[1]}–{last[1]}"
    return ": " + ", ".join(f"{before} as {now}" for before, now in pairs)
