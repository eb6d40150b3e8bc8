"""Values of columns as code that knows nothing of MLXP takes them: plain lists, dicts and numbers."""

from typing import Any

import numpy as np

from mlxp_reader.columns.cells import Objects, is_missing

_EXACT_IN_FLOAT = 2**53


def plain(value: Any) -> Any:
    """Return a value of a column with lists and dicts that can be changed, and with Python's own numbers.

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
    """Return values as an array of numbers if they are nothing else and none is rounded, else as they are.

    What is missing is NaN among numbers.

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
