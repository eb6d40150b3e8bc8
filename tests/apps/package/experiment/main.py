import mlxp


@mlxp.launch(config_path="../configs")
def main(ctx: mlxp.Context) -> int:
    return ctx.config.x


if __name__ == "__main__":
    print("returned", main())
