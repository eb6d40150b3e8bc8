"""A training that logs a falling loss; the third seed ends early, and one can be told to fail."""

import sys

import mlxp


@mlxp.launch(config_path="configs")
def train(ctx: mlxp.Context):
    config = ctx.config
    for epoch in range(4 if config.seed == 3 else 6):
        loss = (1 - config.optimizer.lr) ** epoch + config.seed / 100
        ctx.logger.log_metrics({"epoch": epoch, "loss": loss, "time": 2.0 * epoch}, "val")
        ctx.logger.log_checkpoint({"epoch": epoch})
    if config.fail:
        print("about to fail", file=sys.stderr)
        raise RuntimeError("the loss is no number")


if __name__ == "__main__":
    train()
