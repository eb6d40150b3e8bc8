"""What ``mlxp gc`` does: removes copies and states of the code that no run needs."""

import argparse

from mlxp.commands.logs_directory import check_directory
from mlxp.reproduction.garbage import collect
from mlxp.reproduction.store import megabytes, size_of
from mlxp.run_directory.layout import STORE_DIR


def gc(options: argparse.Namespace) -> int:
    """Remove what no run needs, and say how much that is."""
    check_directory(options.logs)
    logs = options.logs.absolute()
    found = collect(logs, dry_run=options.dry_run)
    told = [
        _counted(len(found.copies), "copy", "copies"),
        _counted(len(found.states), "state of the code", "states of the code"),
        _counted(len(found.environments), "list of packages", "lists of packages"),
    ]
    listed = ", ".join(one for one in told if one) or "nothing"
    verb = "would be removed" if options.dry_run else "removed"
    print(f"{verb}: {listed}; {megabytes(found.copy_bytes + found.object_bytes)}")
    if found.new:
        print(f"{found.new} that no run needs {'is' if found.new == 1 else 'are'} too new to remove, and may be in use")
    print(f"{'there is' if options.dry_run else 'left'}: {size_of(logs / STORE_DIR)}")
    return 0


def _counted(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}" if count else ""
