"""What submitting 200 runs to a real Slurm costs on the head node, compared with MLXP 1.0.5.

Start Slurm first (tests/schedulers/slurm.sh up), then: python tests/benchmarks/submission.py PYTHON_OF_1.0.5 [RUNS]

Measured is the CPU time of the submitting command and of all that it starts, and the wall time. The jobs are held, so
that they do not run. MLXP 1.0.5 submits an eighth of the runs: it takes a second for each.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TRIES = 1

MAIN = """
import mlxp

@mlxp.launch(config_path="./configs")
def task(ctx):
    print(ctx.config)

if __name__ == "__main__":
    task()
"""
CONFIG = "seed: 0\nmodel:\n  num_units: 100\noptimizer:\n  lr: 10.\n"
SCRIPT = """#!/bin/bash
#SBATCH --time=0:01:00
#SBATCH --hold
{python} main.py seed={seeds}
"""


def measured(command, runs, python, earlier=False):
    """Return CPU and wall seconds per run of submitting `runs` runs."""
    best = (float("inf"), float("inf"))
    for _ in range(TRIES):
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            (directory / "configs").mkdir()
            (directory / "configs/config.yaml").write_text(CONFIG)
            if earlier:
                (directory / "configs/mlxp.yaml").write_text("interactive_mode: False\nuse_version_manager: False\n")
            (directory / "main.py").write_text(MAIN)
            seeds = ",".join(map(str, range(runs)))
            (directory / "script.sh").write_text(SCRIPT.format(python="python", seeds=seeds))
            environment = {**os.environ, "PATH": f"{Path(python).parent}:{os.environ['PATH']}"}
            if earlier:
                environment.pop("PYTHONPATH", None)
            before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run(
                [*command, "script.sh"], cwd=directory, env=environment, check=True, stdout=subprocess.DEVNULL
            )
            wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
            cancel_held()
            logs = [path for path in (directory / "logs").iterdir() if path.name.isdigit()]
            assert len(logs) == runs, f"{len(logs)} of {runs}"
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            best = min(best[0], cpu / runs), min(best[1], wall / runs)
    return best


def cancel_held():
    """Cancel the jobs that this script has submitted: they are held."""
    answer = subprocess.run(["squeue", "-h", "-o", "%A %r"], capture_output=True, text=True, check=True).stdout
    held = {line.split()[0] for line in answer.splitlines() if line.endswith("JobHeldUser")}
    if held:
        subprocess.run(["scancel", *held], check=True)


def main():
    python_of_105 = Path(sys.argv[1]).absolute()
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    own = [sys.executable, "-c", "import sys; from mlxp.commands.mlxpsub import main; sys.exit(main())"]
    earlier = measured([str(python_of_105.with_name("mlxpsub"))], max(runs // 8, 1), python_of_105, earlier=True)
    single = measured(own, runs, sys.executable)
    array = measured([*own, "--array"], runs, sys.executable)
    print(f"{'':12}{'CPU/run':>10}{'wall/run':>10}{'ratio':>9}{'ratio':>9}")
    for name, (cpu, wall) in {"1.0.5": earlier, "single jobs": single, "array": array}.items():
        print(f"{name:12}{cpu * 1000:8.1f}ms{wall * 1000:8.1f}ms{cpu / earlier[0]:9.3f}{wall / earlier[1]:9.3f}")
    assert single[0] <= earlier[0] / 3, "a single job costs more than a third"
    assert array[0] <= earlier[0] / 20, "a task of an array costs more than a twentieth"


if __name__ == "__main__":
    shutil.which("sbatch") or sys.exit("start Slurm first: tests/schedulers/slurm.sh up")
    main()
