"""Makes the files in this folder, each by the tool itself: `python make.py TOOL`, in an environment that has it.

mlflow-skinny 3.17.2, tensorboardX 2.6.5, hydra-core 1.3.8, lightning 2.6.6, sacred 0.8.7, wandb 0.31.0 (offline).
It was called in /tmp/made; the logs of W&B were deleted.
"""

import math
import os
import sys
from pathlib import Path

LOSSES = [0.5, math.nan, 0.25]


def mlflow() -> None:
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    import mlflow

    mlflow.set_tracking_uri("file:./mlruns")
    mlflow.set_experiment("größe")
    with mlflow.start_run(run_name="parent") as parent:
        mlflow.log_params(
            {"model.name": "réseau", "lr": 1e-05, "layers": [64, 32], "version": "1.10", "model/depth": 2}
        )
        mlflow.set_tags({"note": "two\nlines", "mlflow.source.git.commit": "c0ffee"})
        for step, loss in enumerate(LOSSES):
            mlflow.log_metric("train/loss", loss, step=step)
            mlflow.log_metric("train/lr", 0.1, step=step)
        mlflow.log_metric("acc", 0.75)
        mlflow.log_metric("acc", math.inf)
        mlflow.log_text("Grüße", "notes/read me.txt")
        with mlflow.start_run(nested=True):
            mlflow.log_param("lr", 0.5)
    assert parent
    try:
        with mlflow.start_run():
            mlflow.log_metric("loss", 1.0, step=7)
            raise ValueError
    except ValueError:
        pass
    mlflow.start_run()
    mlflow.log_metric("loss", 2.0, step=1)
    os._exit(0)  # a run that still says RUNNING


def tensorboard() -> None:
    import numpy as np
    from tensorboardX import SummaryWriter

    for name in ("a", "b"):
        with SummaryWriter(f"runs/{name}") as writer:
            for step, loss in enumerate(LOSSES):
                writer.add_scalar("Loss/größe", loss, step, walltime=1700000000 + step)
            writer.add_scalar("lr", 0.1, 2, walltime=1700000003)
            writer.add_histogram("weights", np.arange(10.0), 0)
            writer.add_text("note", "hello", 0)
            writer.add_image("pictures/red", np.zeros((3, 2, 2), "uint8"), 1)
    with SummaryWriter("hparams") as writer:
        writer.add_hparams({"lr": 0.1, "name": "größe", "deep": True}, {"acc": 0.5}, name="one")


def hydra() -> None:
    import subprocess

    Path("conf").mkdir(exist_ok=True)
    Path("conf/config.yaml").write_text(
        "seed: 0\nname: größe\ntwice: ${seed}\nuser: ${oc.env:USER}\nmodel: {width: 8, label: 'w${model.width}'}\n",
        encoding="utf-8",
    )
    Path("main.py").write_text(
        "import hydra, logging\nfrom pathlib import Path\n"
        "@hydra.main(config_path='conf', config_name='config', version_base='1.3')\n"
        "def main(config):\n"
        "    logging.info('started')\n"
        "    directory = Path(hydra.core.hydra_config.HydraConfig.get().runtime.output_dir)\n"
        "    (directory / 'result.txt').write_text(str(config.seed))\n"
        "main()\n",
        encoding="utf-8",
    )
    subprocess.run([sys.executable, "main.py", "seed=3", "hydra.run.dir=outputs/2026-11-30/16-20-01"], check=True)
    sweep = "hydra.sweep.dir=multirun/2026-11-30/16-20-05"
    subprocess.run([sys.executable, "main.py", "-m", "seed=1,2", "+extra=[1,2]", sweep], check=True)
    Path("main.py").unlink()
    Path("conf/config.yaml").unlink()
    Path("conf").rmdir()


def lightning() -> None:
    from lightning.pytorch.loggers import CSVLogger

    logger = CSVLogger(".", name="lightning_logs")
    logger.log_hyperparams({"lr": 0.1, "layers": (64, 32), "name": "größe", "path": Path("data")})
    for step, loss in enumerate(LOSSES):
        logger.log_metrics({"train_loss": loss, "epoch": step // 2}, step)
    logger.log_metrics({"val/acc": 0.75, "epoch": 1}, 2)
    logger.save()
    CSVLogger(".", name="lightning_logs").experiment.save()  # a run without metrics


def sacred() -> None:
    from sacred import Experiment
    from sacred.observers import FileStorageObserver

    experiment = Experiment("größe", save_git_info=False)
    experiment.add_config(lr=0.1, layers=(64, 32), fails=False)

    @experiment.main
    def run(_run: object, fails: bool) -> float:
        import numpy as np

        print("Grüße")
        for step, loss in enumerate(LOSSES):
            _run.log_scalar("train.loss", loss, step)
            _run.log_scalar("train.acc", np.float32(loss), step)
        Path("notes.txt").write_text("an artifact", encoding="utf-8")
        experiment.add_artifact("notes.txt")
        experiment.info["best"] = 0.25
        if fails:
            raise ValueError("no luck")
        return 0.25

    experiment.observers.append(FileStorageObserver("sacred"))
    experiment.run()
    try:
        experiment.run(config_updates={"fails": True})
    except ValueError:
        pass
    Path("notes.txt").unlink()


def wandb() -> None:
    import wandb

    os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DISABLE_GIT="true", WANDB_DISABLE_CODE="true")
    with wandb.init(project="größe", name="first", config={"lr": 0.1, "model": {"layers": [64, 32]}}) as run:
        for step, loss in enumerate(LOSSES):
            run.log({"train/loss": loss, "epoch": step, "nested": {"a": step}})
        run.log({"picture": wandb.Image(__import__("numpy").zeros((2, 2, 3), "uint8"))})
        run.log({"histogram": wandb.Histogram([1.0, 2.0, 3.0])})
        run.summary["best"] = 0.25


if __name__ == "__main__":
    os.chdir(Path(__file__).parent)
    globals()[sys.argv[1]]()
