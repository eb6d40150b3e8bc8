"""Histories: the curves of runs as a tidy table, or as one column per run."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlxp.errors import InvalidKeyError
from mlxp.run_directory.layout import STEP_KEYS
from mlxp_reader.columns.curves import LOG_ID, SOURCE, Curves, curves, run_ids
from mlxp_reader.columns.metric_array import MetricDtype
from mlxp_reader.columns.metric_values import MetricValues
from mlxp_reader.columns.plain_values import known_to_pandas
from mlxp_reader.columns.runs import Runs

_NO_NUMBERS = np.empty(0, dtype=np.int64)


def history(frame: Runs, *metrics: str, step: str | None = None, wide: bool = False) -> pd.DataFrame:
    """Return the curves of the runs as a tidy table: one row per run and step.

    Its columns are ``log_id``, ``step``, one per metric, and the keys of the configuration that vary. Metrics of
    several files are joined by run and step, with NaN where a metric was not logged. If a run logged a step several
    times, for example because it was resumed, the step has several rows. If runs of several directories have equal ids,
    ``source`` names the directory or, if the directories were not read together, numbers them.

    Parameters
    ----------
    metrics
        Such as ``"train.loss"``; by default all that are not steps.
    step
        The key that holds the step of each record; by default ``step``, ``epoch`` or ``iteration`` if there is one, and
        otherwise the number of the record in its file. ``"time"`` is the time at which the record was logged, in
        seconds since the run started, unless there is a key of that name.
    wide
        Whether to return one row per step and one column per run instead. If a step was logged several times, its last
        value is shown. With several metrics, the columns have two levels.

    Raises
    ------
    InvalidKeyError
        If there is no such metric or key, or if a run occurs twice.

    Examples
    --------
    >>> from mlxp_reader import DataFrame
    >>> curves = {"train.loss": [[0.5, 0.25], [1.0]], "train.epoch": [[0, 1], [0]]}
    >>> runs = DataFrame({"config.lr": [0.1, 1.0], **{name: pd.array(curves[name], "metric") for name in curves}})
    >>> runs.history("train.loss")
       log_id  step  train.loss  config.lr
    0       0     0        0.50        0.1
    1       0     1        0.25        0.1
    2       1     0        1.00        1.0
    """
    names = metrics or _all_metrics(frame)
    found = curves(frame, names, step) if names else Curves(_NO_NUMBERS, _NO_NUMBERS, {})
    return _wide(frame, found) if wide else _long(frame, found)


def _all_metrics(frame: Runs) -> list[str]:
    names = [str(name) for name in frame.columns if isinstance(frame[name].dtype, MetricDtype)]
    return [name for name in names if name.rpartition(".")[2] not in STEP_KEYS] or names


def _long(frame: Runs, found: Curves) -> pd.DataFrame:
    counts = np.bincount(found.run, minlength=len(frame))
    told = {name: _repeated(column, found, counts) for name, column in _run_names(frame, found.columns).items()}
    columns = {**told, "step": found.step, **found.columns}
    for key in frame.diff():
        columns[key] = _repeated(known_to_pandas(frame[key]), found, counts)
    return pd.DataFrame(columns, copy=False)


def _repeated(column: "pd.Series[Any]", found: Curves, counts: npt.NDArray[np.intp]) -> Any:
    """Return the value of each run as often as it has rows."""
    if isinstance(column.dtype, np.dtype):
        return np.repeat(column.to_numpy(), counts)  # several times as fast as to take them
    return column.array.take(found.run)


def _wide(frame: Runs, found: Curves) -> pd.DataFrame:
    told = pd.DataFrame(_run_names(frame, found.columns))
    columns = {}
    for name, values in found.columns.items():
        there = ~(pd.isna(values) | pd.isna(found.step))
        long = pd.DataFrame({"run": found.run[there], "step": found.step[there], name: values[there]})
        # A run that was resumed logs some steps again: what it logged last counts.
        last = long.drop_duplicates(["run", "step"], keep="last").set_index(["step", "run"])[name].unstack()  # noqa: PD010 - no values are put together here
        columns[name] = last.set_axis(_index(told.iloc[last.columns]), axis=1)
    if not columns:
        return pd.DataFrame(index=pd.Index([], name="step"))
    if len(columns) == 1:
        return next(iter(columns.values()))
    return pd.concat(columns, axis=1, names=["metric", *told.columns]).sort_index()


def _index(told: pd.DataFrame) -> "pd.Index[Any]":
    index: pd.Index[Any] = pd.Index(told["log_id"]) if len(told.columns) == 1 else pd.MultiIndex.from_frame(told)
    return index


def _run_names(frame: Runs, metrics: Iterable[str]) -> dict[str, "pd.Series[Any]"]:
    """Return what tells the runs apart: their ids, and the directory of each where there are several.

    Raises
    ------
    InvalidKeyError
        If a run occurs twice.
    """
    ids = run_ids(frame)
    if SOURCE in frame.columns and LOG_ID in frame.columns:
        told = {SOURCE: frame[SOURCE], "log_id": ids}
    elif ids.is_unique:
        return {"log_id": ids}
    else:
        told = {SOURCE: pd.Series(_sources(frame, metrics), index=ids.index), "log_id": ids}
    repeated = pd.DataFrame(told).duplicated().to_numpy()
    if repeated.any():
        which = ids.iloc[int(np.argmax(repeated))]
        once = f"drop_duplicates('{LOG_ID}')" if LOG_ID in frame.columns else "reset_index()"
        raise InvalidKeyError(f"run {which} is there twice, so its curves could not be told apart; call {once} first")
    return told


def _sources(frame: Runs, metrics: Iterable[str]) -> list[int]:
    """Return the number of the reader that each run is from, as the places of its metrics tell."""
    places: list[int | None] = [None] * len(frame)
    for name in metrics:
        cells = (id(cell.column) if isinstance(cell, MetricValues) else None for cell in frame[name].array)
        places = [mine or other for mine, other in zip(places, cells, strict=True)]
    return pd.factorize(pd.Series(places, dtype=object))[0].tolist()
