"""One value per run by its name: a column, or a statistic of a metric, with its steps where these matter."""

from typing import Any

import numpy as np
import pandas as pd

from mlxp.errors import InvalidKeyError
from mlxp_reader.columns.accessors import MetricAccessor, plain
from mlxp_reader.columns.curves import curves, log_name_of, step_name
from mlxp_reader.columns.keys import fields_of
from mlxp_reader.columns.metric_array import MetricArray
from mlxp_reader.columns.run_statistics import statistic
from mlxp_reader.columns.runs import Runs
from mlxp_reader.notices import notice
from mlxp_reader.query.names import Asked, Wants, resolve

_PLACES = ("max", "min", "last", "first")
"""The statistics of another metric that are at one of its steps."""


def named_column(
    frame: Runs | pd.DataFrame, name: str, wants: Wants = "value", step: str | None = None
) -> "pd.Series[Any]":
    """Return the column, or the statistic of a metric, that a name stands for; the series has its full name.

    Parameters
    ----------
    step
        The key that tells the steps, where these matter; see `curves`.

    Raises
    ------
    InvalidKeyError
        If nothing has that name, or if it is not what is wanted; see `resolve`.

    Examples
    --------
    >>> runs = pd.DataFrame({"config.seed": [1, 2], "train.loss": pd.array([[3.0, 1.0], [2.0]], dtype="metric")})
    >>> named_column(runs, "seed").tolist(), named_column(runs, "train.loss.min").tolist()
    ([1, 2], [1.0, 2.0])
    """
    column = resolve(name, fields_of(frame), wants)
    if column in frame.columns:
        return frame[column]
    asked = Asked.of(column, frame.columns)
    if not asked.takes_steps:
        return MetricAccessor(frame[asked.metric]).statistic(asked.statistic)
    return pd.Series(plain(asked_values(frame, column, step)), index=frame.index, name=column)


def asked_values(frame: Runs | pd.DataFrame, name: str, step: str | None = None) -> Any:
    """Return the statistic of a metric that a full name asks for, as a pandas array, missing where a run has none.

    Parameters
    ----------
    step
        The key that tells the steps, where these matter; see `curves`.

    Raises
    ------
    InvalidKeyError
        If a number in the name is not one that the statistic takes, or if two metrics have no step in common.
    """
    asked = Asked.of(name, frame.columns)
    if asked.at_best_of is not None:
        return _beside(frame, asked.metric, asked.at_best_of, asked.statistic, step)
    array = frame[asked.metric].array
    assert isinstance(array, MetricArray)  # noqa: S101 - only these have statistics
    if not asked.takes_steps:
        return statistic(asked.statistic, array.runs())
    found = curves(frame, [asked.metric], step)  # type: ignore[arg-type]  # any frame with these columns
    ends = np.searchsorted(found.run, np.arange(1, len(frame)))
    return statistic(asked.statistic, np.split(found.columns[asked.metric], ends), np.split(found.step, ends))


def _beside(frame: Any, metric: str, other: str, best: str, step: str | None) -> Any:
    """Return the value of a metric at the step where another one is best."""
    if best not in _PLACES:
        told = f"{metric}@{other}.max, or .min, .last or .first instead of .{best}"
        raise InvalidKeyError(f"what follows the @ tells a step of {other}: write {told}")
    _check_clocks(frame, metric, other, step)
    found = curves(frame, [metric, other], step)
    values = {"value": found.columns[metric], "of": found.columns[other]}
    rows = pd.DataFrame({"run": found.run, "step": found.step, **values}).dropna(subset=["step"])
    chosen = _chosen_steps(rows, best)
    there = rows[rows["value"].notna() & (rows["step"] == rows["run"].map(chosen))]
    _tell_lacking(rows, chosen.drop(there["run"].unique()), metric, f"where {other} is {best}")
    last = there.groupby("run")["value"].last().reindex(range(len(frame)))
    numbers = pd.to_numeric(last, errors="coerce").to_numpy(dtype=np.float64)
    return pd.arrays.FloatingArray(np.nan_to_num(numbers), np.isnan(numbers))


def _chosen_steps(rows: pd.DataFrame, best: str) -> "pd.Series[Any]":
    """Return for each run that has one the step of the best value; of equal ones, the first."""
    known = rows[rows["of"].notna()]
    if best in {"max", "min"}:
        by_run = known.groupby("run")["of"]
        known = known[known["of"] == (by_run.transform("max") if best == "max" else by_run.transform("min"))]
    steps = known.groupby("run")["step"]
    return steps.last() if best == "last" else steps.first()


def _tell_lacking(rows: pd.DataFrame, lacking: "pd.Series[Any]", metric: str, where: str) -> None:
    if not len(lacking):
        return
    run, step = lacking.index[0], lacking.iloc[0]
    steps = rows.loc[(rows["run"] == run) & rows["value"].notna(), "step"].to_numpy()
    nearest = f"; the nearest step with one is {steps[np.abs(steps - step).argmin()]:g}" if len(steps) else ""
    runs = "1 run has" if len(lacking) == 1 else f"{len(lacking)} runs have"
    notice(f"{runs} no value of {metric} {where}, such as at step {step:g}{nearest}")


def _check_clocks(frame: Any, metric: str, other: str, step: str | None) -> None:
    keys = []
    for log in (log_name_of(frame, name) for name in (metric, other)):
        name = step_name(frame, log, step)
        keys.append((log, "the number of the record" if name is None else name.removeprefix(f"{log}.")))
    if keys[0][0] != keys[1][0] and keys[0][1] != keys[1][1]:
        told = " and ".join(f"{key} in {log}" for log, key in keys)
        raise InvalidKeyError(f"{metric} and {other} have no steps in common: these are {told}")
