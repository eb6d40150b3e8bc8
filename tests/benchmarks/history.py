"""How long it takes to make a tidy table of the curves of many runs, from the cache.

``python history.py FOLDER --runs 10000 --records 1000`` writes runs into FOLDER unless they are there, reads them once
to fill the cache, and prints the CPU seconds of `DataFrame.history` of a new reader, beside those of a copy of the
numbers.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from synthetic_logs import write_logs

from mlxp_reader import Reader


def cpu_seconds(action):
    """Return the CPU and wall seconds of `action`, and what it returned."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = action()
    return time.process_time() - cpu, time.perf_counter() - wall, result


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--records", type=int, default=1000)
    options = parser.parse_args()
    if not options.folder.exists():
        write_logs(options.folder, options.runs, options.records)
    Reader(options.folder).filter().history("train.loss")
    runs = Reader(options.folder, refresh=False).filter()
    cpu, wall, found = cpu_seconds(lambda: runs.history("train.loss"))
    numbers = [np.asarray(found[name]) for name in ("log_id", "step", "train.loss")]
    copying = min(cpu_seconds(lambda: [column.copy() for column in numbers])[0] for _ in range(3))
    size = f"{len(found):,} values, {found.shape[1]} columns"
    print(f"{size}: {cpu:.2f} s CPU, {wall:.2f} s wall, {cpu / copying:.0f} times a copy")


if __name__ == "__main__":
    main()
