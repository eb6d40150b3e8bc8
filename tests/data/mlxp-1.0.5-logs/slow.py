import time
import mlxp


@mlxp.launch(config_path="./configs")
def train(ctx: mlxp.Context) -> None:
    for epoch in range(100):
        ctx.logger.log_metrics({"loss": 1 / (epoch + 1), "epoch": epoch}, log_name="train")
        time.sleep(0.05)


if __name__ == "__main__":
    train()
