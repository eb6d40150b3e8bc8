"""Columns with one value per record, as they are stored: numbers, booleans or texts, missing where there is none.

A key has one type in all files. Where a value is not of that type, or would be rounded, the column has the nearest
number, or nothing, and the record's text in the column `EXACT` has the value itself.
"""

import json
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlxp_reader.store.json_lines import Kind, Values
from mlxp_reader.store.lists import Lists, numbers

EXACT = "exact"
OWN = ("log_id", "record", EXACT)
"""The columns of a file beside those of keys."""

Type = Literal["double", "string", "bool"]

_TYPE_OF: dict[Kind, Type] = {"float": "double", "int": "double", "json": "double", "bool": "bool", "string": "string"}

_HELD: dict[Type, tuple[Kind, ...]] = {"double": ("float", "int"), "bool": ("bool",), "string": ("string",)}

_EXACT_IN_DOUBLE = 2**53

Counts = npt.NDArray[np.int64]
Present = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class WideColumn:
    """Values of one type, with any value where none is present; texts are a list."""

    type: Type
    values: npt.NDArray[Any] | list[str]
    present: Present | None  # None if all are

    def __len__(self) -> int:
        return len(self.values)

    def check(self) -> int:
        """Return a checksum of the values that are present, and of which are; 0 for a column of none."""
        if not len(self) or (self.present is not None and not self.present.any()):
            return 0
        if isinstance(self.values, list):
            texts = [text.encode() for text in self.values]
            data = [np.array([len(text) for text in texts], dtype=np.int64), np.frombuffer(b"".join(texts), np.uint8)]
        else:
            data = [self.values if self.present is None else self.values[self.present]]
        check = 1
        for array in data if self.present is None else (*data, self.present):
            check = zlib.crc32(np.ascontiguousarray(array).data.cast("B"), check)
        return check

    def to_arrow(self) -> pa.Array:
        """Return the column as an Arrow array."""
        # Not by pa.array(), which imports pandas.
        bitmap = None if self.present is None else _bits(self.present)
        if isinstance(self.values, list):
            texts = [text.encode() for text in self.values]
            offsets = np.concatenate([[0], np.cumsum([len(text) for text in texts], dtype=np.int64)]).astype(np.int64)
            buffers = [bitmap, pa.py_buffer(offsets), pa.py_buffer(b"".join(texts))]
            return pa.Array.from_buffers(pa.large_string(), len(texts), buffers)
        if self.type == "bool":
            return pa.Array.from_buffers(pa.bool_(), len(self), [bitmap, _bits(self.values)])
        return pa.Array.from_buffers(pa.float64(), len(self), [bitmap, pa.py_buffer(self.values)])

    @classmethod
    def from_arrow(cls, kind: Type, array: pa.Array) -> "WideColumn":
        """Return the column in an array as `to_arrow` makes it."""
        bitmap = array.buffers()[0]
        present = None if bitmap is None or not array.null_count else _from_bits(bitmap, array)
        if kind == "double":
            return cls(kind, numbers(array), present)
        if kind == "bool":
            return cls(kind, _from_bits(array.buffers()[1], array), present)
        return cls(kind, [text or "" for text in array.to_pylist()], present)


def integers(values: npt.NDArray[np.int64]) -> pa.Array:
    """Return an Arrow array of integers."""
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def _bits(mask: npt.NDArray[Any]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(mask, bitorder="little"))


def _from_bits(buffer: pa.Buffer, array: pa.Array) -> Present:
    bits = np.unpackbits(np.frombuffer(buffer, np.uint8), bitorder="little")
    return bits[array.offset : array.offset + len(array)].astype(np.bool_)


def starts_of(counts: Counts) -> Counts:
    """Return which record of all is the first one of each part."""
    return np.cumsum(counts) - counts


# From lists, one per part, to a column, one value per record.


