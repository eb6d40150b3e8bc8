"""Measure what recording the code and the environment adds to the start of a run, in a repository of 5,000 files.

    python tests/benchmarks/capture.py [--files N] [--rounds N]

Prints the CPU time of a run with ``mlxp.capture=true`` minus that of the same run without it, git included: the
difference of the smallest of several rounds, and the median of the differences. Both kinds are done in turns. Each
round has a repository of its own, whose objects are as git leaves them after a commit ("loose"), or as after a clone
("packed").
"""

import argparse
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

LINES = 60  # of each file: 2 kB of numbers, which compress badly
MAIN = """
import mlxp

@mlxp.launch()
def task(ctx: mlxp.Context) -> None:
    pass

if __name__ == "__main__":
    task()
"""


def git(top: Path, *words: str) -> None:
    """Run git as somebody in particular."""
    subprocess.run(["git", "-c", "user.name=me", "-c", "user.email=me@example.org", *words], cwd=top, check=True)


def repository(top: Path, files: int) -> None:
    """Make a repository with one commit; its objects are loose."""
    numbers = random.Random(0)
    for number in range(files - 2):
        file = top / f"package_{number % 50}/part_{number % 7}/module_{number}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"x{line} = {numbers.random()}\n" for line in range(LINES)), encoding="utf-8")
    (top / "main.py").write_text(MAIN, encoding="utf-8")
    (top / ".gitignore").write_text("__pycache__/\n", encoding="utf-8")
    git(top, "init", "-q")
    git(top, "-c", "gc.auto=0", "add", "-A")
    git(top, "-c", "gc.auto=0", "commit", "-q", "-m", "start")


def cpu_of_run(top: Path, *overrides: str) -> float:
    """Return the CPU milliseconds of one run, with all programs that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "main.py", *overrides], cwd=top, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def pair(top: Path) -> tuple[float, float]:
    """Return what a run takes without and with capturing."""
    return cpu_of_run(top, "mlxp.capture=false"), cpu_of_run(top, "mlxp.capture=true")


def edit(top: Path) -> None:
    """Change ten files and add two."""
    for number in range(12):
        file = top / f"package_{number}/part_{number % 7}/module_{number if number < 10 else 'new'}.py"
        with file.open("a", encoding="utf-8") as opened:
            opened.write(f"y = {random.random()}\n")


def measurements(template: Path, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Return the milliseconds of each round, by what is measured."""
    found: dict[str, list[tuple[float, float]]] = {}

    def measure(name: str, top: Path, before: Callable[[Path], object] = bool) -> None:
        before(top)
        found.setdefault(name, []).append(pair(top))

    for _ in range(rounds):
        for kind in ("loose", "packed"):
            with tempfile.TemporaryDirectory() as directory:
                top = Path(directory, "project")
                shutil.copytree(template, top, symlinks=True)
                git(top, "update-index", "-q", "--refresh")
                if kind == "packed":
                    git(top, "gc", "-q")
                cpu_of_run(top, "mlxp.capture=false", f"mlxp.logger.parent_log_dir={directory}/elsewhere")
                measure(f"first run, {kind} objects", top)
                measure(f"the same state again, {kind} objects", top)
                measure(f"12 files later, {kind} objects", top, edit)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    with tempfile.TemporaryDirectory() as directory:
        template = Path(directory, "template")
        template.mkdir()
        repository(template, options.files)
        found = measurements(template, options.rounds)
    print(f"{f'CPU time added, {options.files:,} files':44} {'smallest':>10} {'median':>10}")
    for name, pairs in sorted(found.items(), key=lambda item: item[0].rpartition(", ")[2]):
        without, times = (min(column) for column in zip(*pairs, strict=True))
        median = statistics.median(time - other for other, time in pairs)
        print(f"{name:44} {times - without:>7.0f} ms {median:>7.0f} ms")


if __name__ == "__main__":
    main()
