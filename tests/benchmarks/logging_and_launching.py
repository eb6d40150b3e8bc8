"""Compare the cost of launching and logging with MLXP 1.0.5, both installed from wheels.

    python tests/benchmarks/logging_and_launching.py [--environments DIR]

Prints CPU times (the smaller, the better) and their ratio. The environments are made on first use; the times of both
releases are taken in turns, and the smallest of several is kept.
"""

import argparse
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
REPEATS = 7

# Each prints the CPU seconds that one operation took, in the process that runs it.
IN_PROCESS = {
    "log_metrics of 3 keys": """
        logger = mlxp.DefaultLogger(directory, -1)
        for i in range(100):
            logger.log_metrics({"loss": 0.123456, "accuracy": 0.98765, "epoch": i}, "train")
        report(lambda i: logger.log_metrics({"loss": 0.123456 + i, "accuracy": 0.98765, "epoch": i}, "train"), 20_000)
    """,
    "one of 500 new artifacts": """
        logger = mlxp.DefaultLogger(directory, -1)
        report(lambda i: logger.log_artifacts({"i": i}, f"checkpoint_{i}", "pickle"), 500)
    """,
    "one id among 10,000 runs": """
        for i in range(1, 10_001):
            os.mkdir(os.path.join(directory, str(i)))
        from mlxp.logger import DefaultLogger
        report(lambda i: DefaultLogger(directory, -1), 20)
    """,
}
PREAMBLE = """
import os, sys, tempfile, time
import mlxp
directory = tempfile.mkdtemp()
def report(operation, times):
    start = time.process_time()
    for i in range(times):
        operation(i)
    print((time.process_time() - start) / times)
"""
TASK = """
import mlxp

@mlxp.launch(config_path="./configs")
def task(ctx: mlxp.Context) -> None:
    pass

if __name__ == "__main__":
    task()
"""


def python_of(environment: Path, *packages: str) -> str:
    """Return the interpreter of an environment with `packages`, which is made if it is not there."""
    python = environment / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    return str(python)


def cpu_of(command: list[str], directory: Path) -> float:
    """Return the CPU seconds of a command, from its start to its end."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
        "usage = resource.getrusage(resource.RUSAGE_CHILDREN); print(usage.ru_utime + usage.ru_stime)"
    )
    measured = subprocess.run([sys.executable, "-c", code, *command], cwd=directory, check=True, stdout=subprocess.PIPE)
    return float(measured.stdout)


def in_process(python: str, code: str) -> float:
    """Return what a piece of code reports."""
    code = PREAMBLE + textwrap.dedent(code)
    return float(subprocess.run([python, "-I", "-c", code], check=True, stdout=subprocess.PIPE).stdout.split()[-1])


def measurements(pythons: dict[str, str], directory: Path) -> dict[str, dict[str, float]]:
    """Return the smallest time of each operation by release."""
    (directory / "configs").mkdir()
    (directory / "configs/config.yaml").write_text("seed: 0\noptimizer:\n  lr: 1.0\n", encoding="utf-8")
    (directory / "main.py").write_text(TASK, encoding="utf-8")
    operations = {
        "import mlxp": lambda python: cpu_of([python, "-c", "import mlxp"], directory),
        "one empty run": lambda python: cpu_of([python, "main.py"], directory),
        **{name: lambda python, code=code: in_process(python, code) for name, code in IN_PROCESS.items()},
    }
    times: dict[str, dict[str, float]] = {}
    for name, operation in operations.items():
        repeats = REPEATS if name not in IN_PROCESS else 3
        rounds = [{release: operation(python) for release, python in pythons.items()} for _ in range(repeats)]
        times[name] = {release: min(taken[release] for taken in rounds) for release in pythons}
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", type=Path, help="where to make, or find, the two environments")
    environments = parser.parse_args().environments or Path(tempfile.mkdtemp(prefix="mlxp-benchmark-"))
    environments.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", environments, ROOT], check=True)
    (wheel,) = environments.glob("mlxp-2*.whl")
    pythons = {
        "1.0.5": python_of(environments / "earlier", "mlxp==1.0.5"),
        "this": python_of(environments / "this", str(wheel)),
    }
    with tempfile.TemporaryDirectory() as directory:
        times = measurements(pythons, Path(directory))
    print(f"{'CPU time of':28} {'1.0.5':>12} {'this':>12} {'ratio':>8}")
    for name, taken in times.items():
        earlier, this = (f"{taken[release] * 1e6:,.1f} µs" for release in ("1.0.5", "this"))
        print(f"{name:28} {earlier:>14} {this:>14} {taken['1.0.5'] / taken['this']:>7.1f}x")


if __name__ == "__main__":
    main()
