"""Ragged columns: the values of one metric in many runs, one list per run, in one flat array.

`Lists` holds lists of one kind and converts to Arrow and back without copying numbers. `MetricOfRuns` is the result of
reading a metric: some `Lists`, perhaps of several kinds, and where in them each run's values are.
Nothing here imports pandas.
"""

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlxp_reader.store.json_lines import Kind, Values

Cell = npt.NDArray[Any] | list[Any]
"""One run's values: an array of integers, floats or booleans, which is read-only, or a list of anything else."""

_NUMERIC: dict[str, tuple[pa.DataType, type[np.generic]]] = {
    "int": (pa.int64(), np.int64),
    "float": (pa.float64(), np.float64),
    "bool": (pa.uint8(), np.bool_),
}


class RunProblem(NamedTuple):
    """Part of a run that cannot be read: a line of one of its files, or a whole file (``line`` is None)."""

    log_id: int
    file: str
    line: int | None
    error: str


@dataclass(frozen=True, slots=True)
class Lists:
    """Lists of values of one kind; list `i` is ``values[offsets[i] : offsets[i + 1]]``.

    Values of the kind ``json`` are JSON texts. A list that is not `present` does not exist; it is not empty.
    """

    kind: Kind
    values: Values
    offsets: npt.NDArray[np.int64]
    present: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.present)

    def __getitem__(self, index: int) -> Values:
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    @classmethod
    def of(cls, kind: Kind, counts: npt.NDArray[np.int64], values: Iterable[Values]) -> "Lists":
        """Return `values` split into lists of the lengths `counts`; a negative count means that there is no list."""
        offsets = np.concatenate([[0], np.cumsum(np.maximum(counts, 0))])
        return cls(kind, flat(kind, values), offsets, counts >= 0)

    def cell(self, index: int) -> Cell:
        """Return list `index` as its user sees it."""
        return self.cells(np.array([index]))[0]

    def cells(self, rows: npt.NDArray[np.int64]) -> list[Cell]:
        """Return the lists at `rows` as their user sees them; arrays are views, which cost next to nothing."""
        values = self.values
        bounds = zip(self.offsets[rows].tolist(), self.offsets[rows + 1].tolist(), strict=True)
        lists = [values[start:end] for start, end in bounds]
        return [plain_values("json", texts) for texts in lists] if self.kind == "json" else lists

    def take(self, rows: npt.NDArray[np.int64]) -> "Lists":
        """Return the lists at `rows`, copied."""
        counts = np.where(self.present[rows], np.diff(self.offsets)[rows], -1)
        return Lists.of(self.kind, counts, [self[row] for row in rows.tolist()])

    @classmethod
    def joined(cls, several: Sequence["Lists"]) -> "Lists":
        """Return all lists of `several`, which are of one kind, one after the other."""
        if len(several) == 1:
            return several[0]
        ends = np.cumsum([0, *(len(lists.values) for lists in several)])
        offsets = [lists.offsets[:-1] + start for lists, start in zip(several, ends[:-1], strict=True)]
        values = flat(several[0].kind, [lists.values for lists in several])
        present = np.concatenate([lists.present for lists in several])
        return cls(several[0].kind, values, np.concatenate([*offsets, ends[-1:]]).astype(np.int64), present)

    def between(self, start: int, stop: int) -> "Lists":
        """Return the lists from `start` to `stop`, copied unless they are all, so that no others stay in memory."""
        if stop - start == len(self):
            return self
        offsets = self.offsets[start : stop + 1]
        values = flat(self.kind, [self.values[offsets[0] : offsets[-1]]])
        return Lists(self.kind, values, offsets - offsets[0], self.present[start:stop])

    def checksum(self) -> int:
        """Return a checksum of everything that the lists hold."""
        if isinstance(self.values, np.ndarray):
            data = [self.values]
        else:
            texts = [text.encode() for text in self.values]
            data = [np.array([len(text) for text in texts], dtype=np.int64), np.frombuffer(b"".join(texts), np.uint8)]
        check = 0
        for array in (*data, self.offsets, self.present):
            check = zlib.crc32(np.ascontiguousarray(array).data.cast("B"), check)
        return check

    def to_arrow(self) -> pa.LargeListArray:
        """Return an Arrow array of lists; booleans are the integers 0 and 1 there."""
        bitmap = None if self.present.all() else pa.py_buffer(np.packbits(self.present, bitorder="little"))
        values = self._values_to_arrow()
        buffers = [bitmap, pa.py_buffer(self.offsets)]
        return pa.Array.from_buffers(pa.large_list(values.type), len(self), buffers, children=[values])

    def _values_to_arrow(self) -> pa.Array:
        # Not by pa.array(), which imports pandas.
        if isinstance(self.values, np.ndarray):
            return pa.Array.from_buffers(_NUMERIC[self.kind][0], len(self.values), [None, pa.py_buffer(self.values)])
        texts = [text.encode() for text in self.values]
        offsets = np.concatenate([[0], np.cumsum([len(text) for text in texts], dtype=np.int64)]).astype(np.int64)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(texts))]
        return pa.Array.from_buffers(pa.large_string(), len(texts), buffers)

    @classmethod
    def from_arrow(cls, kind: Kind, lists: pa.LargeListArray) -> "Lists":
        """Return the lists in an array that `to_arrow` made; numbers are not copied."""
        bitmap, offsets = lists.buffers()[:2]
        present = np.ones(len(lists), np.bool_)
        if bitmap is not None:
            bits = np.unpackbits(np.frombuffer(bitmap, np.uint8), bitorder="little")
            present = bits[lists.offset : lists.offset + len(lists)].astype(np.bool_)
        ends = np.frombuffer(offsets, np.int64)[lists.offset : lists.offset + len(lists) + 1]
        return cls(kind, _values_from_arrow(kind, lists.values), ends, present)


