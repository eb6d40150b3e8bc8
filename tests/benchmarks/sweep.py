"""Compare what a run costs in a sweep with plain Hydra and with MLXP 1.0.5, and whether memory grows with the sweep.

    python tests/benchmarks/sweep.py [--environments DIR] [--repeats 5]

The program is the quick start with an empty loop, from its start to its end; what a run costs is the CPU time (user and
system) of a sweep of 100 runs minus that of one run, by 99. The programs take turns, and the median of the ratios of
the rounds is shown with the smallest times. Memory is the largest that a process held, in a sweep of 100 runs and of
1,000. MLXP 1.0.5 is installed from its package on first use; without a network it is left out.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "tests/apps/quickstart"
HYDRA_PROGRAM = """
import hydra


@hydra.main(config_path="configs", config_name="config", version_base=None)
def my_task(cfg):
    for i in range(cfg.num_epoch):
        print(i)


if __name__ == "__main__":
    my_task()
"""


@dataclass(frozen=True)
class Rival:
    """A way to run the quick start: the interpreter, the program, and the words before the overrides."""

    python: str
    program: Path
    words: tuple[str, ...] = ()

    def cost(self, runs: int, directory: Path) -> tuple[float, float]:
        """Return the CPU seconds and the megabytes of a sweep."""
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(QUICKSTART, directory)
        shutil.copy(self.program, directory / "main.py")
        seeds = ",".join(map(str, range(1, runs + 1)))
        command = [self.python, "main.py", *self.words, "num_epoch=0", f"seed={seeds}"]
        process = subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"{' '.join(command)} failed")
        return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def rivals(environments: Path) -> dict[str, Rival]:
    """Return what is compared, this MLXP first."""
    hydra_program = environments / "hydra_program.py"
    hydra_program.write_text(HYDRA_PROGRAM, encoding="utf-8")
    ours = QUICKSTART / "main.py"
    found = {
        "MLXP": Rival(sys.executable, ours),
        "plain Hydra": Rival(sys.executable, hydra_program, ("--multirun",)),
    }
    earlier = environments / "earlier/bin/python"
    if not earlier.exists():
        subprocess.run([sys.executable, "-m", "venv", environments / "earlier"], check=True)
        subprocess.run([earlier, "-m", "pip", "install", "-q", "mlxp==1.0.5"], check=False)
    if subprocess.run([earlier, "-c", "import mlxp"], check=False, capture_output=True).returncode == 0:
        found["MLXP 1.0.5"] = Rival(str(earlier), ours, ("--multirun",))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", type=Path, help="where to make, or find, the environment of MLXP 1.0.5")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    environments = arguments.environments or Path(tempfile.mkdtemp(prefix="mlxp-benchmark-"))
    environments.mkdir(parents=True, exist_ok=True)
    directory = environments / "quickstart"
    compared = rivals(environments)
    costs: dict[str, list[float]] = {name: [] for name in compared}
    for _ in range(arguments.repeats):
        for name, rival in compared.items():
            costs[name].append((rival.cost(100, directory)[0] - rival.cost(1, directory)[0]) / 99)
    print(f"{'100 runs minus 1, per run':28} {'CPU':>10} {'ratio':>8}")
    for name, taken in costs.items():
        ratio = statistics.median(one / own for one, own in zip(taken, costs["MLXP"], strict=True))
        print(f"{name:28} {min(taken) * 1e3:>7.1f} ms {ratio:>8.1f}")
    for runs in (100, 1000):
        print(f"memory of MLXP, {runs:5,} runs {compared['MLXP'].cost(runs, directory)[1]:>15.0f} MB")


if __name__ == "__main__":
    main()
