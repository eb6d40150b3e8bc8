"""Histories: the curves of runs as a tidy table, or as one column per run."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from mlxp_reader.curves import STEP_KEYS, Curves, curves, run_ids
from mlxp_reader.lazy import MetricDtype

__all__ = ["history"]


def history(frame: Any, metrics: Sequence[str] = (), step: str | None = None, wide: bool = False) -> pd.DataFrame:
    """Return the curves of the runs of a frame; see `DataFrame.history`."""
    found = curves(frame, metrics or _all_metrics(frame), step)
    return _wide(frame, found) if wide else _long(frame, found)


def _all_metrics(frame: pd.DataFrame) -> list[str]:
    names = [str(name) for name in frame.columns if isinstance(frame[name].dtype, MetricDtype)]
    return [name for name in names if name.rpartition(".")[2] not in STEP_KEYS] or names


def _long(frame: Any, found: Curves) -> pd.DataFrame:
    columns = {"log_id": run_ids(frame).array.take(found.run), "step": found.step, **found.columns}
    for key in frame.diff():
        columns[key] = frame[key].array.take(found.run)
    return pd.DataFrame(columns, copy=False)


def _wide(frame: pd.DataFrame, found: Curves) -> pd.DataFrame:
    ids = run_ids(frame)
    columns = {}
    for name, values in found.columns.items():
        there = ~(pd.isna(values) | pd.isna(found.step))
        long = pd.DataFrame({"run": found.run[there], "step": found.step[there], name: values[there]})
        # A run that was resumed logs some steps again: what it logged last holds.
        last = long.drop_duplicates(["run", "step"], keep="last").set_index(["step", "run"])[name].unstack()  # noqa: PD010 - no values are put together here
        columns[name] = last.set_axis(pd.Index(ids.iloc[last.columns], name="log_id"), axis=1)
    if len(columns) == 1:
        return next(iter(columns.values()))
    return pd.concat(columns, axis=1, names=["metric", "log_id"]).sort_index()
