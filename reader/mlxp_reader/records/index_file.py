"""The file of an index: a complete Parquet file that is read only if not a single bit of it has changed.

Parquet has checksums of its pages, but not of the data that says where they are and what they mean. Hence a checksum of
the whole file lies before its footer, at a place that no Parquet reader looks at.
"""

import os
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_MOST_COLUMNS = 1000
"""With more columns, a Parquet file takes a minute and a gigabyte; they are then one Arrow stream in one column."""

_PACKED = "packed"
_MARK = b"MLXP"
_END = 8  # the length of the footer, and Parquet's magic bytes
_CHECK = len(_MARK) + 4


def read(path: Path) -> pa.Table | None:
    """Return the table in the file at `path`, or None if there is no file or it is damaged."""
    try:
        return _unpacked(path.read_bytes())
    except (OSError, ValueError, LookupError, pa.ArrowException):
        return None


def _unpacked(content: bytes) -> pa.Table | None:
    footer = _start_of_footer(content)
    if footer < _CHECK or content[footer - _CHECK : footer] != _check(content[: footer - _CHECK], content[footer:]):
        return None
    with pq.ParquetFile(pa.BufferReader(content)) as file:
        table = file.read()
    if _PACKED not in table.schema.names:
        return table
    packed = pa.ipc.open_stream(table[_PACKED][0].as_buffer()).read_all()
    own = table.drop_columns([_PACKED])
    schema = pa.schema([*own.schema, *packed.schema], metadata=table.schema.metadata)
    return pa.table([*own.columns, *packed.columns], schema=schema)


def write(table: pa.Table, path: Path, own: int) -> None:
    """Replace the file at `path` by one with `table`, whose first `own` columns are the index's own and not the runs'.

    Raises
    ------
    OSError
        If it cannot be written; the old file is then still there.
    """
    content = _packed(table, own)
    footer = _start_of_footer(content)
    check = _check(content[:footer], content[footer:])
    # Random, since readers on several hosts may do this at once; each replaces the whole file.
    temporary = path.with_name(f".{path.name}-{os.urandom(6).hex()}")
    try:
        temporary.write_bytes(content[:footer] + check + content[footer:])
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _packed(table: pa.Table, own: int) -> bytes:
    if table.num_columns > _MOST_COLUMNS and table.num_rows:
        sink = pa.BufferOutputStream()
        fields = table.select(range(own, table.num_columns))
        with pa.ipc.new_stream(sink, fields.schema) as writer:
            writer.write_table(fields)
        cells = [sink.getvalue().to_pybytes(), *[None] * (table.num_rows - 1)]
        metadata = table.schema.metadata
        table = table.select(range(own)).append_column(_PACKED, [pa.array(cells, type=pa.large_binary())])
        table = table.replace_schema_metadata(metadata)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _start_of_footer(content: bytes) -> int:
    return len(content) - _END - int.from_bytes(content[-_END:][:4], "little")


def _check(*parts: bytes) -> bytes:
    check = 0
    for part in parts:
        check = zlib.crc32(part, check)
    return _MARK + check.to_bytes(4, "little")
