"""What ``mlxp verify`` does: recomputes the numbers of tables, figures and texts from the runs."""

import argparse

from mlxp.errors import MLXPError
from mlxp.run_directory.printable import printable


def verify(options: argparse.Namespace) -> int:
    """Say of each file how many of its numbers hold, and what has changed; return 1 if anything has."""
    from mlxp_reader.verification import verify as recompute

    missing = [str(path) for path in options.paths if not path.exists() and not path.with_suffix(".json").exists()]
    if missing:
        raise MLXPError(f"there is no {' and no '.join(missing)}")
    found = recompute(options.paths, [options.logs] if options.logs else [])
    for one in found:
        print(printable(f"{one.file}: {one.count - one.broken} of {one.count} hold"))
        for failure in one.failures:
            print(printable(f"  {failure}"))
    return int(not all(one.holds for one in found))