def written(
    key: str,
    kinds: Mapping[Kind, tuple[Lists, Lists | None]],
    kind_of_column: Type | None,
    counts: Counts,
    exact: dict[int, list[str]],
) -> WideColumn:
    """Return the values of `key` as a column, and add to `exact` those that it does not hold as they are.

    Parameters
    ----------
    kinds
        The values by kind, with one list per part, and the numbers of their records where these matter.
    kind_of_column
        The type that the column must have; None if any will do.
    counts
        How many records each part has.
    """
    stored = kind_of_column or type_of(kinds)
    total = int(counts.sum())
    if len(kinds) == 1:
        [(kind, (lists, _))] = kinds.items()
        if len(lists.values) == total and kind in _HELD[stored]:
            fitting, others = _fitted(kind, lists.values, stored)
            if not others:
                return WideColumn(stored, fitting, None)
    values: Any = [""] * total if stored == "string" else np.zeros(total, np.bool_ if stored == "bool" else np.float64)
    present = np.zeros(total, dtype=np.bool_)
    name = json.dumps(key)
    for kind, (lists, records) in kinds.items():
        at = _positions(lists, records, counts)
        fitting, others = _fitted(kind, lists.values, stored)
        for row, text in others.items():
            exact.setdefault(int(at[row]), []).append(f"{name}: {text}")
        _put(values, at, fitting)
        present[at] = True
        present[at[[row for row in others if _is_nothing(fitting, row)]]] = False
    return WideColumn(stored, values, None if present.all() else present)


def type_of(kinds: Mapping[Kind, Any]) -> Type:
    """Return the type of a key whose values are of some kinds: numbers, if there may be any."""
    return first_of({_TYPE_OF[kind] for kind in kinds})


def first_of(types: Collection[Type]) -> Type:
    """Return the type of a key that has several: numbers, if there may be any, else texts."""
    return next(one for one in get_args(Type) if one in types)


def _positions(lists: Lists, records: Lists | None, counts: Counts) -> Counts:
    """Return which record of all holds each value."""
    sizes = np.diff(lists.offsets)
    in_part = np.arange(len(lists.values)) - np.repeat(lists.offsets[:-1], sizes)
    if records is not None:
        in_part[np.repeat(records.present, sizes)] = records.values
    return np.asarray(np.repeat(starts_of(counts), sizes) + in_part)


def _fitted(kind: Kind, values: Values, stored: Type) -> tuple[list[Any] | npt.NDArray[Any], dict[int, str]]:
    """Return the values as the column has them, with None for nothing, and the texts of those that are not exact."""
    if kind == "json":
        return _fitted_texts(values, stored)
    if kind == "float" and stored == "double":
        return values, {}
    if kind == "int" and stored == "double":
        assert isinstance(values, np.ndarray)  # noqa: S101 - as are all numbers
        rounded = np.flatnonzero((values > _EXACT_IN_DOUBLE) | (values < -_EXACT_IN_DOUBLE)).tolist()
        return values.astype(np.float64), {row: str(values[row]) for row in rounded}
    if kind == stored:
        return values, {}
    plain = values.tolist() if isinstance(values, np.ndarray) else values
    return [None] * len(plain), {row: json.dumps(value) for row, value in enumerate(plain)}


def _fitted_texts(texts: Values, stored: Type) -> tuple[list[Any], dict[int, str]]:
    fitting: list[Any] = [None] * len(texts)
    others: dict[int, str] = {}
    for row, text in enumerate(texts):
        value = json.loads(text)
        if stored == "double" and type(value) is float:
            fitting[row] = value
            continue
        others[row] = str(text)
        if stored == "double" and type(value) is int:
            fitting[row] = _nearest(value)
    return fitting, others


def _nearest(value: int) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


def _is_nothing(fitting: Sequence[Any] | npt.NDArray[Any], row: int) -> bool:
    return fitting[row] is None


def _put(values: Any, at: Counts, fitting: Any) -> None:
    if isinstance(fitting, np.ndarray):
        values[at] = fitting
        return
    for position, value in zip(at.tolist(), fitting, strict=True):
        if value is not None:
            values[position] = value


def holds_all(column: WideColumn, kinds: Collection[Kind]) -> bool:
    """Tell whether a column holds all values as they are, given their kinds, so that the texts need not be read."""
    if not all(kind in _HELD[column.type] for kind in kinds):
        return False
    return "int" not in kinds or not (np.abs(column.values) >= _EXACT_IN_DOUBLE).any()


