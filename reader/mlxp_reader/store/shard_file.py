"""One shard on disk: a Parquet file in which each value is checked when it is read.

A column holds the lists of one key, one list per part of a metric file. If there are very many keys, several share a
column, one key after the other, since a Parquet column costs as much as a thousand values. The file's name has a
checksum of the data that says where things are, and each column has a checksum of its contents.
"""

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlxp_reader.store.json_lines import BadLine, Kind
from mlxp_reader.store.lists import Lists
from mlxp_reader.store.parts import PART, Parts

VERSION = "3"

MOST_COLUMNS = 64
"""The approximate maximum number of columns in a file."""


class ListsOf(NamedTuple):
    """Identifies lists: the values of a key that are of one kind, or the numbers of the records that hold them."""

    key: str
    kind: Kind
    of_records: bool = False


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column of the file: lists of one kind, for one key or for several keys one after the other."""

    name: str
    kind: Kind
    check: int
    holds: tuple[ListsOf, ...]


@dataclass(frozen=True, slots=True)
class ShardFile:
    """A file, and everything it holds except the lists."""

    path: Path
    parts: Parts
    problems: dict[int, list[BadLine]]
    columns: dict[str, StoredColumn]
    only: str | None
    size: int
    footer: pq.FileMetaData


# Noise does not compress, and nobody reads the statistics of a shard.
_WRITING = {"compression": "none", "use_dictionary": False, "write_statistics": False, "write_page_checksum": True}


def write(
    folder: Path,
    parts: Parts,
    problems: Mapping[int, list[BadLine]],
    lists: Mapping[ListsOf, Lists],
    only: str | None = None,
) -> None:
    """Write a shard into `folder`, either completely or not at all.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    name = os.urandom(8).hex()
    temporary = folder / f".{name}"
    try:
        pq.write_table(_table(parts, problems, lists, only), temporary, **_WRITING)
        temporary.replace(folder / f"{name}-{_checksum_of_footer(temporary)}.parquet")
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _table(
    parts: Parts, problems: Mapping[int, list[BadLine]], lists: Mapping[ListsOf, Lists], only: str | None
) -> pa.Table:
    parts = np.ascontiguousarray(parts)
    arrays = {_PARTS: pa.Array.from_buffers(_PART_TYPE, len(parts), [None, pa.py_buffer(parts)])}
    columns = []
    for number, holds in enumerate(_shared_out(lists)):
        joined = Lists.joined([lists[one] for one in holds])
        column = StoredColumn(f"{_prefix(holds)}{number}", joined.kind, joined.checksum(), holds)
        columns.append([column.name, column.kind, column.check, [[one.key, one.kind] for one in holds]])
        arrays[column.name] = _in_rows(joined.to_arrow(), len(holds))
    description = {
        "version": VERSION,
        "parts": zlib.crc32(parts.tobytes()),
        "columns": columns,
        "problems": dict(problems),
        "only": only,
    }
    table = pa.Table.from_arrays(list(arrays.values()), names=list(arrays))
    return table.replace_schema_metadata({_METADATA: json.dumps(description)})


_METADATA = b"mlxp.metrics"
_PARTS = "parts"
_PART_TYPE = pa.binary(PART.itemsize)  # one column, which reads ten times as fast as one column per number


def _shared_out(lists: Iterable[ListsOf]) -> Iterator[tuple[ListsOf, ...]]:
    """Yield which lists each column holds."""
    ordered = sorted(lists, key=_kind)  # a stable order: keys that are logged together stay together
    at_once = -(-len(ordered) // MOST_COLUMNS)
    for _, alike in groupby(ordered, key=_kind):
        several = tuple(alike)
        yield from (several[start : start + at_once] for start in range(0, len(several), at_once))


def _kind(one: ListsOf) -> tuple[bool, str]:
    return one.of_records, "int" if one.of_records else one.kind


def _prefix(holds: Sequence[ListsOf]) -> str:
    return "records" if holds[0].of_records else "values"


def _in_rows(lists: pa.LargeListArray, at_once: int) -> pa.Array:
    """Return lists grouped into rows of `at_once`, so that there are as many rows as parts."""
    if at_once == 1:
        return lists
    rows = len(lists) // at_once
    offsets = pa.py_buffer(np.arange(rows + 1, dtype=np.int64) * at_once)
    return pa.Array.from_buffers(pa.large_list(lists.type), rows, [None, offsets], children=[lists])


def _checksum_of_footer(path: Path) -> str:
    """Return a checksum of a Parquet file's footer, which unlike the pages has none of its own."""
    with path.open("rb") as file:
        file.seek(-8, os.SEEK_END)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-8 - length, os.SEEK_END)
        return f"{zlib.crc32(file.read()):08x}"


def opened(path: Path) -> ShardFile | None:
    """Return what the file at `path` holds, or None if it is damaged, of another version, or gone."""
    try:
        if not path.stem.endswith(f"-{_checksum_of_footer(path)}"):
            return None
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            description = json.loads(file.metadata.metadata[_METADATA])
            if description["version"] != VERSION:
                return None
            parts = _parts_in(file.read(columns=[_PARTS], use_threads=False)[_PARTS])
            footer = file.metadata
        if zlib.crc32(parts.tobytes()) != description["parts"]:
            return None
        problems = {int(row): [BadLine(*line) for line in lines] for row, lines in description["problems"].items()}
        columns = {column[0]: _column(*column) for column in description["columns"]}
        return ShardFile(path, parts, problems, columns, description["only"], path.stat().st_size, footer)
    except (OSError, pa.ArrowException, LookupError, TypeError, ValueError):
        return None


def _column(name: str, kind: Kind, check: int, holds: list[tuple[str, Kind]]) -> StoredColumn:
    is_of_records = name.startswith("records")
    return StoredColumn(name, kind, check, tuple(ListsOf(key, of, is_of_records) for key, of in holds))


def _parts_in(column: pa.ChunkedArray) -> Parts:
    chunks = [np.frombuffer(c.buffers()[1], PART, len(c), c.offset * PART.itemsize) for c in column.chunks]
    return np.concatenate([np.empty(0, PART), *chunks])


def read(shard: ShardFile, names: Sequence[str]) -> dict[ListsOf, Lists]:
    """Return the lists in some columns of a file.

    Raises
    ------
    OSError, pa.ArrowException
        If they are damaged, or the file is gone.
    """
    if not names:
        return {}
    with pq.ParquetFile(shard.path, metadata=shard.footer, page_checksum_verification=True) as file:
        table = file.read(columns=list(names), use_threads=False)
    found: dict[ListsOf, Lists] = {}
    rows = len(shard.parts)
    for column in map(shard.columns.__getitem__, names):
        joined = _joined(table[column.name], column)
        if len(joined) != rows * len(column.holds) or joined.checksum() != column.check:
            raise OSError(f"{shard.path} is damaged")
        found |= {one: joined.between(at * rows, (at + 1) * rows) for at, one in enumerate(column.holds)}
    return found


def _joined(column: pa.ChunkedArray, stored: StoredColumn) -> Lists:
    lists: Any = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return Lists.from_arrow(stored.kind, lists if len(stored.holds) == 1 else lists.flatten())
