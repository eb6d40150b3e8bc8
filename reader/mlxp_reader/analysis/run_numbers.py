"""One number per run: a column, or a statistic of a metric such as ``test.acc.last``."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlxp.errors import InvalidKeyError
from mlxp_reader.columns.accessors import MetricAccessor
from mlxp_reader.columns.cells import is_missing
from mlxp_reader.columns.metric_array import MetricDtype
from mlxp_reader.columns.runs import Runs
from mlxp_reader.query.names import STATISTICS, suggestion

Numbers = npt.NDArray[np.float64]


def numbers_of(frame: Runs, name: str) -> Numbers:
    """Return a number per run: a statistic of a metric, or a column, NaN where there is none.

    Raises
    ------
    InvalidKeyError
        If there is no such column or statistic, or if it holds no numbers.
    """
    column = next((column for column in (name, f"config.{name}") if column in frame.columns), None)
    series = statistic_column(frame, name) if column is None else frame[column]
    if isinstance(series.dtype, MetricDtype):
        raise InvalidKeyError(f"'{name}' has one value per step; one of its statistics is needed, such as {name}.last")
    try:
        return np.array([np.nan if is_missing(value) else value for value in series.tolist()], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidKeyError(f"'{name}' holds something else than numbers") from error


def statistic_column(frame: Runs | pd.DataFrame, name: str) -> "pd.Series[Any]":
    """Return a statistic of a metric, such as ``train.loss.last``, for each run.

    Raises
    ------
    InvalidKeyError
        If there is no such metric or statistic.
    """
    metric, _, statistic = name.rpartition(".")
    if metric not in frame.columns or not isinstance(frame[metric].dtype, MetricDtype):
        metrics = [str(column) for column in frame.columns if isinstance(frame[column].dtype, MetricDtype)]
        asked = [f"{known}.{statistic}" for known in metrics] if statistic in STATISTICS else []
        raise InvalidKeyError(f"there is no column '{name}'{suggestion(name, [*frame.columns, *asked])}")
    if statistic not in STATISTICS:
        raise InvalidKeyError(f"there is no statistic '{statistic}' of {metric}; there are {', '.join(STATISTICS)}")
    column: pd.Series[Any] = getattr(MetricAccessor(frame[metric]), statistic)()
    return column
