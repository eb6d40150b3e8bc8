"""Converts Python values, one per run, to Arrow arrays and exactly back: type, value, and whether there is one.

Values of one kind become an array of that type. Anything else becomes JSON text with tags for what JSON lacks.
"""

import datetime as dt
import json
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlxp_reader.query.expressions import MISSING

EncodedColumn = tuple[pa.Field, pa.ChunkedArray]

_KIND, _NULL = b"mlxp.kind", b"mlxp.null"
_TYPES: dict[type[Any], pa.DataType] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.large_string(),  # the type that pandas uses
}
_SHARED = pa.dictionary(pa.int32(), pa.string())
"""The type of columns of short texts and of JSON, where many runs share a few texts."""

_LONG = 1000
"""Bytes that a text has on average in a column that gets no dictionary, since that cannot hold 2 GB."""

_MANY = 100
"""The number of distinct texts from which on a dictionary must be at most half as long as its column."""

_ABSENT = type(MISSING)


def encoded(name: str, values: Sequence[Any]) -> EncodedColumn:
    """Return `values` as the Arrow column `name`; a run without a value is `MISSING`.

    Examples
    --------
    >>> field, column = encoded("config.lr", [0.1, MISSING, 1.0])
    >>> field.type, column.null_count, decoded(field, column) == [0.1, MISSING, 1.0]
    (DataType(double), 1, True)
    >>> field, column = encoded("config.lr", [0.1, "auto", None, [1, 2]])
    >>> decoded(field, column)
    [0.1, 'auto', None, [1, 2]]
    """
    types = set(map(type, values))
    kinds = types - {_ABSENT, type(None)}
    if len(kinds) == 1 and not {_ABSENT, type(None)} <= types:
        (kind,) = kinds
        null = b"none" if type(None) in types else b"absent"
        plain = [None if value is MISSING else value for value in values] if _ABSENT in types else values
        try:
            array = pa.array(plain, type=_TYPES[kind], from_pandas=False)
        except (KeyError, OverflowError, pa.ArrowInvalid, UnicodeEncodeError):
            pass  # Arrow has no type for this kind, or for a value of this kind
        else:
            array = _with_dictionary(array) if kind is str else array
            return _field(name, array.type, b"plain", null), pa.chunked_array([array])
    texts = [None if value is MISSING else "null" if value is None else to_text(value) for value in values]
    array = pa.array(texts, type=_SHARED.value_type).dictionary_encode()
    return _field(name, _SHARED, b"json", b"absent"), pa.chunked_array([array])


def _with_dictionary(texts: pa.Array) -> pa.Array:
    """Return texts each of which is kept only once, if that pays."""
    if texts.nbytes >= _LONG * len(texts):
        return texts
    array = texts.cast(_SHARED.value_type).dictionary_encode()
    return array if len(array.dictionary) <= max(_MANY, len(array) / 2) else texts


def _field(name: str, arrow_type: pa.DataType, kind: bytes, null: bytes) -> pa.Field:
    return pa.field(name, arrow_type, metadata={_KIND: kind, _NULL: null})


def is_exactly_typed(field: pa.Field) -> bool:
    """Tell whether a column holds plain values and a null means that the run has none."""
    return dict(field.metadata or {}) == {_KIND: b"plain", _NULL: b"absent"}


def holds_text(field: pa.Field) -> bool:
    """Tell whether a column holds values of several kinds, as JSON text."""
    return bool(field.metadata[_KIND] == b"json")


def null_value(field: pa.Field) -> Any:
    """Return what a null in a column stands for."""
    return None if field.metadata[_NULL] == b"none" else MISSING


