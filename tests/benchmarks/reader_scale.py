"""What the index costs for more and more runs: the cost per run should stay the same.

``python reader_scale.py`` writes up to 100,000 run directories (about 3 GB, removed at the end) and takes some minutes;
``--runs`` gives other numbers. For each number of runs: CPU microseconds per run of the first opening, of opening again
with nothing changed, and CPU milliseconds of a query, with the memory that the reader's process had at most.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from reader_compare import HERE, SETTLED, forget, run
from synthetic_logs import write_logs

_LINE = "| {:>8} | {:>16} | {:>16} | {:>12} | {:>12} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--logs", type=Path, help="where to write the logs, and to find those of an earlier run")
    options = parser.parse_args()
    folder = options.logs or Path(tempfile.mkdtemp())
    print(_LINE.format("runs", "first: us / run", "again: us / run", "query: ms", "memory: MB"))
    print(_LINE.format("-" * 8, "-" * 16, "-" * 16, "-" * 12, "-" * 12))
    for runs in options.runs:
        logs = folder / f"{runs}x1"
        if not logs.exists():
            write_logs(logs, runs, records=1)
            time.sleep(SETTLED)
        forget(logs)
        first, again, query = (
            run([sys.executable, HERE / "reader_tasks.py", task, logs]) for task in ("open", "open", "filter")
        )
        costs = [f"{used['cpu'] / runs * 1e6:.0f}" for used in (first, again)]
        print(_LINE.format(runs, *costs, f"{query['cpu'] * 1e3:.1f}", f"{first['peak']:.0f}"), flush=True)
    if not options.logs:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
