"""Frames with equally many rows, side by side: MLXP's `merge`, where pandas' own would join on common columns."""

from collections.abc import Sequence

import pandas as pd

from mlxp.errors import InvalidKeyError
from mlxp_reader.columns.metric_array import MetricDtype
from mlxp_reader.notices import some


def bound(frame: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame | None:
    """Return the frame with the columns of another one, or None if the two are to be joined by pandas.

    Rows with the same label are bound or, if the labels differ, rows at the same position.

    Raises
    ------
    InvalidKeyError
        If common columns differ and would pair each row with several.
    """
    if len(frame) != len(other):
        return None
    other = _in_order_of(frame, other)
    common = [name for name in other.columns if name in frame.columns]
    if all(frame[name].equals(other[name]) for name in common):
        return pd.concat([frame, other.drop(columns=common)], axis=1)
    _check_join(other, common)
    return None


def _in_order_of(frame: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    if other.index.is_unique and other.index.sort_values().equals(frame.index.sort_values()):
        return other.loc[frame.index]
    return other.set_axis(frame.index)


def _check_join(other: pd.DataFrame, common: Sequence[str]) -> None:
    metrics = any(isinstance(other[name].dtype, MetricDtype) for name in common)
    if metrics or other.duplicated(list(common)).any():
        raise InvalidKeyError(
            f"both frames have the columns {some(list(map(str, common)))}, whose values differ and do not tell rows"
            " apart: runs.assign(**others) replaces them; on= names the columns to join by"
        )
