"""What the columns of metrics, artifacts and mixed values share: a pandas array whose objects pandas leaves intact.

pandas treats a list, or anything that looks like one, as several values. Here each of them is one cell.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.extensions import ExtensionArray, ExtensionDtype, take
from pandas.api.indexers import check_array_indexer
from pandas.api.types import is_integer, is_list_like, pandas_dtype

Objects = npt.NDArray[np.object_]


def objects(cells: Sequence[Any]) -> Objects:
    """Return a one-dimensional array whose elements are `cells`, even where these are lists or arrays."""
    array = np.empty(len(cells), dtype=object)
    for at, cell in enumerate(cells):
        array[at] = cell
    return array


def is_missing(value: Any) -> bool:
    """Tell whether `value` is one of the scalars that pandas uses for a missing value."""
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)  # noqa: PLR0124 - NaN


class CellDtype(ExtensionDtype):
    """The base class of the types of these columns."""

    na_value = np.nan
    kind = "O"
    array_type: ClassVar[type["CellArray"]]

    def __repr__(self) -> str:
        return self.name

    def construct_array_type(self) -> type["CellArray"]:
        """Return the class of the arrays of this type."""
        return self.array_type


class CellArray(ExtensionArray):
    """A column of cells; subclasses define what a cell may be and what is done with its content."""

    _cell_dtype: ClassVar[CellDtype]
    _readonly = False  # set by pandas since version 3

    def __init__(self, cells: Objects) -> None:
        self._held = cells

    @property
    def cells(self) -> Objects:
        """The cells; looking at them here loads nothing."""
        return self._held

    @classmethod
    def _cell(cls, value: Any) -> Any:
        """Return the cell that holds `value`.

        Raises
        ------
        TypeError
            If this kind of column cannot hold such a cell.
        """
        raise NotImplementedError

    @classmethod
    def _is_one_cell(cls, value: Any) -> bool:
        """Tell whether `value` is one cell, and not a collection of several."""
        return not is_list_like(value)

    @classmethod
    def of(cls, values: Iterable[Any]) -> Self:
        """Return the column that holds `values`.

        Raises
        ------
        TypeError
            If this kind of column cannot hold one of them.
        """
        return cls(objects([cls._cell(value) for value in values]))

    @classmethod
    def _from_sequence(cls, scalars: Iterable[Any], *, dtype: Any = None, copy: bool = False) -> Self:  # noqa: ARG003
        if isinstance(scalars, cls):
            return scalars.copy() if copy else scalars
        return cls.of(scalars)

    @classmethod
    def _from_factorized(cls, values: Objects, original: Self) -> Self:  # noqa: ARG003
        return cls(values)

    @property
    def dtype(self) -> Any:
        """The type of the column."""
        return self._cell_dtype

    @property
    def nbytes(self) -> int:
        """The size in bytes of the references to the cells; loaded values belong to the reader."""
        return self.cells.nbytes

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, item: Any) -> Any:
        if is_integer(item):
            return self.cells[item]
        item = check_array_indexer(self, item)
        result = self._like(self.cells[item])
        if isinstance(item, slice):
            result._readonly = self._readonly  # noqa: SLF001 - of our own class
        return result

    def _like(self, cells: Objects) -> Self:
        return type(self)(cells)

    def __setitem__(self, key: Any, value: Any) -> None:
        if self._readonly:
            raise ValueError("Cannot modify read-only array")
        # pandas may pass a single position as a tuple.
        key = check_array_indexer(self, key[0] if isinstance(key, tuple) and len(key) == 1 else key)
        if is_integer(key):
            if isinstance(value, CellArray):
                raise ValueError("setting an array element with a sequence.")
            self._held[key] = self._cell(value)
        elif self._is_one_cell(value):
            self._held[key] = _scalar(self._cell(value))
        else:
            self._held[key] = self.of(value).cells

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if copy is False:
            raise ValueError("Unable to avoid copy while creating an array as requested.")
        cells = objects(list(self))
        return cells if dtype is None or np.dtype(dtype) == object else self._as_array(np.dtype(dtype))

    def _as_array(self, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        if dtype.kind in "SU":
            # numpy 1 treats a cell with several values as several cells, even where it only has to write them.
            return objects([str(cell) for cell in self]).astype(dtype)
        return self.cells.astype(dtype)

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """Return the column as another type; as text, each cell is written in full."""
        dtype = pandas_dtype(dtype)
        if dtype == self.dtype:
            return self.copy() if copy else self
        if isinstance(dtype, pd.StringDtype):
            texts = [pd.NA if is_missing(cell) else str(cell) for cell in self]
            return pd.array(texts, dtype=dtype)
        if isinstance(dtype, ExtensionDtype):
            return pd.array(list(self), dtype=dtype)  # type: ignore[call-overload]  # any type a user registered
        return self.__array__(dtype)

    def to_plain(self) -> Objects:
        """Return what the cells hold, as objects that code unaware of such cells can handle."""
        return self.cells

    def isna(self) -> npt.NDArray[np.bool_]:
        """Tell for each cell whether it is missing."""
        return np.asarray(pd.isna(self.cells))

    def take(self, indices: Any, *, allow_fill: bool = False, fill_value: Any = None) -> Self:
        """Return the cells at `indices`."""
        indices = np.asarray(indices, dtype=np.intp)
        taken: Any = take(self.cells, indices, allow_fill=allow_fill, fill_value=np.nan if allow_fill else None)
        if allow_fill and not (self._is_one_cell(fill_value) and is_missing(fill_value)):
            taken[indices == -1] = _scalar(self._cell(fill_value))
        return type(self)(taken)

    def shift(self, periods: int = 1, fill_value: object = None) -> Self:
        """Return the cells moved by `periods` places; the gap holds `fill_value`."""
        gap = self.of([np.nan if fill_value is None else fill_value] * min(abs(periods), len(self)))
        kept = self[: max(len(self) - periods, 0)] if periods > 0 else self[min(-periods, len(self)) :]
        return self._concat_same_type([gap, kept] if periods > 0 else [kept, gap])

    def copy(self) -> Self:
        """Return a column that can be changed independently; the cells are shared."""
        return type(self)(self.cells.copy())

    def value_counts(self, dropna: bool = True) -> "pd.Series[int]":
        """Return how often each cell occurs."""  # before version 3, pandas leaves this to the array
        codes, cells = self.factorize(use_na_sentinel=dropna)
        return pd.Series(np.bincount(codes[codes >= 0], minlength=len(cells)), index=pd.Index(cells), name="count")

    def view(self, dtype: Any = None) -> Any:
        """Return a column that shares its memory with this one."""
        return self.astype(dtype) if dtype is not None else self[:]

    @classmethod
    def _concat_same_type(cls, to_concat: Sequence[Self]) -> Self:
        return cls(np.concatenate([array.cells for array in to_concat]))

    def equals(self, other: object) -> bool:
        """Tell whether `other` is a column of the same cells; nothing is loaded to compare a cell with itself."""
        if type(other) is not type(self) or len(self) != len(other):
            return False
        pairs = zip(self.cells, other.cells, strict=True)
        return all(a is b or (is_missing(a) and is_missing(b)) or self._are_same(a, b) for a, b in pairs)

    @classmethod
    def _are_same(cls, a: Any, b: Any) -> bool:
        return bool(a == b)

    def _compared(self, other: Any, compare: Callable[[Any, Any], bool], *, when_missing: bool) -> Any:
        if isinstance(other, pd.Series | pd.Index | pd.DataFrame):
            return NotImplemented
        others = [other] * len(self) if self._is_one_cell(other) else list(other)
        if len(others) != len(self):
            raise ValueError("Lengths must match to compare")
        results = (
            when_missing if is_missing(a) or is_missing(b) else compare(a, b) for a, b in zip(self, others, strict=True)
        )
        return np.fromiter(results, np.bool_, len(self))

    def __eq__(self, other: object) -> Any:
        return self._compared(other, lambda a, b: bool(a == b), when_missing=False)

    def __ne__(self, other: object) -> Any:
        return self._compared(other, lambda a, b: bool(a != b), when_missing=True)

    def __hash__(self) -> int:
        raise TypeError(f"unhashable type: '{type(self).__name__}'")

    def _values_for_factorize(self) -> tuple[Objects, float]:
        return self.cells, np.nan

    def _cast_pointwise_result(self, values: Any) -> Any:
        # pandas passes the results of a function applied to the cells, sometimes already as a typed array.
        if isinstance(values, ExtensionArray) or (isinstance(values, np.ndarray) and values.dtype != object):
            return values
        inferred = pd.Series(objects(list(values)), dtype=object).infer_objects()
        if inferred.dtype == object and self._fits(inferred.dropna().tolist()):
            return self.of(values)
        return inferred.array if isinstance(inferred.dtype, ExtensionDtype) else inferred.to_numpy()

    @classmethod
    def _fits(cls, values: list[Any]) -> bool:
        """Tell whether the results of a function applied to the cells should be such cells again."""
        raise NotImplementedError

    def _values_for_argsort(self) -> npt.NDArray[np.intp]:
        # Dense ranks: numpy could not sort cells that look like lists. pandas places the missing ones itself.
        keys = [None if is_missing(cell) else self._sort_key(cell) for cell in self]
        ranks = {key: rank for rank, key in enumerate(sorted({key for key in keys if key is not None}))}
        return np.array([-1 if key is None else ranks[key] for key in keys], dtype=np.intp)

    def _rank(self, **options: Any) -> npt.NDArray[Any]:
        # pandas 2 would treat missing cells, which have no place in the order, as the lowest value.
        places = self._values_for_argsort().astype(np.float64)
        ranks: npt.NDArray[Any] = pd.Series(np.where(places < 0, np.nan, places)).rank(**options).to_numpy()
        return ranks

    @classmethod
    def _sort_key(cls, cell: Any) -> Any:
        raise NotImplementedError

    def searchsorted(self, value: Any, side: Literal["left", "right"] = "left", sorter: Any = None) -> Any:
        """Return where `value`, a cell or several, would have to be inserted."""
        cells = self if sorter is None else self.take(sorter)
        keys = [self._sort_key(cell) for cell in cells]
        bisect = bisect_left if side == "left" else bisect_right
        if self._is_one_cell(value):
            return bisect(keys, self._sort_key(value))
        return np.array([bisect(keys, self._sort_key(cell)) for cell in value], dtype=np.intp)

    def _hash_pandas_object(self, *, encoding: str, hash_key: str, categorize: bool) -> npt.NDArray[np.uint64]:
        texts = objects(["" if is_missing(cell) else self._hash_text(cell) for cell in self])
        hashed = pd.util.hash_array(texts, encoding=encoding, hash_key=hash_key, categorize=categorize)
        return np.asarray(hashed)

    @classmethod
    def _hash_text(cls, cell: Any) -> str:
        """Return a text that is the same for equal cells."""
        return str(cell)


def _scalar(cell: Any) -> Objects:
    """Return `cell` in a zero-dimensional array, which numpy does not treat as several cells."""
    array = np.empty((), dtype=object)
    array[()] = cell
    return array
