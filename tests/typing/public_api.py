"""What a type checker says of a user's code. mypy reads this file in the gate; nothing executes it."""

from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

import mlxp
import mlxp.errors
from mlxp.launcher import SweepResults, Task
from mlxp_reader.analysis.seeds import SeedGroups
from mlxp_reader.frames.run import Run
from mlxp_reader.presentation.paper_tables import Table


@mlxp.launch(config_path="./configs", seeding_function=np.random.seed)
def train(ctx: mlxp.Context) -> float:
    """Return the last loss, as a task that Optuna tunes does."""
    assert_type(ctx.config, Any)
    assert_type(ctx.mlxp, mlxp.ConfigDict)
    assert_type(ctx.info, mlxp.ConfigDict)
    ctx.config.optimizer.lr = 0.1
    return float(ctx.config.loss)


@mlxp.launch()
def log(ctx: mlxp.Context) -> None:
    """Log what can be logged."""
    logger: mlxp.DefaultLogger = ctx.logger
    logger.log_metrics({"loss": 0.5, "epoch": 1}, log_name="train")
    logger.log_artifacts(np.eye(2), "plots/eye.npy", "numpy")
    logger.log_checkpoint({"epoch": 1}, "last_ckpt")
    assert_type(logger.log_id, int)
    assert_type(logger.log_dir, str)
    assert_type(logger.load_checkpoint("last_ckpt"), Any)
    logger.register_artifact_type("text", save_text, load_text)


def save_text(artifact: str, path: str) -> None:
    """Write a text as an artifact."""
    Path(path).write_text(artifact, encoding="utf-8")


def load_text(path: str) -> str:
    """Read a text that was written as an artifact."""
    return Path(path).read_text(encoding="utf-8")


def launch() -> None:
    """Call tasks from Python."""
    assert_type(train, Task[float])
    assert_type(log, Task[None])
    assert_type(train.run(["optimizer.lr=0.1"]), float | None)
    sweep = train.sweep(["optimizer.lr=0.1,1", "seed=range(3)"])
    assert_type(sweep, SweepResults)
    assert_type(sweep.log_ids, list[int | None])
    try:
        train.sweep()
    except mlxp.errors.SweepError as error:
        assert_type(error.log_ids, list[int | None])


class MyLogger(mlxp.DefaultLogger):
    """A logger of one's own passes on what it does not use itself."""

    def __init__(self, parent_log_dir: str, forced_log_id: int = -1, log_streams_to_file: bool = False) -> None:
        super().__init__(parent_log_dir, forced_log_id, log_streams_to_file=log_streams_to_file)


class MyVersionManager(mlxp.VersionManager):
    """A version manager of one's own."""

    def make_working_directory(self) -> str:
        """Return the directory that runs are executed in."""
        return "."

    def get_info(self) -> dict[str, Any]:
        """Return what is recorded of it."""
        return {}


def read() -> None:
    """Read runs in both formats."""
    reader = mlxp.Reader(Path("logs"))
    assert_type(len(reader), int)
    assert_type(reader.problems, pd.DataFrame)
    assert_type(reader.fields, pd.DataFrame)
    assert_type(reader.filter("info.status == 'COMPLETE' & loss < 1"), mlxp.DataFrame)
    assert_type(reader.filter(), mlxp.DataFrame)
    assert_type(reader.filter("seed == 1", result_format="pandas"), pd.DataFrame)


