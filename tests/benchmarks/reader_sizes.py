"""What long, wide and many metrics files cost: the reader beside DuckDB and Polars, on the same files, in one run.

``python reader_sizes.py`` prints a table of CPU seconds and megabytes above those after the imports, and the ratio to
the better of the two; ``--quick`` takes a tenth of the records. Each task has a process of its own; the least of some
tries counts. Needed are ``duckdb`` and ``polars`` in the environment that runs this.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reader_tasks import megabytes, seconds
from synthetic_logs import CONFIG, INFO, write_logs

SETTLED = 3
"""Seconds after which a file's times tell whether it has changed: until then, a reader looks into it again."""


# The files.


def write_run(folder: Path, log_id: int, keys: list[str], lines: Iterator[str]) -> None:
    """Write a run of one metrics file, whose lines are as ``log_metrics`` writes them."""
    run = folder / str(log_id)
    for name in ("metadata", "metrics/.keys"):
        (run / name).mkdir(parents=True)
    words = dict.fromkeys(("model", "dropout", "lr", "status", "time"), "x")
    numbers = dict.fromkeys(("records", "seed", "units", "batch", "node", "process"), 1)
    values = {**words, **numbers, "status": "COMPLETE", "log_id": log_id}
    (run / "metadata/config.yaml").write_text(CONFIG.format_map(values))
    (run / "metadata/info.yaml").write_text(INFO.format_map(values))
    (run / "metrics/.keys/train.yaml").write_text("".join(f"{key}: ''\n" for key in sorted(keys)))
    with (run / "metrics/train.json").open("w") as file:
        file.writelines(lines)


def long_lines(records: int, keys: list[str], *, nan_each: int = 0) -> Iterator[str]:
    chance = random.Random(0)
    for number in range(records):
        values = {key: chance.random() for key in keys} | {"step": number}
        if nan_each and number % nan_each == 0:
            values[keys[1]] = float("nan")
        yield json.dumps(values, separators=(",", ":")) + "\n"


def wide_lines(chance: random.Random, records: int, keys: list[str]) -> Iterator[str]:
    for number in range(records):
        yield json.dumps({key: chance.random() for key in keys} | {"step": number}, separators=(",", ":")) + "\n"


def write(shape: str, folder: Path, scale: float) -> None:
    few, many = [f"k{number}" for number in range(24)], [f"k{number}" for number in range(5000)]
    if shape == "many":
        write_logs(folder, int(10_000 * scale), 100)
    elif shape == "wide":
        chance = random.Random(0)
        for log_id in range(1, max(2, int(20 * scale)) + 1):
            write_run(folder, log_id, [*many, "step"], wide_lines(chance, 50, many))
    else:
        records = int({"long": 300_000, "ragged": 300_000, "longer": 1_000_000}[shape] * scale)
        lines = long_lines(records, few, nan_each=100 if shape == "ragged" else 0)
        write_run(folder, 1, [*few, "step"], lines)


# The tasks: what happens before, and what is measured.


def keys_of(shape: str, which: str) -> list[str]:
    if shape == "many":
        return ["loss"] if which == "one" else ["loss", "epoch", "acc"]
    count = 5000 if shape == "wide" else 24
    return ["k1"] if which == "one" else [f"k{number}" for number in range(count)]


def by_mlxp(logs: str, shape: str, which: str) -> Callable[[], Any]:
    from mlxp_reader.reader import Reader

    shutil.rmtree(Path(logs, ".mlxp"), ignore_errors=True)
    runs = Reader(logs).filter()
    return lambda: [runs[f"train.{key}"].metric.last() for key in keys_of(shape, which)]


def by_duckdb(logs: str, shape: str, which: str) -> Callable[[], Any]:
    import duckdb

    connection = duckdb.connect()
    keys = keys_of(shape, which)
    # Of a single key in wide lines, it takes the text for something else.
    types = dict.fromkeys(keys if len(keys) > 1 or shape != "wide" else [*keys, "k2", "k3"], "DOUBLE")
    source = f"read_json('{logs}/*/metrics/train.json', format='newline_delimited', columns={types}, "
    source += "maximum_object_size=33554432)"
    asked = ", ".join(f'"{key}"' for key in keys)
    return lambda: connection.execute(f"select {asked} from {source}").fetchnumpy()


def by_polars(logs: str, shape: str, which: str) -> Callable[[], Any]:
    import polars as pl

    schema = dict.fromkeys(keys_of(shape, which), pl.Float64)
    return lambda: pl.scan_ndjson(f"{logs}/*/metrics/train.json", schema=schema).collect()


