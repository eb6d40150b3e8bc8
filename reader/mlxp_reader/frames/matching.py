"""Queries over the runs of a frame, of which only the columns are known."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlxp_reader.columns.keys import fields_of
from mlxp_reader.columns.metric_array import MetricArray
from mlxp_reader.columns.run_statistics import statistic
from mlxp_reader.query.expressions import MISSING
from mlxp_reader.query.language import parse


def matching(frame: pd.DataFrame, text: str) -> npt.NDArray[np.bool_]:
    """Tell for each run of a frame whether it matches a query; see `mlxp_reader.Reader.filter`.

    Raises
    ------
    InvalidKeyError
        If the query has a name that does not exist.
    QuerySyntaxError
        If it cannot be understood; the message shows the place.
    """

    def values(name: str) -> Any:
        if name in frame.columns:
            return _values(frame[name])
        metric, _, asked = name.rpartition(".")
        curves = frame[metric].array
        assert isinstance(curves, MetricArray)  # noqa: S101 - only these have statistics
        return statistic(asked, curves.runs())

    return parse(text).resolved(fields_of(frame)).mask(values, len(frame))


def _values(column: "pd.Series[Any]") -> list[Any]:
    # Where one run lacks a number, its column has NaN there.
    return [
        MISSING if value is not None and is_na else value for value, is_na in zip(column, column.isna(), strict=True)
    ]
