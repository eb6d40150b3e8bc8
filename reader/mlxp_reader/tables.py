"""Tables of runs, and statistics of metrics as columns of numbers."""

from typing import Any

import pandas as pd

from mlxp.errors import InvalidKeyError
from mlxp_reader.accessors import MetricAccessor
from mlxp_reader.lazy import MetricDtype
from mlxp_reader.names import STATISTICS, suggestion

__all__ = ["statistic_column", "to_table"]

_STATUS = "info.status"


def to_table(frame: Any, columns: list[str] | None, tablefmt: str, **options: Any) -> str:
    """Return some columns of a frame of runs as a text table; see `DataFrame.to_table`."""
    from tabulate import tabulate

    names = _default_columns(frame) if columns is None else list(columns)
    cells = {name: _column(frame, name) for name in names}
    rows = [[None if _is_missing(value) else value for value in row] for row in zip(*cells.values(), strict=True)]
    return tabulate(rows, **{"headers": names, "tablefmt": tablefmt, **options})


def _default_columns(frame: Any) -> list[str]:
    return [*frame.diff(), *([_STATUS] if _STATUS in frame.columns else [])] or list(frame.columns)


def _column(frame: pd.DataFrame, name: str) -> list[Any]:
    column = frame[name] if name in frame.columns else statistic_column(frame, name)
    values: list[Any] = column.tolist()
    return values


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA


def statistic_column(frame: pd.DataFrame, name: str) -> "pd.Series[Any]":
    """Return a statistic of a metric, such as ``train.loss.last``, for each run.

    Raises
    ------
    InvalidKeyError
        If there is no such metric or statistic.
    """
    metric, _, statistic = name.rpartition(".")
    if metric not in frame.columns or not isinstance(frame[metric].dtype, MetricDtype):
        raise InvalidKeyError(f"there is no column '{name}'{suggestion(name, frame.columns)}")
    if statistic not in STATISTICS:
        raise InvalidKeyError(f"there is no statistic '{statistic}' of {metric}; there are {', '.join(STATISTICS)}")
    column: pd.Series[Any] = getattr(MetricAccessor(frame[metric]), statistic)()
    return column
