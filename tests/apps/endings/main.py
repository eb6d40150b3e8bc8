"""A task that ends in the ways that nobody thinks of."""

import os
import sys
import time

import mlxp


class WithoutTextError(Exception):
    def __str__(self):
        raise ValueError("no text")


class WithExitError(Exception):
    def __str__(self):  # noqa: PLE0307 - on purpose
        sys.exit(5)


class WithNumberError(Exception):
    def __str__(self):
        return 3  # noqa: PLE0307 - on purpose


class SlowError(Exception):
    def __str__(self):
        time.sleep(600)
        return "slow"


class Interrupted(KeyboardInterrupt):
    pass


class ClosingBadly(mlxp.DefaultLogger):
    def close(self):
        super().close()
        raise Interrupted


class TellingBadly(mlxp.DefaultLogger):
    def get_info(self):
        raise RuntimeError("no info")


class TellingOddly(mlxp.DefaultLogger):
    def get_info(self):
        return {**super().get_info(), "odd": os.fsdecode(b"caf\xe9"), "many": "x" * 10**6, "object": WithoutText()}


class WithoutText:
    def __str__(self):
        raise ValueError("no text")

    __repr__ = __str__


def raising(make):
    def act(ctx):
        raise make()

    return act


def clear(ctx):
    ctx.info.clear()


def damage(ctx):
    del ctx.info["started_at"], ctx.info["packages"]
    ctx.info["exit"] = ctx.info["status"] = object()
    ctx.info["\udce9"] = "\udce9"
    ctx.info["object"] = WithoutText()
    ctx.info["text"] = "x" * 10**7
    ctx.info["number"] = 10**5000
    endless = []
    endless.append(endless)
    dict.__setitem__(ctx.info, "endless", endless)
    ctx.info["mine"] = {"note": 5}


def without_output(ctx):
    sys.stdout = sys.stderr = None


def close_output(ctx):
    sys.stdout.close()


ACTIONS = {
    "value": lambda ctx: ctx.config.number,
    "say": lambda ctx: print("x" * 100),
    "surrogate": raising(lambda: ValueError(os.fsdecode(b"caf\xe9.png"))),
    "without-text": raising(WithoutTextError),
    "with-exit": raising(WithExitError),
    "with-number": raising(WithNumberError),
    "slow": raising(SlowError),
    "huge": raising(lambda: ValueError("x" * 10**7)),
    "lines": raising(lambda: ValueError("line\n" * 10**6)),
    "group": raising(lambda: ExceptionGroup("two", [ValueError("one"), WithoutTextError()])),
    "exit-oddly": raising(lambda: SystemExit(WithoutText())),
    "exit-true": raising(lambda: SystemExit(True)),
    "generator-exit": raising(GeneratorExit),
    "interrupted": raising(Interrupted),
    "interrupted-group": raising(lambda: BaseExceptionGroup("two", [ValueError("one"), Interrupted()])),
    "clear": clear,
    "damage": damage,
    "without-output": without_output,
    "close-output": close_output,
}


@mlxp.launch(config_path="configs")
def task(ctx: mlxp.Context):
    return ACTIONS[ctx.config.action](ctx)


if __name__ == "__main__":
    task()