def flat(kind: Kind, values: Iterable[Values]) -> Values:
    """Return all `values`, which are of one kind, one after the other."""
    if kind in _NUMERIC:
        return _read_only(np.concatenate([np.empty(0, _NUMERIC[kind][1]), *values]))
    return list(chain.from_iterable(values))


def plain_values(kind: Kind, values: Values) -> list[Any]:
    """Return values of a kind as Python's own."""
    if isinstance(values, np.ndarray):
        numbers: list[Any] = values.tolist()
        return numbers
    loaded: list[Any] = json.loads(f"[{','.join(values)}]") if kind == "json" else values
    return loaded


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # The views that users get share its memory with each other and with the cache.
    array.flags.writeable = False
    return array


def _values_from_arrow(kind: Kind, values: pa.Array) -> Values:
    if kind not in _NUMERIC:
        texts: list[str] = values.to_pylist()
        return texts
    return numbers(values).view(_NUMERIC[kind][1])


def numbers(array: pa.Array) -> npt.NDArray[Any]:
    """Return an Arrow array of numbers, without nulls, as a numpy array that shares its memory."""
    # Not by to_numpy(), which imports pandas.
    width = array.type.bit_width // 8
    dtype = np.dtype(f"{'f' if pa.types.is_floating(array.type) else 'u' if width == 1 else 'i'}{width}")
    data = array.buffers()[1]
    return _read_only(
        np.frombuffer(data, dtype, len(array), array.offset * width) if len(array) else np.empty(0, dtype)
    )


@dataclass(frozen=True, slots=True)
class MetricOfRuns:
    """The values of one metric in some runs.

    Attributes
    ----------
    parts
        The values, in lists of one kind each.
    part, row
        For each run, the part that holds its values and their row there; ``part`` is -1 if the run lacks the metric.
    records
        The number of each value's record, for each run where these are not simply 0, 1, 2, ...
    problems
        What could not be read.
    """

    parts: tuple[Lists, ...]
    part: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    records: dict[int, npt.NDArray[np.int64]] = field(default_factory=dict)
    problems: tuple[RunProblem, ...] = ()

    def __len__(self) -> int:
        return len(self.part)

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """Which runs have the metric."""
        return self.part >= 0

    def cell(self, run: int) -> Cell | None:
        """Return the values of one run, or None if it lacks the metric."""
        return None if self.part[run] < 0 else self.parts[self.part[run]].cell(int(self.row[run]))

    def cells(self) -> list[Cell | None]:
        """Return the values of all runs."""
        cells: list[Cell | None] = [None] * len(self)
        for number, lists in enumerate(self.parts):
            runs = np.flatnonzero(self.part == number)
            for run, cell in zip(runs.tolist(), lists.cells(self.row[runs]), strict=True):
                cells[run] = cell
        return cells

    def record_numbers(self, run: int) -> npt.NDArray[np.int64]:
        """Return the record number of each value of a run; values logged together have the same number."""
        if run in self.records:
            return self.records[run]
        return np.arange(0 if self.part[run] < 0 else len(self.parts[self.part[run]][int(self.row[run])]))
