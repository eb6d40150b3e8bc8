"""Three kinds of nothing: a value that is null, one that is NaN, and one that a run does not have.

pandas has one missing value per column, and which one hangs on the type. So that a column of numbers or of texts keeps
its type and still knows, the reader marks what it fills in, by bits that pandas carries along and never looks at: NaN
has 2**51 spellings, of which R uses one for its ``NA`` in the same way, and a masked array has a value under its mask.
A NaN without a mark is a NaN.
"""

import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlxp_reader.columns.cells import CellArray, is_missing, objects

Kinds = npt.NDArray[np.int8]

THERE, IS_NULL, IS_NAN, IS_ABSENT = range(4)

TEXTS = {IS_NULL: "null", IS_NAN: "nan", IS_ABSENT: "–"}
"""What people read, wherever runs are shown."""

NOTHING = {IS_NULL: None, IS_NAN: float("nan"), IS_ABSENT: pd.NA}
"""What each kind is in Python, wherever any value may stand."""


def _marked_nan(mark: int) -> float:
    nan: float = struct.unpack("<d", struct.pack("<Q", _NAN_BITS | mark))[0]
    return nan


_NAN_BITS = 0x7FF8_0000_0000_0000
_OF_MARK = {0x6D6C_7001: IS_NULL, 0x6D6C_7002: IS_ABSENT}
_MARK = 0xFFFF_FFFF

NULL, ABSENT = map(_marked_nan, _OF_MARK)
"""NaN that stands for a null, and for no value, where a column can hold neither."""

AS_NUMBER = {IS_NULL: NULL, IS_NAN: float("nan"), IS_ABSENT: ABSENT}
"""What each kind is among floats."""

_NULL_INT = -(2**63)
"""What stands under the mask of a null among integers; it is True among booleans."""


def kind_of(value: Any) -> int:
    """Tell which kind of nothing a value is; `THERE` if it is none.

    Examples
    --------
    >>> [kind_of(value) for value in (0, None, float("nan"), pd.NA, NULL, ABSENT)]
    [0, 1, 2, 3, 1, 3]
    """
    if not is_missing(value):
        return THERE
    if value is None:
        return IS_NULL
    return int(_kinds_of_floats(np.array([value]))[0]) if isinstance(value, float) else IS_ABSENT


def kinds_of(column: "pd.Series[Any]") -> Kinds:
    """Tell for each value of a column which kind of nothing it is."""
    array: Any = column.array
    if isinstance(column.array, pd.arrays.IntegerArray | pd.arrays.BooleanArray):
        data, missing = array._data, array._mask  # noqa: SLF001 - pandas has no other way to what is under a mask
        is_null = data if data.dtype == np.bool_ else data == _NULL_INT
        return np.where(missing, np.where(is_null, IS_NULL, IS_ABSENT), THERE).astype(np.int8)
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "f":
        return _kinds_of_floats(column.to_numpy())
    kinds = np.where(np.asarray(column.isna()), IS_ABSENT, THERE).astype(np.int8)
    is_text = isinstance(column.dtype, pd.StringDtype)
    if is_text or isinstance(array, CellArray) or column.dtype == object:
        for at in np.flatnonzero(kinds).tolist():
            kind = kind_of(array.cells[at] if isinstance(array, CellArray) else array[at])
            kinds[at] = IS_ABSENT if is_text and kind == IS_NAN else kind  # which no text is, but how pandas fills
    return kinds


def _kinds_of_floats(numbers: npt.NDArray[np.floating[Any]]) -> Kinds:
    numbers = np.ascontiguousarray(numbers, dtype=np.float64)
    kinds = np.where(np.isnan(numbers), IS_NAN, THERE).astype(np.int8)
    for mark, kind in _OF_MARK.items():
        kinds[(kinds == IS_NAN) & ((numbers.view(np.uint64) & _MARK) == mark)] = kind
    return kinds


def exact_values(column: "pd.Series[Any]") -> list[Any]:
    """Return the values of a column: None for a null, ``pd.NA`` for none, NaN for NaN.

    Examples
    --------
    >>> exact_values(pd.Series([0.5, NULL, float("nan"), ABSENT]))
    [0.5, None, nan, <NA>]
    """
    cells = column.array.cells.tolist() if isinstance(column.array, CellArray) else column.tolist()
    kinds = kinds_of(column)
    for at in np.flatnonzero(kinds).tolist():
        cells[at] = NOTHING[int(kinds[at])]
    return cells


def told_of_nothing(table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return for each column of a table without numbers what it holds: NaN if there is one, else null, else nothing.

    Examples
    --------
    >>> told = told_of_nothing(np.array([[np.nan, NULL, ABSENT], [ABSENT, ABSENT, ABSENT]]))
    >>> [TEXTS[kind_of(number)] for number in told.tolist()]
    ['nan', 'null', '–']
    """
    kinds = _kinds_of_floats(table)
    has_null, has_nan = ((kinds == kind).any(axis=0) for kind in (IS_NULL, IS_NAN))
    return np.where(has_nan, np.nan, np.where(has_null, NULL, ABSENT))


def integers(values: npt.NDArray[Any], missing: npt.NDArray[np.bool_], null: npt.NDArray[np.bool_]) -> Any:
    """Return a masked array of integers or booleans that knows which of the missing ones are `null`."""
    if values.dtype == np.bool_:
        return pd.arrays.BooleanArray((values & ~missing) | null, missing)
    marked = np.where(null, _NULL_INT, np.where(missing, 0, values)).astype(np.int64)
    return pd.arrays.IntegerArray(marked, missing)


def texts(values: "pd.Series[Any]", missing: npt.NDArray[np.bool_], null: npt.NDArray[np.bool_]) -> Any:
    """Return an array of texts, as pandas would make one, that knows which of the missing ones are `null`."""
    is_text = isinstance(values.dtype, pd.StringDtype)  # since version 3; before it, they are objects
    if is_text and not null.any():
        return values.array
    cells = objects(values.tolist())
    cells[missing], cells[null] = ABSENT, NULL
    if not is_text:
        return cells
    # What Arrow keeps has no room for a mark.
    dtype: Any = pd.StringDtype("python", na_value=np.nan)
    return dtype.construct_array_type()(cells, dtype=dtype)
