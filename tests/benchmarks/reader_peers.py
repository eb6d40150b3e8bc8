"""What two everyday questions cost in MLXP, MLflow, signac and TensorBoard (by tbparse), on the same runs: CPU seconds.

``python reader_peers.py`` writes 1,000 runs with 20 parameters and a curve of 100 records by the tools themselves, each
from its package in an environment of its own, which ``uv`` makes. Then each is asked, in a process of its own, for a
frame of parameters and last values, and for the curve of all runs; the better of two tries counts. Imports are not
counted. MLXP is asked first without its index and cache, and then with them.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PACKAGES = {"MLflow": ["mlflow"], "signac": ["signac", "pandas"], "tbparse": ["tbparse", "tensorboardX"]}
TASKS = ("a frame of parameters and last values", "one curve of all runs")


def runs(count: int) -> list[tuple[dict[str, Any], list[float]]]:
    """Return the parameters and the curve of each run."""
    chance = random.Random(0)
    return [
        ({"seed": number, **{f"p{at}": chance.random() for at in range(19)}}, [chance.random() for _ in range(100)])
        for number in range(count)
    ]


# How each tool writes a run, and answers the two questions; as its documentation shows it.


def mlflow(folder: Path) -> tuple[Callable[[int], None], list[Callable[[], Any]]]:
    import mlflow
    import pandas as pd
    from mlflow.entities import Metric, Param

    address = f"sqlite:///{folder}/mlflow.db"  # its default since version 3
    mlflow.set_tracking_uri(address)
    client = mlflow.MlflowClient(address)

    def write(count: int) -> None:
        mlflow.set_experiment("benchmark")
        for params, curve in runs(count):
            with mlflow.start_run() as run:
                metrics = [Metric("loss", value, 0, step) for step, value in enumerate(curve)]
                client.log_batch(run.info.run_id, metrics, [Param(key, str(value)) for key, value in params.items()])

    def frame() -> Any:
        return mlflow.search_runs(experiment_names=["benchmark"])

    def curve() -> Any:
        ids = mlflow.search_runs(experiment_names=["benchmark"])["run_id"]
        return pd.concat(
            pd.DataFrame({"run": run, "loss": [one.value for one in client.get_metric_history(run, "loss")]})
            for run in ids
        )

    return write, [frame, curve]


def signac(folder: Path) -> tuple[Callable[[int], None], list[Callable[[], Any]]]:
    import pandas as pd
    import signac

    project = signac.init_project(str(folder))

    def write(count: int) -> None:
        for params, curve in runs(count):
            job = project.open_job(params).init()
            job.document.loss = curve[-1]
            pd.DataFrame({"step": range(len(curve)), "loss": curve}).to_json(
                job.fn("train.json"), orient="records", lines=True
            )

    def curve() -> Any:
        return pd.concat(pd.read_json(job.fn("train.json"), lines=True).assign(run=job.id) for job in project)

    return write, [project.to_dataframe, curve]


def tbparse(folder: Path) -> tuple[Callable[[int], None], list[Callable[[], Any]]]:
    from tbparse import SummaryReader
    from tensorboardX import SummaryWriter

    def write(count: int) -> None:
        for number, (params, curve) in enumerate(runs(count)):
            with SummaryWriter(str(folder / str(number))) as writer:
                for step, value in enumerate(curve):
                    writer.add_scalar("loss", value, step)
                writer.add_hparams(params, {"last": curve[-1]}, name="hparams")

    def frame() -> Any:
        found = SummaryReader(str(folder), extra_columns={"dir_name"})
        return found.hparams, found.scalars.groupby(["dir_name", "tag"]).last()

    def curve() -> Any:
        scalars = SummaryReader(str(folder), extra_columns={"dir_name"}).scalars
        return scalars[scalars["tag"] == "loss"]

    return write, [frame, curve]


def mlxp(folder: Path) -> tuple[Callable[[int], None], list[Callable[[], Any]]]:
    from mlxp import Logger
    from mlxp.run_directory.files import write_yaml
    from mlxp.run_directory.layout import RunDirectory
    from mlxp_reader import Reader

    def write(count: int) -> None:
        for params, curve in runs(count):
            with Logger(folder) as logger:
                for step, value in enumerate(curve):
                    logger.log_metrics({"step": step, "loss": value}, "train")
            run = RunDirectory(folder / str(logger.log_id))
            write_yaml(run.config_file, params)

    def frame() -> Any:
        return Reader(folder).filter().with_stats("train.loss.last")

    def curve() -> Any:
        return Reader(folder).filter().history("train.loss")

    return write, [frame, curve]


TOOLS = {"MLXP": mlxp, "MLflow": mlflow, "signac": signac, "tbparse": tbparse}


def work(tool: str, what: str, folder: Path) -> None:
    if what.startswith("write"):
        TOOLS[tool](folder)[0](int(what.removeprefix("write")))
        return
    with tempfile.TemporaryDirectory() as small:  # which imports everything
        write, answers = TOOLS[tool](Path(small))
        write(2)
        answers[int(what)]()
    _, answers = TOOLS[tool](folder)
    started = time.process_time()
    answers[int(what)]()
    print(json.dumps(time.process_time() - started))


def environment(folder: Path, tool: str) -> str:
    """Return the interpreter of a tool's environment."""
    if tool == "MLXP":
        return sys.executable
    place = folder / f".venv-{tool}"
    python = place / "bin/python"
    if not python.exists():
        subprocess.run(["uv", "venv", "-q", place], check=True)
        subprocess.run(["uv", "pip", "install", "-q", "-p", python, *PACKAGES[tool]], check=True)
    return str(python)


def asked(python: str, tool: str, what: str, logs: Path) -> float | None:
    command = [python, __file__, "--work", tool, what, str(logs)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONWARNINGS": "ignore"}
    )
    if done.returncode:
        sys.exit(f"{tool} failed:\n{done.stderr}")
    return None if what.startswith("write") else float(json.loads(done.stdout.splitlines()[-1]))


def answers_of(tool: str, folder: Path, count: int) -> list[str]:
    """Return what the two questions cost."""
    python, logs = environment(folder, tool), folder / f"{tool}-{count}"
    if not logs.exists():
        logs.mkdir()
        asked(python, tool, f"write{count}", logs)
        time.sleep(3)  # until then, MLXP looks into files again
    told = []
    for number in range(len(TASKS)):
        cold = None
        if tool == "MLXP":
            shutil.rmtree(logs / ".mlxp", ignore_errors=True)
            cold = asked(python, tool, str(number), logs)
        seconds = min(asked(python, tool, str(number), logs) or 0.0 for _ in range(2))
        told.append(f"{seconds:.2f} s" if cold is None else f"{cold:.2f} s, then {seconds:.2f} s")
    return told


def main() -> None:
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument(
        "--folder", type=Path, help="where to write the runs and environments, and to find earlier ones"
    )
    options = parser.parse_args()
    folder = (options.folder or Path(tempfile.mkdtemp())).absolute()
    print(f"| tool | {' | '.join(TASKS)} |\n| --- | ---: | ---: |")
    for tool in TOOLS:
        print(f"| {tool} | {' | '.join(answers_of(tool, folder, options.runs))} |", flush=True)
    if not options.folder:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
