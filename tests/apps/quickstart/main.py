import mlxp


@mlxp.launch(config_path="./configs")
def my_task(ctx: mlxp.Context) -> None:
    print(ctx.config)
    for i in range(ctx.config.num_epoch):
        ctx.logger.log_metrics({"epoch": i}, log_name="Quickstart")


if __name__ == "__main__":
    my_task()
