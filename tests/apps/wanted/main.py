"""A task of which each run is wanted once; it fails as long as a file called ``broken`` is there."""

import os
import sys
import time
from pathlib import Path

import mlxp


@mlxp.launch(config_path="./configs")
def train(ctx):
    if Path("broken").exists():
        raise ValueError("broken")
    time.sleep(ctx.config.sleep)
    return ctx.config.lr


def together(count, overrides):
    """Start the same sweep in so many processes at once."""
    train.run(["lr=-1"])  # so that all is imported
    reading, writing = os.pipe()
    for _ in range(count):
        if os.fork() == 0:
            os.close(writing)
            os.read(reading, 1)
            train.sweep(overrides)
            os._exit(0)
    os.close(writing)
    codes = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(count)]
    sys.exit(max(codes))


if __name__ == "__main__":
    if sys.argv[1:2] == ["together"]:
        together(int(sys.argv[2]), sys.argv[3:])
    train()
