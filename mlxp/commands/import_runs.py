"""What ``mlxp import`` does: adds runs that others recorded to a log directory."""

import argparse
import importlib
import sys
from collections.abc import Mapping
from typing import Any, Final

from mlxp.errors import LogDirectoryError
from mlxp.run_directory.printable import printable

_IMPORTERS: Final = ("mlxp.reproduction.importing",)
"""Modules that import one format each: `NAME` says which, `recognises(path)` tells whether a path has it, and
`import_runs(path, logs)` adds its runs and returns what was brought; the first that recognises a path is taken."""


def import_runs(options: argparse.Namespace) -> int:
    """Add runs to a log directory; return 1 if something could not be added."""
    logs = options.target or options.logs
    brought = _importer(options).import_runs(options.source, logs.absolute())
    print(f"{len(brought.new)} run{'s' * (len(brought.new) != 1)} added to {logs}{_listed(brought.new)}")
    if brought.known:
        print(f"{len(brought.known)} there before{_listed(brought.known)}")
    for log_id in brought.changed:
        told = f"run {log_id} has changed since it was added as {brought.known[log_id]}, which is left as it is"
        print(f"mlxp: {told}", file=sys.stderr)
    for problem in brought.problems:
        print(f"mlxp: not added: {printable(problem)}", file=sys.stderr)
    return int(bool(brought.problems))


def _importer(options: argparse.Namespace) -> Any:
    if not options.source.exists():
        raise LogDirectoryError(f"there is no {options.source}")
    known = [importlib.import_module(name) for name in _IMPORTERS]
    for importer in known:
        if importer.recognises(options.source):
            return importer
    raise LogDirectoryError(
        f"{options.source} is nothing that can be imported; that is {'; '.join(one.NAME for one in known)}"
    )


def _listed(ids: Mapping[int, int]) -> str:
    """Return pairs of ids, in short where both go up by one."""
    pairs = list(ids.items())
    if not pairs:
        return ""
    first, last = pairs[0], pairs[-1]
    if len(pairs) > 3 and last[0] - first[0] == last[1] - first[1] == len(pairs) - 1:
        return f": {first[0]}–{last[0]} as {first[1]}–{last[1]}"
    return ": " + ", ".join(f"{before} as {now}" for before, now in pairs)
