"""A column for values of several kinds: what is a number in one run may be a string, a list or ``None`` in another.

Values keep their types. Comparing them never raises, lists can serve as group keys, and the column survives Parquet.
Everything else works as pandas does it with objects, or with numbers if there is nothing else.
"""

import copy
import datetime as dt
import json
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pandas.api.extensions import ExtensionScalarOpsMixin, register_extension_dtype  # type: ignore[attr-defined]  # it is there
from yaml.representer import Representer, SafeRepresenter

from mlxp_reader.columns.arrow_storage import chunks_of, register
from mlxp_reader.columns.cells import CellArray, CellDtype, Objects, is_missing, objects
from mlxp_reader.columns.missing import ABSENT
from mlxp_reader.columns.plain_values import numbers_or_objects, plain
from mlxp_reader.records.encoding import from_text, to_text

_NUMBERS = (bool, int, float, np.number, np.bool_)
_COLLECTIONS = (list, tuple, set, frozenset, dict)  # pandas takes of a dict the keys


def _refuse(self: Any, *args: object, **kwargs: object) -> Any:  # noqa: ARG001 - takes what any method takes
    raise TypeError("a value of a column cannot be changed in place, since runs share it; change a copy")


class ListValue(list[Any]):
    """A list that can be the key of a group or of a dict, and hence cannot be changed."""

    append = extend = insert = remove = pop = clear = sort = reverse = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse

    def __hash__(self) -> int:  # type: ignore[override]  # of a list there is none
        return hash(tuple(self))

    def __reduce__(self) -> Any:
        return ListValue, (list(self),)

    def __deepcopy__(self, memo: Any) -> list[Any]:
        return [copy.deepcopy(item, memo) for item in self]  # which can be changed


class DictValue(dict[Any, Any]):
    """A dict that can be a key, and hence cannot be changed."""

    update = setdefault = pop = popitem = clear = _refuse
    __setitem__ = __delitem__ = __ior__ = _refuse

    def __hash__(self) -> int:  # type: ignore[override]  # of a dict there is none
        return hash(frozenset(self.items()))

    def __reduce__(self) -> Any:
        return DictValue, (dict(self),)

    def __deepcopy__(self, memo: Any) -> dict[Any, Any]:
        return {key: copy.deepcopy(item, memo) for key, item in self.items()}


for _dumper in (SafeRepresenter, Representer):  # YAML does not know subclasses of list and dict
    _dumper.add_representer(ListValue, SafeRepresenter.represent_list)
    _dumper.add_representer(DictValue, SafeRepresenter.represent_dict)


@register_extension_dtype
class MixedDtype(CellDtype):
    """The type of a column of values of several kinds."""

    name = "mixed"
    type = object

    def _get_common_dtype(self, dtypes: list[Any]) -> "MixedDtype | None":
        # For example, when the runs of two readers are concatenated.
        return self if all(map(_holds_values, dtypes)) else None

    @staticmethod
    def __from_arrow__(array: pa.Array | pa.ChunkedArray) -> "MixedArray":
        return MixedArray.of([value for chunk in chunks_of(array) for value in _values_of_arrow(chunk)])


