"""What a scan costs an engine, beside the same engine on Parquet that a user would write: CPU seconds and megabytes.

``python reader_scan.py`` scans 10 million values, 40 runs of 10,000 records of 25 keys; ``--full`` 100 million.
``--dask`` measures the wall time of a crawl, and of a column that no cache has, with one and two workers. Each task has
a process of its own; the least of some tries counts. Needed are ``duckdb``, ``polars`` and, for ``--dask``,
``distributed``.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from reader_sizes import SETTLED, long_lines, write_run
from reader_tasks import megabytes, seconds
from synthetic_logs import write_logs

KEYS = [f"k{number}" for number in range(24)]
RECORDS = 10_000
DISTINCT = 20
"""So many runs have curves of their own; the others share them."""

QUESTIONS = ("mean and max of 2 keys by run", "mean of all 25 keys", "one run, step >= 5000, 1 key")


def write(logs: Path, runs: int) -> None:
    curves = [list(long_lines(RECORDS, KEYS)) for _ in range(min(runs, DISTINCT))]
    for log_id in range(1, runs + 1):
        write_run(logs, log_id, [*KEYS, "step"], iter(curves[log_id % len(curves)]))
    time.sleep(SETTLED)


def write_by_hand(logs: Path, file: Path) -> None:
    """Write what a user would: one file with a row per record."""
    import pyarrow.parquet as pq

    from mlxp_reader import Reader

    rows = Reader(logs).scan().to_arrow()
    with pq.ParquetWriter(file, rows.schema, compression="none", use_dictionary=False) as writer:
        for batch in rows:
            writer.write_batch(batch)


# The questions. Of a frame of Polars, or in SQL over a table called metrics.


def of_polars(frame: Any, question: str) -> Any:
    import polars as pl

    metrics = [f"train.{key}" for key in [*KEYS, "step"]]
    if question == QUESTIONS[0]:
        values = (pl.col("train.k3").mean(), pl.col("train.k7").max())
        return frame.group_by("log_id").agg(*values).collect(engine="streaming")
    if question == QUESTIONS[1]:
        return frame.select(pl.col(metrics).mean()).collect(engine="streaming")
    return frame.filter((pl.col("log_id") == 7) & (pl.col("step") >= 5000)).select("train.k5").collect()


def sql(question: str) -> str:
    if question == QUESTIONS[0]:
        return 'select log_id, avg("train.k3"), max("train.k7") from metrics group by log_id'
    if question == QUESTIONS[1]:
        return "select " + ", ".join(f'avg("train.{key}")' for key in [*KEYS, "step"]) + " from metrics"
    return 'select "train.k5" from metrics where log_id = 7 and step >= 5000'


def scan_task(who: str, engine: str, question: str, logs: Path, file: Path) -> Callable[[], Any]:
    import duckdb
    import polars as pl

    from mlxp_reader import Reader

    for module in ("polars.io.plugins", "mlxp_reader.frames.scanning"):
        import_module(module)
    if who == "mlxp":
        reader = Reader(logs)
        if engine == "polars":
            return lambda: of_polars(reader.scan().to_polars(), question)
        return lambda: reader.scan().to_duckdb(sql(question)).fetchnumpy()
    if engine == "polars":
        return lambda: of_polars(pl.scan_parquet(file), question)
    return lambda: duckdb.sql(sql(question).replace("metrics", f"'{file}'")).fetchnumpy()


def measured(task: Callable[[], Any]) -> dict[str, float]:
    before, cpu = megabytes("VmRSS"), seconds()
    task()
    return {"cpu": seconds() - cpu, "peak": megabytes("VmHWM") - before}


def least(arguments: list[str], tries: int) -> dict[str, float]:
    found = []
    for _ in range(tries):
        command = [sys.executable, __file__, "--task", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return min(found, key=lambda used: used["cpu"])


def scans(folder: Path, *, is_full: bool) -> None:
    logs, file = folder / "long", folder / "by_hand.parquet"
    if not file.exists():
        write(logs, 400 if is_full else 40)
        write_by_hand(logs, file)
    print("| question | engine | scan | Parquet by hand | ratio |\n| --- | --- | ---: | ---: | ---: |")
    for question in QUESTIONS:
        for engine in ("polars", "duckdb"):
            ours, theirs = (least([who, engine, question, str(logs), str(file)], 3) for who in ("mlxp", "by hand"))
            told = [f"{used['cpu']:.3f} s, {used['peak']:.0f} MB" for used in (ours, theirs)]
            print(f"| {question} | {engine} | {told[0]} | {told[1]} | {ours['cpu'] / theirs['cpu']:.2f} |", flush=True)


# Dask.


def dask(folder: Path, *, is_full: bool) -> None:
    """Print how long one and two workers take, in turn: the least of three."""
    from distributed import Client, LocalCluster

    many, long = folder / "many", folder / "long"
    if not many.exists():
        write_logs(many, 100_000 if is_full else 10_000, 2)
    if not long.exists():
        write(long, 400 if is_full else 40)
    walls: dict[tuple[str, int], float] = {}
    for _ in range(3):
        for workers in (1, 2):
            cluster = LocalCluster(
                n_workers=workers, threads_per_worker=1, dashboard_address=None, worker_dashboard_address=None
            )
            with cluster, Client(cluster) as client:
                client.run(warm)
                for name, task in {"a crawl": crawl(many), "a column": column(long)}.items():
                    shutil.rmtree((many if name == "a crawl" else long) / ".mlxp", ignore_errors=True)
                    started = time.perf_counter()
                    task(client.get_executor())
                    wall = time.perf_counter() - started
                    walls[name, workers] = min(wall, walls.get((name, workers), wall))
    for name in ("a crawl", "a column"):
        one, two = walls[name, 1], walls[name, 2]
        print(f"| {name} | {one:.2f} s | {two:.2f} s | {two / one:.2f} |")


def warm() -> None:
    import mlxp_reader.store.shared_reading  # noqa: F401 - what a worker imports for its first task


def crawl(logs: Path) -> Callable[[Any], Any]:
    from mlxp_reader import Reader

    return lambda executor: Reader(logs, executor=executor)


def column(logs: Path) -> Callable[[Any], Any]:
    from mlxp_reader import Reader

    return lambda executor: Reader(logs, executor=executor).filter()["train.k3"].metric.mean()


def main() -> None:
    if sys.argv[1:2] == ["--task"]:
        who, engine, question, logs, file = sys.argv[2:]
        print(json.dumps(measured(scan_task(who, engine, question, Path(logs), Path(file)))))
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="ten times as much")
    parser.add_argument("--dask", action="store_true", help="measure one and two workers of Dask")
    parser.add_argument("--logs", type=Path, help="where to write the logs, and to find those of an earlier run")
    options = parser.parse_args()
    folder = options.logs or Path(tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    (dask if options.dask else scans)(folder, is_full=options.full)
    if not options.logs:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
