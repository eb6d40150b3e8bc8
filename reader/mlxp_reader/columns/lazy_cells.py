"""Columns whose cells are made on demand; until then, a column holds row numbers that say where its cells are.

pandas moves row numbers around, not cells. Only a change to a column makes its cells, which it then holds itself.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
from pandas.api.extensions import take
from pandas.api.indexers import check_array_indexer
from pandas.api.types import is_integer

from mlxp_reader.columns.cells import CellArray, Objects, is_missing, objects

Rows = npt.NDArray[np.intp]


_NO_CELLS = objects([])


class CellSource(Protocol):
    """Where cells come from."""

    def cell(self, row: int) -> Any:
        """Return the cell of a row; this must be cheap."""


class LazyCellArray(CellArray):
    """A column of cells that are made on demand."""

    def __init__(self, cells: Objects) -> None:
        super().__init__(cells)
        self.source: tuple[Any, Rows] | None = None
        """Where the cells come from, and the row of each, -1 for none; None if the column holds its cells."""

    @classmethod
    def of_rows(cls, source: CellSource, rows: Rows) -> Self:
        """Return an array of the cells in some rows of `source`; -1 stands for none."""
        array = cls(_NO_CELLS)
        array.source = source, rows
        return array

    @property
    def cells(self) -> Objects:
        """The cells; looking at them here loads nothing."""
        return self._held if self.source is None else objects(list(self._each()))

    def __setitem__(self, key: Any, value: Any) -> None:
        if not self._readonly:
            self._held, self.source = self.cells, None
        super().__setitem__(key, value)

    def _each(self) -> Iterator[Any]:
        if self.source is None:
            yield from self.cells
            return
        source, rows = self.source
        for row in rows.tolist():
            yield np.nan if row < 0 else source.cell(row)

    def __iter__(self) -> Iterator[Any]:
        return self._each()

    def __len__(self) -> int:
        return len(self.cells if self.source is None else self.source[1])

    @property
    def nbytes(self) -> int:
        """The size in bytes of the references to the cells; loaded values belong to the reader."""
        return 8 * len(self)

    def __getitem__(self, item: Any) -> Any:
        if self.source is None:
            return super().__getitem__(item)
        source, rows = self.source
        if is_integer(item):
            return np.nan if rows[item] < 0 else source.cell(int(rows[item]))
        item = check_array_indexer(self, item)
        result = self._slice(rows[item]) if isinstance(item, slice) else self.of_rows(source, rows[item])
        result._readonly = self._readonly and isinstance(item, slice)  # noqa: SLF001 - of our own class
        return result

    def _slice(self, rows: Rows) -> Self:
        """Return neighbouring cells."""
        assert self.source is not None  # noqa: S101 - callers have checked
        return self.of_rows(self.source[0], rows)

    def take(self, indices: Any, *, allow_fill: bool = False, fill_value: Any = None) -> Self:
        """Return the cells at `indices`."""
        if self.source is None or not (self._is_one_cell(fill_value) and is_missing(fill_value)):
            return super().take(indices, allow_fill=allow_fill, fill_value=fill_value)
        source, rows = self.source
        taken: Any = take(rows, np.asarray(indices, dtype=np.intp), allow_fill=allow_fill, fill_value=-1)
        return self.of_rows(source, taken)

    def copy(self) -> Self:
        """Return a column that can be changed independently; the values are shared."""
        return super().copy() if self.source is None else self.of_rows(*self.source)

    @classmethod
    def _concat_same_type(cls, to_concat: Sequence[Self]) -> Self:
        sources = [array.source for array in to_concat if array.source is not None]
        if len(sources) < len(to_concat) or any(source is not sources[0][0] for source, _ in sources):
            return super()._concat_same_type(to_concat)
        return cls.of_rows(sources[0][0], np.concatenate([rows for _, rows in sources]))

    def equals(self, other: object) -> bool:
        """Tell whether `other` is a column of the same cells; nothing is loaded if they are known to be the same."""
        if isinstance(other, type(self)) and self.source and other.source and self.source[0] is other.source[0]:
            return np.array_equal(self.source[1], other.source[1]) or super().equals(other)
        return super().equals(other)

    def isna(self) -> npt.NDArray[np.bool_]:
        """Tell for each run whether its cell is missing, without loading anything."""
        if self.source is not None:
            return np.asarray(self.source[1] < 0)
        return np.fromiter((type(cell) is float for cell in self.cells), np.bool_, len(self.cells))