def look_into(runs: mlxp.DataFrame) -> None:
    """Use a frame of runs as pandas' and as MLXP's."""
    assert_type(runs.with_stats("train.loss.last"), mlxp.DataFrame)
    assert_type(runs.sort("config.seed"), mlxp.DataFrame)
    assert_type(runs.to_table(["config.seed"], tablefmt="github"), str)
    assert_type(runs.toPandas(lazy=False), pd.DataFrame)
    assert_type(runs.constants, dict[str, Any])
    assert_type(runs.head(2), mlxp.DataFrame)
    assert_type(runs.history("train.loss"), pd.DataFrame)
    assert_type(runs.index, "pd.Index[Any]")
    assert_type(runs["config.seed"], "pd.Series[Any]")
    assert_type(runs[["config.seed", "train.loss"]], mlxp.DataFrame)
    assert_type(runs[runs["config.seed"] > 1], mlxp.DataFrame)
    assert_type(runs[0], Run)
    assert_type(runs[0]["train.loss.last"], Any)
    assert_type(runs.diff(), list[str])
    assert_type(runs.diff("info"), list[str])
    assert_type(runs.diff(periods=2), mlxp.DataFrame)
    assert_type(runs + runs, mlxp.DataFrame)
    assert_type(runs.merge(runs), mlxp.DataFrame)
    assert_type(runs.to_parquet(), bytes)
    assert_type(runs.filter("loss < 1"), mlxp.DataFrame)


def compute(runs: mlxp.DataFrame) -> None:
    """Apply maps to runs and to groups of them."""
    mean = (np.mean, "config.seed")
    assert_type(runs.aggregate(mean), mlxp.DataFrame)
    assert_type(runs.aggregate([mean, (max, ("config.lr", "config.seed"), ("lr", "seed"))]), mlxp.DataFrame)
    assert_type(runs.aggregate("mean"), "pd.Series[Any]")
    assert_type(runs.apply(mean, map_type="Rowwise"), mlxp.DataFrame)
    assert_type(runs.transform(mean), mlxp.DataFrame)
    assert_type(runs.map(mean), mlxp.DataFrame)
    groups = runs.groupby("config.lr")
    assert_type(groups, mlxp.GroupedDataFrame)
    assert_type(groups[(0.1,)], mlxp.DataFrame)
    assert_type(groups["config.seed"].mean(), "pd.Series[Any]")
    assert_type(list(groups.items()), list[tuple[tuple[Any, ...], mlxp.DataFrame]])
    assert_type(groups.aggregate(mean), mlxp.GroupedDataFrame)
    assert_type(groups.aggregate(mean, ungroup=True), mlxp.DataFrame)
    assert_type(groups.aggregate("mean"), pd.DataFrame)
    assert_type(groups.apply(mean, ungroup=True), mlxp.DataFrame)
    assert_type(groups.transform(mean), mlxp.GroupedDataFrame)
    assert_type(groups.map(mean), mlxp.GroupedDataFrame)
    assert_type(groups.filter("loss < 1"), mlxp.GroupedDataFrame)
    assert_type(groups.filter("loss < 1", ungroup=True), mlxp.DataFrame)
    assert_type(groups.sort("config.seed").select([(0.1,)]), mlxp.GroupedDataFrame)
    assert_type(groups.ungroup(), mlxp.DataFrame)
    assert_type(groups.toPandas(), pd.DataFrame)
    nested = groups.groupby("config.seed")
    assert_type(nested[(0.1,)], mlxp.GroupedDataFrame)
    assert_type(nested[(0.1,)][(1,)], mlxp.DataFrame)
    assert_type(nested.ungroup(), mlxp.GroupedDataFrame)


def analyse(runs: mlxp.DataFrame) -> None:
    """Average over seeds, choose, and write a table."""
    groups = runs.over("seed")
    assert_type(groups, SeedGroups)
    assert_type(len(groups), int)
    assert_type(groups.runs(0), mlxp.DataFrame)
    assert_type(groups.aggregate("test.acc.last", ["mean", "ci95"]), pd.DataFrame)
    assert_type(groups.best("val.acc.max", per="model", report="test.acc.last"), pd.DataFrame)
    table = runs.table("model", "data", "test.acc.last", over="seed", best="max")
    assert_type(table, Table)
    assert_type(table.to_latex(), str)


def draw(runs: mlxp.DataFrame) -> None:
    """Draw how a number depends on the configuration."""
    axes = runs.plot_sweep("lr", "test.acc.last", over="seed")
    assert_type(axes, Axes)
    assert_type(runs.plot_parallel("test.acc.last", ax=axes), Axes)
