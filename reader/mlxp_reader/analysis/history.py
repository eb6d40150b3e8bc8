"""Histories: the curves of runs as a tidy table, or as one column per run."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlxp_reader.analysis.curves import STEP_KEYS, Curves, curves, run_ids
from mlxp_reader.columns.metric_array import MetricDtype

_NO_NUMBERS = np.empty(0, dtype=np.int64)


def history(frame: Any, metrics: Sequence[str] = (), step: str | None = None, wide: bool = False) -> pd.DataFrame:
    """Return the curves of the runs of a frame; see `DataFrame.history`."""
    names = metrics or _all_metrics(frame)
    found = curves(frame, names, step) if names else Curves(_NO_NUMBERS, _NO_NUMBERS, {})
    return _wide(frame, found) if wide else _long(frame, found)


def _all_metrics(frame: pd.DataFrame) -> list[str]:
    names = [str(name) for name in frame.columns if isinstance(frame[name].dtype, MetricDtype)]
    return [name for name in names if name.rpartition(".")[2] not in STEP_KEYS] or names


def _long(frame: Any, found: Curves) -> pd.DataFrame:
    counts = np.bincount(found.run, minlength=len(frame))
    columns = {"log_id": _repeated(run_ids(frame), found, counts), "step": found.step, **found.columns}
    for key in frame.diff():
        columns[key] = _repeated(frame[key], found, counts)
    return pd.DataFrame(columns, copy=False)


def _repeated(column: "pd.Series[Any]", found: Curves, counts: npt.NDArray[np.intp]) -> Any:
    """Return the value of each run as often as it has rows."""
    if isinstance(column.dtype, np.dtype):
        return np.repeat(column.to_numpy(), counts)  # several times as fast as to take them
    return column.array.take(found.run)


def _wide(frame: pd.DataFrame, found: Curves) -> pd.DataFrame:
    ids = run_ids(frame)
    columns = {}
    for name, values in found.columns.items():
        there = ~(pd.isna(values) | pd.isna(found.step))
        long = pd.DataFrame({"run": found.run[there], "step": found.step[there], name: values[there]})
        # A run that was resumed logs some steps again: what it logged last holds.
        last = long.drop_duplicates(["run", "step"], keep="last").set_index(["step", "run"])[name].unstack()  # noqa: PD010 - no values are put together here
        columns[name] = last.set_axis(pd.Index(ids.iloc[last.columns], name="log_id"), axis=1)
    if not columns:
        return pd.DataFrame(index=pd.Index([], name="step"))
    if len(columns) == 1:
        return next(iter(columns.values()))
    return pd.concat(columns, axis=1, names=["metric", "log_id"]).sort_index()
