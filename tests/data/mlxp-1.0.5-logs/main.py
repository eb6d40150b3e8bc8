import math
import random
import mlxp


def set_seed(seed):
    random.seed(seed)


@mlxp.launch(config_path="./configs", seeding_function=set_seed)
def train(ctx: mlxp.Context) -> None:
    cfg, logger = ctx.config, ctx.logger

    def save(obj, path):
        with open(path, "w") as f:
            f.write(repr(obj))

    def load(path):
        with open(path) as f:
            return f.read()

    logger.register_artifact_type("text", save, load)
    loss = 1.0 / cfg.model.num_units + random.random() / 10
    for epoch in range(cfg.num_epoch):
        loss *= 0.7 if cfg.optimizer.lr < 5 else (1.4 if epoch > 3 else 0.9)
        logger.log_metrics({"loss": loss, "epoch": epoch}, log_name="train")
        if epoch % 2 == 0:
            logger.log_metrics({"loss": loss**2, "acc": 1 - loss, "epoch": epoch, "best": epoch == 4}, log_name="test")
        if epoch == 3:
            logger.log_metrics(
                {"grad": math.nan if cfg.seed == 2 else math.inf, "phase": "warm", "epoch": epoch}, log_name="train"
            )
        logger.log_checkpoint({"epoch": epoch, "loss": loss}, log_name="last_ckpt")
        if cfg.fail and epoch == 2:
            raise RuntimeError("diverged")
    logger.log_artifacts([epoch, loss], artifact_name="plots/final/summary.txt", artifact_type="text")
    import numpy as np

    logger.log_artifacts({"w": np.arange(6.0).reshape(2, 3)}, artifact_name="weights.npz", artifact_type="numpy")


if __name__ == "__main__":
    train()