def next_keys(logs: str, shape: str, which: str) -> Callable[[], Any]:
    """Ask for further keys of files that are in the cache."""
    from mlxp_reader.reader import Reader

    runs = Reader(logs).filter()
    for key in ("k1", "k2"):
        runs[f"train.{key}"].metric.last()
    return lambda: [runs[f"train.k{number}"].metric.last() for number in range(1000, 1100)]


def statistics(logs: str, shape: str, which: str) -> Callable[[], Any]:
    """Ask for 2,000 statistics of one file that was never read."""
    from mlxp_reader.reader import Reader

    shutil.rmtree(Path(logs, ".mlxp"), ignore_errors=True)
    runs = Reader(logs).filter()[:1]
    return lambda: [runs[f"train.k{number}"].metric.min() for number in range(2000)]


TASKS = {"mlxp": by_mlxp, "duckdb": by_duckdb, "polars": by_polars, "next": next_keys, "statistics": statistics}


def measured(tool: str, logs: str, shape: str, which: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:  # everything is imported before
        write("long", Path(folder), 1e-4)
        TASKS[tool if tool in {"duckdb", "polars"} else "mlxp"](folder, "long", "one")()
    do = TASKS[tool](logs, shape, which)
    memory, cpu = megabytes("VmRSS"), seconds()
    do()
    return {"cpu": seconds() - cpu, "peak": megabytes("VmHWM") - memory}


# The table.


@dataclass(frozen=True, slots=True)
class Row:
    """What is asked of which files, and at most how many times what the better peer needs."""

    what: str
    shape: str
    which: str
    at_most: float


ROWS = [
    Row("one run, 300,000 x 25: one metric, first time", "long", "one", 0.8),
    Row("... all, stored", "long", "all", 1.7),
    Row("... the same with 1 % of NaN lines: one", "ragged", "one", 0.9),
    Row("... all, stored", "ragged", "all", 2.3),
    Row("one run, 1,000,000 x 25: one metric", "longer", "one", 0.8),
    Row("... all, stored", "longer", "all", 1.7),
    Row("20 runs x 5,000 keys x 50: one", "wide", "one", 0.9),
    Row("... all, stored", "wide", "all", 0.4),
    Row("10,000 files x 100 x 3: one", "many", "one", 0.5),
]


def tried(tool: str, logs: Path, row: Row, repeats: int) -> dict[str, float] | None:
    tries = []
    for _ in range(repeats):
        command = [sys.executable, __file__, "--measure", tool, str(logs), row.shape, row.which]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            if tool not in {"duckdb", "polars"}:
                sys.exit(done.stderr)
            return None  # Polars does not read NaN
        tries.append(json.loads(done.stdout.splitlines()[-1]))
    return min(tries, key=lambda used: used["cpu"])


def cell(used: dict[str, float] | None) -> str:
    return "fails" if used is None else f"{used['cpu']:.2f} s, {used['peak']:.0f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the records, and one try each")
    parser.add_argument("--shapes", nargs="+", default=["long", "ragged", "longer", "wide", "many"])
    parser.add_argument("--logs", type=Path, help="where to write the logs, and to find those of an earlier run")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(*options.measure)))
        return
    folder = options.logs or Path(tempfile.mkdtemp())
    repeats = 1 if options.quick else options.repeats
    print("| | MLXP | DuckDB | Polars | ratio | at most |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for row in ROWS:
        if row.shape in options.shapes:
            print(line_of(row, folder, 0.1 if options.quick else 1, repeats), flush=True)
    if "wide" in options.shapes:
        logs = folder / "wide"
        wide = Row("", "wide", "all", 0)
        used = tried("next", logs, wide, repeats) or {}
        print(f"| each next key of these | {used['cpu'] * 10:.1f} ms | | | | 2 ms |")
        used = tried("statistics", logs, wide, repeats) or {}
        print(f"| 2,000 statistics of one file | {used['cpu']:.2f} s | | | | 1 s |")
    if not options.logs:
        shutil.rmtree(folder)


def line_of(row: Row, folder: Path, scale: float, repeats: int) -> str:
    logs = folder / row.shape
    if not logs.exists():
        write(row.shape, logs, scale)
        time.sleep(SETTLED)
    ours, *peers = (tried(tool, logs, row, repeats) for tool in ("mlxp", "duckdb", "polars"))
    best = min(peer["cpu"] for peer in peers if peer)
    ratio = f"{ours['cpu'] / best:.2f}" if ours else ""
    return f"| {row.what} | {' | '.join(map(cell, (ours, *peers)))} | {ratio} | {row.at_most} |"


if __name__ == "__main__":
    main()
