"""Values and columns for code that knows nothing of MLXP: plain lists, dicts, numbers and paths."""

import json
from typing import Any

import numpy as np
import pandas as pd

from mlxp_reader.columns.cells import CellArray, Objects, is_missing, objects

_EXACT_IN_FLOAT = 2**53


def plain(value: Any) -> Any:
    """Return a value of a column, with lists and dicts that can be changed and with Python's own numbers.

    Examples
    --------
    >>> plain(np.float64(0.5)), plain([np.int64(1), {"a": [2]}])
    (0.5, [1, {'a': [2]}])
    """
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value.item() if isinstance(value, np.generic) else value


def numbers_or_objects(cells: Objects) -> Any:
    """Return values as an array of numbers if all are numbers and none would be rounded, else as they are.

    Among numbers, a missing value is NaN.

    Examples
    --------
    >>> numbers_or_objects(np.array([1, 0.5, None], dtype=object)).tolist()
    [1.0, 0.5, nan]
    >>> numbers_or_objects(np.array([1, 2], dtype=object)).dtype, numbers_or_objects(np.array([1, "a"], object)).dtype
    (dtype('int64'), dtype('O'))
    """
    there = [cell for cell in cells.tolist() if not is_missing(cell)]
    kinds = set(map(type, there))
    if not kinds or not kinds <= {int, float}:
        return np.array(there, dtype=np.bool_) if kinds == {bool} and len(there) == len(cells) else cells
    if kinds == {int} and len(there) == len(cells):
        return np.array(there, dtype=np.int64) if all(-(2**63) <= value < 2**63 for value in there) else cells
    if any(type(value) is int and abs(value) > _EXACT_IN_FLOAT for value in there):
        return cells
    return np.array([np.nan if is_missing(cell) else cell for cell in cells.tolist()], dtype=np.float64)


def plain_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of the columns that `plain_column` makes; everything is loaded."""
    columns = [plain_column(frame.iloc[:, at]) for at in range(frame.shape[1])]
    plain_columns = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=frame.index)
    return pd.DataFrame(plain_columns.set_axis(frame.columns, axis=1))


def plain_column(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return a column of a numpy or pandas type, with values that can be changed and that pickle and YAML know.

    Missing integers and booleans are NaN, as in pandas itself. Metrics are read-only arrays, since they share the
    reader's memory; artifacts are dicts from names to paths.

    Examples
    --------
    >>> plain_column(pd.Series([1, None], dtype="Int64")).tolist(), plain_column(pd.Series([True, None])).tolist()
    ([1.0, nan], [True, None])
    """
    array: Any = column.array
    if isinstance(array, CellArray):
        return pd.Series(array.to_plain(), index=column.index, name=column.name, dtype=object)
    if isinstance(array, pd.arrays.IntegerArray | pd.arrays.FloatingArray | pd.arrays.BooleanArray):
        return pd.Series(_plain_numbers(array), index=column.index, name=column.name)
    return column


def known_to_pandas(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return a column of values as a type that pandas knows; lists can still be grouped by.

    Examples
    --------
    >>> known_to_pandas(pd.Series(["auto", [1], 2], dtype="mixed")).dtype, known_to_pandas(pd.Series([1.5])).dtype
    (dtype('O'), dtype('float64'))
    """
    if isinstance(column.array, CellArray):
        return pd.Series(column.array.cells, index=column.index, name=column.name, dtype=object)
    return plain_column(column)


def _plain_numbers(array: Any) -> Any:
    missing = np.asarray(array.isna())
    if not missing.any():
        return array.to_numpy(dtype=array.dtype.numpy_dtype)
    cells = objects([np.nan if cell is pd.NA else cell for cell in array.tolist()])
    # Booleans, and integers that a float would round, then become objects, as in pandas.
    return cells if array.dtype.kind == "b" else numbers_or_objects(cells)


def text_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a plain frame with one number or text per cell, for spreadsheets and databases: the rest is JSON.

    Examples
    --------
    >>> text_frame(pd.DataFrame({"layers": [[64, 32]], "lr": [0.1]})).to_dict("records")
    [{'layers': '[64, 32]', 'lr': 0.1}]
    """
    columns = [column.map(_as_text) if column.dtype.kind == "O" else column for _, column in plain_frame(frame).items()]
    texts = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=frame.index)
    return pd.DataFrame(texts.set_axis(frame.columns, axis=1))


def _as_text(value: Any) -> Any:
    value = value.tolist() if isinstance(value, np.ndarray) else value
    return json.dumps(value, default=str) if isinstance(value, list | dict | tuple) else value
