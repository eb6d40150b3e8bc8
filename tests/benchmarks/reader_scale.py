"""What a run costs the reader where there are ever more of them: the lines should be alike.

``python reader_scale.py --runs 1000 10000 100000`` prints CPU microseconds per run for a first and a second opening,
and CPU milliseconds for a query on two columns.
"""

import argparse
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from synthetic_logs import write_logs

HERE = Path(__file__).parent
QUERY = "config.optimizer.lr > 0.5 & info.status == 'COMPLETE'"


def cpu() -> float:
    """Return the CPU seconds of this process and its children."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure(logs: Path) -> dict[str, float]:
    """Open, open again and ask the runs in `logs`, everything imported before."""
    from mlxp_reader.reader import Reader

    with tempfile.TemporaryDirectory() as folder:
        write_logs(Path(folder), runs=4, records=2)
        Reader(folder).filter(QUERY)
    cold = min(cost_of_first_opening(logs) for _ in range(2))  # the first one also waits for what was just written
    times = [cpu()]
    reader = Reader(logs)
    times.append(cpu())
    reader.filter(QUERY)
    times.append(cpu())
    again, query = (after - before for before, after in itertools.pairwise(times))
    index = (logs / ".mlxp" / "index.parquet").stat().st_size / 2**20
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cold": cold, "again": again, "query": query, "index": index, "memory": memory}


def cost_of_first_opening(logs: Path) -> float:
    """Return the CPU seconds that it takes to read all runs in `logs`."""
    from mlxp_reader.reader import Reader

    shutil.rmtree(logs / ".mlxp", ignore_errors=True)
    before = cpu()
    Reader(logs)
    return cpu() - before


def measured_apart(logs: Path) -> dict[str, float]:
    """Return what `measure` returns in a process of its own."""
    paths = os.pathsep.join([str(HERE), str(HERE.parents[1]), str(HERE.parents[1] / "reader")])
    command = [sys.executable, __file__, "--measure", str(logs)]
    environment = {**os.environ, "PYTHONPATH": paths}
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(answer.stdout)
    return result


def main() -> None:
    """Print a line for each number of runs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--records", type=int, default=2)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    print("| runs | cold, per run | again, per run | query | index | memory |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for runs in options.runs:
        with tempfile.TemporaryDirectory() as folder:
            write_logs(Path(folder), runs, options.records)
            time.sleep(3)  # what is younger is not trusted
            used = measured_apart(Path(folder))
        cells = (
            f"{used['cold'] / runs * 1e6:.0f} us",
            f"{used['again'] / runs * 1e6:.0f} us",
            f"{used['query'] * 1e3:.1f} ms",
            f"{used['index']:.1f} MB",
            f"{used['memory']:.0f} MB",
        )
        print(f"| {runs:,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