class MixedArray(ExtensionScalarOpsMixin, CellArray):  # type: ignore[misc]  # as above
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
        return ABSENT if value is pd.NA or value is pd.NaT else value

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

    @property
    def as_series(self) -> "pd.Series[Any]":
        """The values as a plain pandas series: of numbers if there is nothing else, of objects otherwise."""
        return pd.Series(numbers_or_objects(self.cells))

    @property
    def categories(self) -> Objects:
        """The values, for pandas' ``.str`` accessor, which looks here to see whether it can work on them."""
        return self.cells

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_str_"):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        return getattr(pd.arrays.NumpyExtensionArray(self.cells), name)

    @classmethod
    def _create_arithmetic_method(cls, op: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def method(self: "MixedArray", other: Any) -> Any:
            if isinstance(other, pd.Series | pd.Index | pd.DataFrame):
                return NotImplemented
            return cls._back(op(self.as_series, other.as_series if isinstance(other, cls) else other))

        method.__name__ = f"__{op.__name__.strip('_')}__"
        return method

    @classmethod
    def _back(cls, result: "pd.Series[Any]") -> Any:
        """Return a computed result as an array of numbers or of values of several kinds."""
        if result.dtype == object:
            return cls.of(result)
        return result.to_numpy() if isinstance(result.dtype, np.dtype) else result.array

    def __neg__(self) -> Any:
        return self._back(-self.as_series)

    def __pos__(self) -> Any:
        return self._back(+self.as_series)

    def __abs__(self) -> Any:
        return self._back(abs(self.as_series))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain_inputs = [one.as_series.to_numpy() if isinstance(one, MixedArray) else one for one in inputs]
        result = getattr(ufunc, method)(*plain_inputs, **kwargs)
        return self.of(result) if isinstance(result, np.ndarray) and result.dtype == object else result

    def _reduce(self, name: str, *, skipna: bool = True, keepdims: bool = False, **kwargs: Any) -> Any:
        series = self.as_series
        if name == "count":
            return int(series.count())
        told = f"a column with dtype mixed does not support operation '{name}' here"
        if series.dtype == object and name in {"any", "all"}:
            raise TypeError(f"{told}: values of several kinds are neither true nor false")
        try:
            result = getattr(series, name)(skipna=skipna, **kwargs)
        except TypeError as error:
            raise TypeError(f"{told}: {error}") from error
        return self._back(pd.Series([result])) if keepdims else result

    def _accumulate(self, name: str, *, skipna: bool = True, **kwargs: Any) -> Any:
        return self._back(getattr(self.as_series, name)(skipna=skipna, **kwargs))

    def interpolate(self, **kwargs: Any) -> Any:
        """Return the values with the gaps between them filled, if they are numbers."""
        index, kwargs = kwargs.pop("index"), {key: kwargs[key] for key in ("method", "limit", "limit_direction")}
        return self._back(self.as_series.set_axis(index).interpolate(**kwargs))

    def _explode(self) -> tuple[Any, npt.NDArray[np.uint64]]:
        each = [list(cell) or [np.nan] if isinstance(cell, _COLLECTIONS) else [cell] for cell in self.cells]
        flat = pd.Series(numbers_or_objects(objects([value for cell in each for value in cell])))
        return self._back(flat.infer_objects()), np.array([len(cell) for cell in each], dtype=np.uint64)

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
        # As pandas does with objects: None and missing values form one group.
        return np.where(self.isna(), np.nan, self.cells), np.nan

    def _formatter(self, boxed: bool = False) -> Callable[[Any], str]:  # noqa: ARG002
        return str

    def __arrow_array__(self, type: pa.DataType | None = None) -> pa.Array:  # noqa: A002 - Arrow's name
        plain_lists = _plain_lists(self.cells.tolist())
        if plain_lists is not None:
            return pa.array(plain_lists)
        nothing = (cell is not None and is_missing(cell) for cell in self.cells)
        texts = [None if none else _as_text(plain(cell)) for cell, none in zip(self.cells, nothing, strict=True)]
        return pa.array(texts, type=pa.string())

    def to_plain(self) -> Objects:
        """Return the values, with lists and dicts copied so that they can be changed."""
        return objects([plain(cell) for cell in self.cells])

    def _values_for_json(self) -> Any:
        return self.to_plain()


def _can_be_ordered(a: Any, b: Any) -> bool:
    both_numbers = isinstance(a, _NUMBERS) and isinstance(b, _NUMBERS)
    return both_numbers or (type(a) is type(b) and isinstance(a, str | dt.date))


def _plain_lists(cells: list[Any]) -> list[Any] | None:
    """Return lists of values of one kind as Arrow lists; None if there is anything else."""
    lists = [cell for cell in cells if not (cell is not None and is_missing(cell))]
    if not lists or not all(isinstance(cell, list) for cell in lists):
        return None
    kinds = {type(item) for cell in lists for item in cell}
    fits = kinds in ({float}, {str}, {bool}) or (kinds == {int} and all(abs(n) < 2**63 for c in lists for n in c))
    return [list(cell) if isinstance(cell, list) else None for cell in cells] if fits else None


def _as_text(value: Any) -> str:
    """Return a value as JSON; a string stays as it is unless it could be mistaken for JSON."""
    return value if isinstance(value, str) and not _is_json(value) else to_text(value)


def _is_json(text: str) -> bool:
    try:
        text.encode()
        json.loads(text)
    except (RecursionError, UnicodeEncodeError):  # such as half of a surrogate pair, which Arrow cannot hold
        return True
    except ValueError:
        return False
    return True


def _values_of_arrow(chunk: pa.Array) -> list[Any]:
    """Return the values that were stored: as lists, or as texts."""
    stored = [np.nan if value is None else value for value in chunk.to_pylist()]
    return [from_text(value) if isinstance(value, str) and _is_json(value) else value for value in stored]


def _holds_values(dtype: Any) -> bool:
    return isinstance(dtype, MixedDtype | pd.StringDtype) or dtype.kind in "biuf"


MixedDtype.array_type = MixedArray
register("mixed")
MixedArray._add_arithmetic_ops()  # noqa: SLF001 - as pandas documents it
