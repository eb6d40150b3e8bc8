"""How many times less CPU the reader needs than that of MLXP 1.0.5, on the same logs, in one run.

``python reader_compare.py`` takes about ten minutes; ``--quick`` one, with fewer runs, which flatter MLXP 1.0.5. Needed
are the package under test in the environment that runs this, and an environment of MLXP 1.0.5 and DuckDB (``--old``),
which is made from PyPI if it is not there. Ratios of one run can be compared; seconds depend on the machine.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass
from pathlib import Path

from synthetic_logs import write_logs

_LINE = "| {:<56} | {:>11} | {:>18} | {:>8} | {:>6} | {:>3} |"
SETTLED = 3
"""Seconds after which a file's times tell whether it has changed: until then, a reader looks into it again."""

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: what was done, what it cost, and what is promised."""

    what: str
    cost: str
    reference: str
    ratio: float
    at_least: float

    def line(self) -> str:
        verdict = "yes" if self.ratio >= self.at_least else "NO"
        return _LINE.format(self.what, self.cost, self.reference, f"{self.ratio:.2f}", f"{self.at_least:.0f}", verdict)


@dataclass(slots=True)
class Bench:
    """Runs tasks on logs in both environments."""

    folder: Path
    old: Path
    scale: float
    repeats: int

    def logs(self, runs: int, records: int) -> Path:
        runs = max(10, int(runs * self.scale))
        logs = self.folder / f"{runs}x{records}"
        if not logs.exists():
            write_logs(logs, runs, records)
            time.sleep(SETTLED)
        return logs

    def new(self, task: str, logs: Path, *, cold: bool = False) -> dict[str, float]:
        """Return what `task` costs today's reader: the least of some tries."""
        tries = []
        for _ in range(self.repeats):
            if cold:
                forget(logs)
            tries.append(run([sys.executable, HERE / "reader_tasks.py", task, logs]))
        return min(tries, key=lambda used: used["cpu"])

    def new_metrics(self, task: str, logs: Path) -> dict[str, float]:
        """Return what `task` costs when the index is there, but no metric was read yet."""
        tries = []
        for _ in range(self.repeats):
            forget_metrics(logs)
            tries.append(run([sys.executable, HERE / "reader_tasks.py", task, logs]))
        return min(tries, key=lambda used: used["cpu"])

    def previous(self, task: str, logs: Path) -> dict[str, float]:
        """Return what `task` costs MLXP 1.0.5, once."""
        python = self.old / "bin" / "python"
        if task != "open" and not (logs / "database.json").exists():
            run([python, HERE / "reader_tasks.py", "database", logs], PYTHONPATH="")
        return run([python, HERE / "reader_tasks.py", task, logs], PYTHONPATH="")

    def duckdb(self, logs: Path) -> dict[str, float]:
        tries = [run([self.old / "bin" / "python", HERE / "reader_duckdb.py", logs]) for _ in range(self.repeats)]
        return min(tries, key=lambda used: used["cpu"])


def run(command: list[str | Path], **variables: str) -> dict[str, float]:
    paths = f"{ROOT}{os.pathsep}{ROOT / 'reader'}"
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONWARNINGS": "ignore", **variables}
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
    used: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return used


def forget(logs: Path) -> None:
    """Remove what readers have left beside the runs."""
    shutil.rmtree(logs / ".mlxp", ignore_errors=True)


def forget_metrics(logs: Path) -> None:
    for folder in (logs / ".mlxp").glob("metrics-*"):
        shutil.rmtree(folder)


def make_environment(path: Path) -> None:
    """Create the environment of MLXP 1.0.5 and DuckDB at `path`, if it is not there."""
    if not (path / "bin" / "python").exists():
        venv.create(path, with_pip=True)
        subprocess.run([path / "bin" / "pip", "install", "--quiet", "mlxp==1.0.5", "duckdb"], check=True)


def times_less(what: str, new: dict[str, float], old: dict[str, float], at_least: float) -> Row:
    return Row(what, f"{new['cpu']:.3f} s", f"1.0.5: {old['cpu']:.2f} s", old["cpu"] / new["cpu"], at_least)


def at_most(what: str, value: float, limit: float, unit: str) -> Row:
    return Row(what, f"{value:.1f} {unit}", f"at most {limit:.0f} {unit}", limit / value, 1)


def rows(bench: Bench) -> list[Row]:
    few, many, long = bench.logs(1000, 100), bench.logs(10_000, 100), bench.logs(1000, 1000)
    n_few, n_many = len(list(few.glob("[0-9]*"))), len(list(many.glob("[0-9]*")))
    table = [
        times_less(
            "open, cold, 1k x 100", cold_few := bench.new("open", few, cold=True), bench.previous("open", few), 150
        )
    ]
    cold = bench.new("open", many, cold=True)
    per_run, per_run_few = cold["cpu"] / n_many * 1e6, cold_few["cpu"] / n_few * 1e6
    table += [
        at_most("open, cold, 10k runs: per run", per_run, 250, "us"),
        at_most("  ... against that of 1k runs", per_run / per_run_few, 1.2, "times"),
        at_most(
            "open again, nothing changed, 10k runs: per run", bench.new("open", many)["cpu"] / n_many * 1e6, 50, "us"
        ),
        times_less("filter on two columns, 10k runs", bench.new("filter", many), bench.previous("filter", many), 100),
    ]
    for name, logs in (("10k x 100", many), ("1k x 1000", long)):
        bench.new("open", logs)
        first, old, duck = bench.new_metrics("column", logs), bench.previous("column", logs), bench.duckdb(logs)
        table += [
            times_less(f"one metric of all runs, first time, {name}", first, old, 5),
            Row("  ... against DuckDB", f"{first['cpu']:.3f} s", f"{duck['cpu']:.2f} s", duck["cpu"] / first["cpu"], 1),
            times_less(f"one metric of all runs, from the cache, {name}", bench.new("column", logs), old, 50),
        ]
    bench.new("pandas", many)  # fills the cache
    pandas, old_pandas = bench.new("pandas", many), bench.previous("pandas", many)
    frame, column = bench.new("frame", many), bench.new("column", long)
    size = 8 * 1000 * len(list(long.glob("[0-9]*"))) / 2**20
    return [
        *table,
        times_less(
            "groupby and mean curve, 10k x 100, cached", bench.new("curves", many), bench.previous("curves", many), 50
        ),
        times_less("all as plain pandas, 10k x 100, cached", pandas, old_pandas, 20),
        Row(
            "  ... memory",
            f"{pandas['peak']:.0f} MB",
            f"{old_pandas['peak']:.0f} MB",
            old_pandas["peak"] / pandas["peak"],
            3,
        ),
        at_most("memory of a frame of 10k runs, nothing touched", frame["kept"], 100, "MB"),
        at_most(f"memory of a touched column of {size:.1f} MB", column["kept"], 2 * size, "MB"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs, and one try each")
    parser.add_argument("--old", type=Path, default=HERE / ".venv-1.0.5", help="environment of MLXP 1.0.5 and DuckDB")
    parser.add_argument("--logs", type=Path, help="where to write the logs, and to find those of an earlier run")
    options = parser.parse_args()
    make_environment(options.old)
    folder = options.logs or Path(tempfile.mkdtemp())
    bench = Bench(folder, options.old, 0.1 if options.quick else 1, 1 if options.quick else 3)
    table = rows(bench)
    print(_LINE.format("", "cost", "reference", "ratio", "needed", "met"))
    print(_LINE.format("-" * 56, *["-" * width for width in (11, 18, 8, 6, 3)]))
    for row in table:
        print(row.line())
    if not options.logs:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