def exact_column(exact: Mapping[int, list[str]], total: int) -> WideColumn:
    """Return the column of texts, each a JSON object of the values of a record that other columns do not hold."""
    texts, present = [""] * total, np.zeros(total, dtype=np.bool_)
    for position, pairs in exact.items():
        texts[position] = f"{{{', '.join(pairs)}}}"
        present[position] = True
    return WideColumn("string", texts, None if present.all() else present)


def exact_values(column: WideColumn) -> dict[int, dict[str, Any]]:
    """Return what `exact_column` was made from."""
    rows = np.arange(len(column)) if column.present is None else np.flatnonzero(column.present)
    return {row: json.loads(column.values[row]) for row in rows.tolist()}


# And back.


def read(
    key: str,
    column: WideColumn,
    rows: Mapping[Kind, Sequence[Sequence[int]]],
    counts: Counts,
    exact: Mapping[int, Mapping[str, Any]],
) -> dict[Kind, tuple[Lists, Lists | None]]:
    """Return the values of `key` by kind, as `written` took them; `rows` are the parts with values of each kind."""
    others = {position: values[key] for position, values in exact.items() if key in values}
    found: dict[Kind, tuple[Lists, Lists | None]] = {}
    for kind, ranges in rows.items():
        is_here = np.zeros(len(counts), dtype=np.bool_)
        for start, stop in ranges:
            is_here[start:stop] = True
        found[kind] = _lists(kind, column, is_here, counts, others)
    return found


def _lists(
    kind: Kind, column: WideColumn, is_here: Present, counts: Counts, others: Mapping[int, Any]
) -> tuple[Lists, Lists | None]:
    if column.present is None and not others and is_here.all():
        return Lists(kind, _taken(kind, column, None, others), _bounds(counts), is_here), None
    there = np.repeat(is_here, counts)
    if column.present is not None:
        has_value = column.present.copy()
        has_value[list(others)] = True
        there &= has_value
    at = np.flatnonzero(there)
    offsets = np.concatenate([[0], np.cumsum(there)])[_bounds(counts)]
    lists = Lists(kind, _taken(kind, column, at, others), offsets, is_here)
    sizes = np.diff(offsets)
    in_part = at - np.repeat(starts_of(counts), sizes)
    is_ragged = is_here.copy()  # where not simply the first records have a value
    is_ragged[is_here] = in_part[offsets[1:][is_here] - 1] != sizes[is_here] - 1
    if not is_ragged.any():
        return lists, None
    return lists, Lists("int", in_part, offsets, is_ragged)


def _bounds(counts: Counts) -> Counts:
    return np.concatenate([[0], np.cumsum(counts)])


def _taken(kind: Kind, column: WideColumn, at: Counts | None, others: Mapping[int, Any]) -> Values:
    """Return the values at some records, all by default, in the form of their kind."""
    if at is None:
        at = np.arange(len(column)) if isinstance(column.values, list) else None
    if isinstance(column.values, np.ndarray) and kind in {"float", "int", "bool"}:
        values = column.values if at is None else column.values[at]
        array: npt.NDArray[Any] = values.astype(
            {"float": np.float64, "int": np.int64, "bool": np.bool_}[kind], copy=False
        )
        if others and at is not None:
            array = _with_others(array, at, others)
        array.flags.writeable = False
        return array
    assert at is not None  # noqa: S101 - only numbers may be taken as a whole
    plain = [_plain(column, position, others) for position in at.tolist()]
    if kind in {"float", "int", "bool"}:
        return np.array(plain, dtype={"float": np.float64, "int": np.int64, "bool": np.bool_}[kind])
    return [json.dumps(value) for value in plain] if kind == "json" else plain


def _with_others(array: npt.NDArray[Any], at: Counts, others: Mapping[int, Any]) -> npt.NDArray[Any]:
    array = array.copy()
    row_of = {position: row for row, position in enumerate(at.tolist())}
    for position, value in others.items():
        if position in row_of:
            array[row_of[position]] = value
    return array


def _plain(column: WideColumn, position: int, others: Mapping[int, Any]) -> Any:
    if position in others:
        return others[position]
    value = column.values[position]
    return value.item() if isinstance(value, np.generic) else value
