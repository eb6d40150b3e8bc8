"""What a run costs the reader where there are ever more of them: the lines should be alike.

``python reader_scale.py --runs 1000 10000 100000`` prints CPU microseconds per run for a first opening, for another one
that looks at all files, and for one that glances at runs as at those that ended long ago; how many times the cost of
three bare ``os.stat`` that is; CPU milliseconds for a query on two columns; and the peak memory of a process that does
nothing else, with its imports. ``--logs FOLDER`` measures runs that are there already.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from synthetic_logs import write_logs

HERE = Path(__file__).parent
QUERY = "config.optimizer.lr > 0.5 & info.status == 'COMPLETE'"
STAGES = ("cold", "again", "glance", "stats", "query")


def cpu() -> float:
    """Return the CPU seconds of this process and its children."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure(stage: str, logs: Path, cache: Path) -> dict[str, float]:
    """Return the CPU seconds of one stage and the peak memory in MB, everything imported before."""
    from mlxp_reader.reader import Reader
    from mlxp_reader.records import checks

    with tempfile.TemporaryDirectory() as folder:
        write_logs(Path(folder), runs=4, records=2)
        Reader(folder).filter(QUERY)
    if stage == "glance":
        checks._YOUNG = 0.0  # nobody can make files that were changed long ago
    reader = Reader(logs, cache, refresh=False) if stage == "query" else None
    steps: dict[str, Callable[[], object]] = {
        "stats": lambda: bare_stats(logs),
        "query": lambda: reader and reader.filter(QUERY),
    }
    before = cpu()
    steps.get(stage, lambda: Reader(logs, cache))()
    return {"cpu": cpu() - before, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def bare_stats(logs: Path) -> None:
    """Do what no way of opening these logs again can do without."""
    for name in os.listdir(logs):
        for file in ("metadata/info.yaml", "metadata", "metrics") if name.isdigit() else ():
            os.stat(f"{logs}/{name}/{file}")


def measured_apart(stage: str, logs: Path, cache: Path) -> dict[str, float]:
    """Return what `measure` returns in a process of its own."""
    paths = os.pathsep.join([str(HERE), str(HERE.parents[1]), str(HERE.parents[1] / "reader")])
    command = [sys.executable, __file__, "--measure", stage, str(logs), str(cache)]
    environment = {**os.environ, "PYTHONPATH": paths}
    answer = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(answer.stdout)
    return result


def line(logs: Path, runs: int) -> str:
    """Return the line of the table for some logs."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        measured_apart("cold", logs, cache / "first")  # it also waits for what was just written
        used = {stage: measured_apart(stage, logs, cache / "second") for stage in STAGES}
        index = (cache / "second" / ".mlxp" / "index.parquet").stat().st_size / 2**20
    per_run = {stage: f"{used[stage]['cpu'] / runs * 1e6:.1f} us" for stage in STAGES}
    cells = (
        f"{runs:,}",
        *(per_run[stage] for stage in ("cold", "again", "glance")),
        f"{used['glance']['cpu'] / used['stats']['cpu']:.1f}",
        f"{used['query']['cpu'] * 1e3:.1f} ms",
        f"{index:.1f} MB",
        *(f"{used[stage]['memory']:.0f} MB" for stage in ("cold", "glance", "stats")),
    )
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each number of runs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--records", type=int, default=2)
    parser.add_argument("--logs", type=Path, help="runs that are there already")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        stage, logs, cache = options.measure
        print(json.dumps(measure(stage, Path(logs), Path(cache))))
        return
    print(
        "| runs | cold, per run | again | glance | … to bare stats | query | index | memory cold | glance | imports |"
    )
    print("| ---: " * 10 + "|")
    if options.logs:
        print(line(options.logs, sum(name.isdigit() for name in os.listdir(options.logs))))
        return
    for runs in options.runs:
        with tempfile.TemporaryDirectory() as folder:
            write_logs(Path(folder), runs, options.records)
            time.sleep(3)  # what is younger is not trusted
            print(line(Path(folder), runs), flush=True)


if __name__ == "__main__":
    main()
