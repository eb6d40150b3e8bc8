"""Kill a run and start its job again, many times, at any moment; then see whether its curve is one.

``python tests/benchmarks/requeues.py [TIMES [SEED]]``: 1,000 times take some minutes. The job of a stand-in for Slurm
is started again by forking, so that a cycle costs no import. Two of three times the run is killed outright, else it is
warned. Exit code 1 if the curve that the reader gives lacks a point, or has one twice or in another place.
"""

import os
import random
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TASK = """import os, time
import mlxp

@mlxp.launch(config_path="./configs")
def task(ctx: mlxp.Context) -> None:
    try:
        epoch = ctx.logger.load_checkpoint("last")
    except FileNotFoundError:
        epoch = 0
    while not os.path.exists("done"):
        if ctx.should_stop():
            return
        ctx.logger.log_metrics({"epoch": epoch, "loss": epoch * epoch, "attempt": ctx.info.attempt}, log_name="train")
        epoch += 1
        if epoch % 3 == 0:
            ctx.logger.log_checkpoint(epoch, "last")
        time.sleep(0.002)

if __name__ == "__main__":
    task()
"""
FAKES = Path(__file__).parents[1] / "schedulers/fakes/SLURM"
SUBMIT = "import sys; from mlxp.commands.mlxpsub import main; sys.exit(main())"


def submitted(top: Path) -> Path:
    """Submit the run of a new project, and return its directory."""
    (top / "configs").mkdir()
    (top / "configs/config.yaml").write_text("seed: 0\n", encoding="utf-8")
    (top / "main.py").write_text(TASK, encoding="utf-8")
    script = f"#!/bin/bash\n#SBATCH --time=1\n{sys.executable} main.py mlxp.requeue=1000000 mlxp.capture=false\n"
    (top / "script.sh").write_text(script, encoding="utf-8")
    env = os.environ | {"PATH": f"{FAKES}:{os.environ['PATH']}", "FAKE_DIR": str(top)}
    subprocess.run([sys.executable, "-c", SUBMIT, "script.sh"], cwd=top, env=env, check=True, stdout=subprocess.DEVNULL)
    return top / "logs/1"


def started(top: Path, run: Path) -> int:
    """Fork a process that does what the job does, and return its id."""
    process = os.fork()
    if process:
        return process
    try:
        os.chdir(top)
        os.environ.update(MLXP_RUN_DIRECTORY=str(run), SLURM_JOB_ID="101")
        sys.argv = ["main.py", "mlxp.requeue=1000000", "mlxp.capture=false"]
        with (run / "log.stderr").open("a") as errors:
            os.dup2(errors.fileno(), 2)
        runpy.run_path("main.py", run_name="__main__")
    except SystemExit as error:
        os._exit(error.code if isinstance(error.code, int) else 1)
    except BaseException:  # noqa: BLE001 - the process must not become another parent
        os._exit(70)
    os._exit(0)


def main(times: int, seed: int) -> int:
    """Do the cycles, look at the curve, and return the exit code."""
    import hydra._internal.utils  # noqa: F401 - once for all processes

    import mlxp_reader

    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        top = Path(name).resolve()
        run = submitted(top)
        metrics = run / "metrics/train.json"
        for _ in range(times):
            process = started(top, run)
            if chance.random() < 0.8:  # most of them get as far as to log something
                before = metrics.stat().st_size if metrics.exists() else 0
                deadline = time.monotonic() + 60
                while (metrics.stat().st_size if metrics.exists() else 0) == before and time.monotonic() < deadline:
                    time.sleep(0.01)
            time.sleep(chance.random() * 0.05)
            os.kill(process, signal.SIGKILL if chance.random() < 2 / 3 else signal.SIGUSR1)
            os.waitpid(process, 0)
        (top / "done").touch()
        _, status = os.waitpid(started(top, run), 0)
        (frame,) = [mlxp_reader.Reader(top / "logs").filter()]
        epochs, losses = frame["train.epoch"][0].tolist(), frame["train.loss"][0].tolist()
        lines = metrics.read_text(encoding="utf-8").count("\n")
        status_of_run, attempts = frame["info.status"].tolist()[0], frame["info.attempt"].tolist()[0]
    is_whole = epochs == list(range(len(epochs))) and losses == [epoch * epoch for epoch in epochs]
    print(
        f"{times} times (seed {seed}): {attempts} attempts, {lines} lines, a curve of {len(epochs)} points, "
        f"{'each once' if is_whole else 'NOT each once'}; {status_of_run}, exit code {status}"
    )
    return int(not (is_whole and len(epochs) > times / 10 and status_of_run == "COMPLETE" and not status))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, int(sys.argv[2]) if len(sys.argv) > 2 else 0))
