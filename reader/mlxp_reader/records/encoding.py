"""Converts Python values, one per run, to Arrow arrays and exactly back: type, value, and whether there is one.

Values of one kind become an array of that type. Anything else becomes JSON text with tags for what JSON lacks.
"""

import datetime as dt
import json
from collections.abc import Sequence
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
_TEXT = pa.dictionary(pa.int32(), pa.string())
"""The type of columns of JSON text, where many runs share a few texts."""

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
            return _field(name, array.type, b"plain", null), pa.chunked_array([array])
    texts = [None if value is MISSING else to_text(value) for value in values]
    array = pa.array(texts, type=pa.string()).dictionary_encode()
    return _field(name, _TEXT, b"json", b"absent"), pa.chunked_array([array], type=_TEXT)


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
        values: list[Any] = column.to_pylist()
        return (
            [null if value is None else value for value in values] if column.null_count and null is not None else values
        )
    found, codes = distinct(column)
    return [MISSING if code < 0 else found[code] for code in codes.tolist()]


def distinct(column: pa.ChunkedArray) -> tuple[list[Any], npt.NDArray[np.intp]]:
    """Return the distinct values of a column of JSON text, and the position of each run's value; -1 stands for none."""
    combined = column.combine_chunks()
    values = [from_text(text) for text in combined.dictionary.to_pylist()]
    return values, combined.indices.fill_null(-1).to_numpy().astype(np.intp)


def python_type(field: pa.Field) -> type[Any]:
    """Return the type of the values of a column that does not hold JSON text."""
    return next(kind for kind, arrow_type in _TYPES.items() if arrow_type == field.type)


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