def decoded(field: pa.Field, column: pa.ChunkedArray) -> list[Any]:
    """Return the values from which `encoded` made the column."""
    if not holds_text(field):
        null = null_value(field)
        values: list[Any] = plain(column).to_pylist()
        return (
            [null if value is None else value for value in values] if column.null_count and null is not None else values
        )
    found, codes = distinct(column)
    return [MISSING if code < 0 else found[code] for code in codes.tolist()]


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column with its texts one by one, of the type that pandas uses."""
    return column.cast(_TYPES[str]) if column.type == _SHARED else column


def joined(name: str, parts: Sequence[EncodedColumn | int]) -> EncodedColumn:
    """Return columns as one, each below the one before it; a number stands for so many runs without the column.

    Examples
    --------
    >>> field, column = joined("config.lr", [encoded("config.lr", [0.1]), 2, encoded("config.lr", ["auto"])])
    >>> decoded(field, column) == [0.1, MISSING, MISSING, "auto"]
    True
    """
    field = _common_field(parts)
    if field is None:  # they are of several kinds
        values: list[Any] = []
        for part in parts:
            values += [MISSING] * part if isinstance(part, int) else decoded(*part)
        return encoded(name, values)
    columns = [pa.chunked_array([pa.nulls(part, field.type)]) if isinstance(part, int) else part[1] for part in parts]
    return field, concatenated([column if column.type == field.type else plain(column) for column in columns])


def _common_field(parts: Sequence[EncodedColumn | int]) -> pa.Field | None:
    columns = [part for part in parts if not isinstance(part, int)]
    first = columns[0][0]
    types = {field.type for field, _ in columns}
    if len({field.metadata[_KIND] for field, _ in columns}) > 1 or (len(types) > 1 and types != {_SHARED, _TYPES[str]}):
        return None
    common = first.type if len(types) == 1 else _TYPES[str]
    nulls = {field.metadata[_NULL] for field, column in columns if column.null_count}
    nulls |= {b"absent"} if len(columns) < len(parts) else set()
    if len(nulls) > 1:
        return None
    return _field(first.name, common, first.metadata[_KIND], next(iter(nulls), b"absent"))


def concatenated(columns: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """Return columns of one type as one."""
    whole = pa.chunked_array(list(chain.from_iterable(column.chunks for column in columns)), type=columns[0].type)
    return whole.unify_dictionaries() if whole.type == _SHARED else whole


def without_unused(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column without the texts that no run has."""
    if column.type != _SHARED:
        return column
    array = column.combine_chunks()
    codes = array.indices.fill_null(-1).to_numpy()
    is_used = np.bincount(codes + 1, minlength=len(array.dictionary) + 1)[1:] > 0
    if is_used.all():
        return pa.chunked_array([array])
    new = np.concatenate([[-1], np.cumsum(is_used) - 1])[codes + 1]
    indices = pa.array(new, type=pa.int32(), mask=codes < 0)
    kept = array.dictionary.take(pa.array(np.flatnonzero(is_used)))
    return pa.chunked_array([pa.DictionaryArray.from_arrays(indices, kept)])


def distinct(column: pa.ChunkedArray) -> tuple[list[Any], npt.NDArray[np.intp]]:
    """Return the distinct values of a column of JSON text, and the position of each run's value; -1 stands for none."""
    combined = column.combine_chunks()
    values = [from_text(text) for text in combined.dictionary.to_pylist()]
    return values, combined.indices.fill_null(-1).to_numpy().astype(np.intp)


def python_type(field: pa.Field) -> type[Any]:
    """Return the type of the values of a column that does not hold JSON text."""
    return str if field.type == _SHARED else next(kind for kind, of_kind in _TYPES.items() if of_kind == field.type)


_to_json = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def to_text(value: Any) -> str:
    """Return `value`, of any type that a YAML file can hold, as JSON."""
    return _to_json(_tagged(value))


def from_text(text: str) -> Any:
    """Return the value from which `to_text` made `text`.

    Examples
    --------
    >>> import datetime
    >>> from_text(to_text([1, 1.0, None, {"a": {2}}, datetime.date(2026, 11, 22)]))
    [1, 1.0, None, {'a': {2}}, datetime.date(2026, 11, 22)]
    """
    return json.loads(text, object_hook=_untagged)


def _tagged(value: Any) -> Any:
    if value is None or type(value) in _TYPES:
        return value
    if type(value) is list:
        return [_tagged(item) for item in value]
    if isinstance(value, dict):
        return {"dict": [[_tagged(key), _tagged(item)] for key, item in value.items()]}
    if isinstance(value, tuple | set | frozenset):
        return {type(value).__name__: [_tagged(item) for item in value]}
    if isinstance(value, dt.datetime | dt.date):
        return {type(value).__name__: value.isoformat()}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    raise TypeError(f"a value of type {type(value).__name__} cannot come from a YAML file")


_UNTAGGED: dict[str, Any] = {
    "dict": dict,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "datetime": dt.datetime.fromisoformat,
    "date": dt.date.fromisoformat,
    "bytes": bytes.fromhex,
}


def _untagged(tagged: dict[str, Any]) -> Any:
    ((kind, content),) = tagged.items()
    return _UNTAGGED[kind](content)
