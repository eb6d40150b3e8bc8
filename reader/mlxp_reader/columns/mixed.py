"""A column for values of several kinds: what is a number in one run may be a string, a list or ``None`` in another.

Values keep their type. Comparing them never raises, lists can be grouped by, and the column survives Parquet.
"""

import datetime as dt
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api.extensions import register_extension_dtype

from mlxp_reader.columns.cells import CellArray, CellDtype, Objects, is_missing, objects
from mlxp_reader.records.encoding import from_text, to_text

_NUMBERS = (bool, int, float, np.number, np.bool_)


def _refuse(self: Any, *args: object, **kwargs: object) -> Any:  # noqa: ARG001 - takes what any method takes
    raise TypeError("a value of a column cannot be changed in place, since runs share it; change a copy")


class ListValue(list[Any]):
    """A list that can be a key, of a group or of a dict, and hence cannot be changed."""

    append = extend = insert = remove = pop = clear = sort = reverse = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse

    def __hash__(self) -> int:  # type: ignore[override]  # of a list there is none
        return hash(tuple(self))

    def __reduce__(self) -> Any:
        return ListValue, (list(self),)


class DictValue(dict[Any, Any]):
    """A dict that can be a key, and hence cannot be changed."""

    update = setdefault = pop = popitem = clear = _refuse
    __setitem__ = __delitem__ = __ior__ = _refuse

    def __hash__(self) -> int:  # type: ignore[override]  # of a dict there is none
        return hash(frozenset(self.items()))

    def __reduce__(self) -> Any:
        return DictValue, (dict(self),)


@register_extension_dtype
class MixedDtype(CellDtype):
    """The type of a column of values of several kinds."""

    name = "mixed"
    type = object

    def _get_common_dtype(self, dtypes: list[Any]) -> "MixedDtype | None":
        # Of the runs of two readers, say, one below the other.
        return self if all(map(_holds_values, dtypes)) else None

    @staticmethod
    def __from_arrow__(array: pa.Array | pa.ChunkedArray) -> "MixedArray":
        return MixedArray.of([np.nan if text is None else from_text(text) for text in array.to_pylist()])


class MixedArray(CellArray):
    """A column of values of several kinds.

    Examples
    --------
    >>> column = pd.Series(MixedArray.of(["auto", 0.1, None, 10, [1, 2]]))
    >>> (column > 1).tolist(), (column == "auto").tolist()
    ([False, False, False, True, False], [True, False, False, False, False])
    """

    _cell_dtype = MixedDtype()

    @classmethod
    def _cell(cls, value: Any) -> Any:
        if type(value) is list:
            return ListValue(map(cls._cell, value))
        if type(value) is dict:
            return DictValue((key, cls._cell(item)) for key, item in value.items())
        if isinstance(value, set):
            return frozenset(value)
        if isinstance(value, np.generic):
            return value.item()
        return np.nan if value is pd.NA or value is pd.NaT else value

    @classmethod
    def _fits(cls, values: list[Any]) -> bool:  # noqa: ARG003 - anything does
        return True

    @classmethod
    def _hash_text(cls, cell: Any) -> str:
        if not isinstance(cell, _NUMBERS):
            return repr(cell)
        number: Any = cell
        return str(int(number)) if number // 1 == number else str(number)  # 1, 1.0 and True are equal

    @classmethod
    def _is_one_cell(cls, value: Any) -> bool:
        return isinstance(value, dict | ListValue | set | frozenset | tuple) or super()._is_one_cell(value)

    def _ordered(self, other: Any, order: Callable[[Any, Any], Any]) -> Any:
        return self._compared(other, lambda a, b: _can_be_ordered(a, b) and bool(order(a, b)), when_missing=False)

    def __lt__(self, other: object) -> Any:
        return self._ordered(other, operator.lt)

    def __le__(self, other: object) -> Any:
        return self._ordered(other, operator.le)

    def __gt__(self, other: object) -> Any:
        return self._ordered(other, operator.gt)

    def __ge__(self, other: object) -> Any:
        return self._ordered(other, operator.ge)

    @classmethod
    def _sort_key(cls, cell: Any) -> Any:
        """Numbers come before strings, and these before lists and the rest."""
        if isinstance(cell, _NUMBERS):
            return 0, cell
        if isinstance(cell, str):
            return 1, cell
        if isinstance(cell, list | tuple):
            return 2, tuple((-1, 0) if is_missing(item) else cls._sort_key(item) for item in cell)
        if isinstance(cell, dt.date):
            return 3, cell.isoformat()
        return 4, repr(cell)

    def _values_for_factorize(self) -> tuple[Objects, float]:
        # As pandas does with objects: what is None and what is missing are one group.
        return np.where(self.isna(), np.nan, self.cells), np.nan

    def _formatter(self, boxed: bool = False) -> Callable[[Any], str]:  # noqa: ARG002
        return str

    def __arrow_array__(self, type: pa.DataType | None = None) -> pa.Array:  # noqa: A002 - Arrow's name
        nothing = (cell is not None and is_missing(cell) for cell in self.cells)
        texts = [None if none else to_text(_plain(cell)) for cell, none in zip(self.cells, nothing, strict=True)]
        return pa.array(texts, type=pa.string())

    def _values_for_json(self) -> Any:
        return objects([_plain(cell) for cell in self.cells])


def _can_be_ordered(a: Any, b: Any) -> bool:
    both_numbers = isinstance(a, _NUMBERS) and isinstance(b, _NUMBERS)
    return both_numbers or (type(a) is type(b) and isinstance(a, str | dt.date))


def _plain(cell: Any) -> Any:
    if isinstance(cell, list):
        return [_plain(item) for item in cell]
    if isinstance(cell, dict):
        return {key: _plain(item) for key, item in cell.items()}
    return cell.item() if isinstance(cell, np.generic) else cell


def _holds_values(dtype: Any) -> bool:
    return isinstance(dtype, MixedDtype | pd.StringDtype) or dtype.kind in "biuf"


MixedDtype.array_type = MixedArray
