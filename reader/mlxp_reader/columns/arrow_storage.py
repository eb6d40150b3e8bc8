"""Columns in Parquet and Arrow: stored as plain types that any program reads, along with what they mean to MLXP.

A column is stored as lists, texts and structures. The type of its field extends such a plain type: a
program that knows MLXP gets its column back, and any other program, in any language, gets the plain type.
"""

import json
from typing import Any

import pandas as pd
import pyarrow as pa
from pandas.api.types import pandas_dtype

from mlxp_reader.columns.cells import CellDtype

_NAME = b"ARROW:extension:name"
_META = b"ARROW:extension:metadata"


class _StoredType(pa.ExtensionType):  # type: ignore[misc]  # pyarrow has no types of its own
    """The type of a field that stores a column of one of MLXP's types."""

    kind = ""

    def __init__(self, storage: pa.DataType) -> None:
        super().__init__(storage, f"mlxp.{self.kind}")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: pa.DataType, serialized: bytes) -> "_StoredType":
        return cls(storage)

    def to_pandas_dtype(self) -> Any:
        return pandas_dtype(self.kind)


def register(kind: str) -> None:
    """Register the column type `kind` with Arrow, so that reading a file gives such columns."""
    stored = type(f"Stored{kind.title()}", (_StoredType,), {"kind": kind})
    try:
        pa.register_extension_type(stored(pa.null()))
    except pa.ArrowKeyError:  # the module was imported again
        pa.unregister_extension_type(f"mlxp.{kind}")
        pa.register_extension_type(stored(pa.null()))


def chunks_of(array: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    """Return the pieces of a column as they are stored."""
    chunks = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
    return [chunk.storage if isinstance(chunk, pa.ExtensionArray) else chunk for chunk in chunks]


def portable_table(frame: pd.DataFrame, index: bool | None = None) -> pa.Table:
    """Return a frame as an Arrow table that can be read without MLXP; MLXP reads it back as the same frame."""
    table = pa.Table.from_pandas(pd.DataFrame(frame), preserve_index=index)
    kinds = {str(name): dtype.name for name, dtype in frame.dtypes.items() if isinstance(dtype, CellDtype)}
    if not kinds:
        return table
    about = json.loads(table.schema.metadata[b"pandas"])
    for column in about["columns"]:
        # pandas would look for a type of that name and not find it where MLXP is not installed.
        if column["numpy_type"] in kinds.values():
            column["numpy_type"] = "object"
    fields = [
        field.with_metadata({_NAME: f"mlxp.{kinds[field.name]}".encode(), _META: b""}) if field.name in kinds else field
        for field in table.schema
    ]
    metadata = {**table.schema.metadata, b"pandas": json.dumps(about).encode()}
    return pa.Table.from_arrays(table.columns, schema=pa.schema(fields, metadata=metadata))
