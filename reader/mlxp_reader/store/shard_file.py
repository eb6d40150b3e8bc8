"""The files of the cache: Parquet with a row per record and a column per key, each value checked when it is read.

``docs/reference/cache-format.md`` describes them, for whoever reads them with another tool. The file's name has a
checksum of its footer, which says where things are, and each column has a checksum of its contents.
"""

import base64
import json
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from mlxp_reader.store import wide_columns
from mlxp_reader.store.json_lines import BadLine, Kind
from mlxp_reader.store.lists import Lists
from mlxp_reader.store.parts import PART, Parts
from mlxp_reader.store.wide_columns import OWN, Type, WideColumn

VERSION = "4"

MOST_KEYS = 256
"""The maximum number of keys in a file: opening one takes as long as its footer is."""

_METADATA = b"mlxp.metrics"

_MOST_IN_BLOCK = 2**22
"""A file of more bytes is always read key by key."""

_MOST_IN_BLOCKS = 2**24
"""The columns of files of so many bytes are kept for keys that may be asked for next."""


class ListsOf(NamedTuple):
    """Identifies lists: the values of a key that are of one kind, or the numbers of the records that hold them."""

    key: str
    kind: Kind
    of_records: bool = False


KindsOfKey = dict[Kind, tuple[Lists, Lists | None]]
"""The values of one key by their kind, each with their record numbers where these matter."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """How the values of a key are stored: its column, and which kind they are of in which parts."""

    column: str
    type: Type
    check: int
    rows: dict[Kind, list[tuple[int, int]]]  # from each first part to before each second one


@dataclass(frozen=True, slots=True)
class ShardFile:
    """A file, and everything it holds except the values.

    Attributes
    ----------
    reading
        Identifies what was written at once: the files of one reading hold its keys, in the order of their names.
    files
        How many there are.
    first, end
        The file tells of the keys from `first` on, up to but not including `end`, if there is one. Those that it has no
        column of are in no record.
    """

    path: Path
    reading: str
    files: int
    first: str
    end: str | None
    parts: Parts
    problems: dict[int, list[BadLine]]
    keys: dict[str, StoredKey]
    check_of_exact: int
    size: int
    footer: pq.FileMetaData

    @property
    def only(self) -> str | None:
        """The only key that was read of the files, or None if all were."""
        return self.first if self.files == 1 and self.end == f"{self.first}\0" else None

    def tells_of(self, key: str) -> bool:
        """Tell whether the values of `key` are here, or known to be nowhere."""
        return self.first <= key and (self.end is None or key < self.end)


# Noise does not compress. Statistics would leave out NaN, which engines count as larger than any number.
_WRITING: dict[str, Any] = {
    "compression": "none",
    "use_dictionary": False,
    "write_statistics": ["log_id", "record"],
    "column_encoding": {"log_id": "DELTA_BINARY_PACKED", "record": "DELTA_BINARY_PACKED"},
    "write_page_checksum": True,
    "row_group_size": 2**17,
}


def write(  # noqa: PLR0913, PLR0917 - what a shard is made of
    folder: Path,
    parts: Parts,
    problems: Mapping[int, list[BadLine]],
    lists: Mapping[ListsOf, Lists],
    only: str | None = None,
    types: Mapping[str, Type] | None = None,
) -> None:
    """Write a shard into `folder`, as one file per block of keys, each either completely or not at all.

    Parameters
    ----------
    types
        The types that keys have in other files.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    by_key = _by_key(lists)
    names = sorted(by_key)
    blocks = [names[start : start + MOST_KEYS] for start in range(0, len(names), MOST_KEYS)] or [[]]
    firsts = ["" if only is None else only, *(block[0] for block in blocks[1:])]
    ends = [*firsts[1:], None if only is None else f"{only}\0"]
    reading = os.urandom(8).hex()
    for number, (block, first, end) in enumerate(zip(blocks, firsts, ends, strict=True)):
        about = {"reading": reading, "files": len(blocks), "first": first, "end": end}
        table = _table(parts, problems, {key: by_key[key] for key in block}, types or {}, about)
        _write_file(folder, f"{reading}-{number}", table)


def _write_file(folder: Path, name: str, table: pa.Table) -> None:
    temporary = folder / f".{name}"
    try:
        pq.write_table(table, temporary, **_WRITING)
        temporary.replace(folder / f"{name}-{_checksum_of_footer(temporary)}.parquet")
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _by_key(lists: Mapping[ListsOf, Lists]) -> dict[str, KindsOfKey]:
    return {key: kinds_of_key(key, lists) for key in {one.key for one in lists}}


def kinds_of_key(key: str, lists: Mapping[ListsOf, Lists]) -> KindsOfKey:
    """Return the lists of one key, by kind."""
    kinds = [kind for kind in get_args(Kind) if ListsOf(key, kind) in lists]
    return {kind: (lists[ListsOf(key, kind)], lists.get(ListsOf(key, kind, of_records=True))) for kind in kinds}


def _table(
    parts: Parts,
    problems: Mapping[int, list[BadLine]],
    keys: Mapping[str, KindsOfKey],
    types: Mapping[str, Type],
    about: dict[str, Any],
) -> pa.Table:
    parts = np.ascontiguousarray(parts)
    counts = parts["records"]
    starts = wide_columns.starts_of(counts)
    numbers = np.arange(counts.sum()) - np.repeat(starts - parts["first"], counts)
    arrays = {
        "log_id": wide_columns.integers(np.repeat(parts["run"], counts)),
        "record": wide_columns.integers(numbers),
    }
    exact: dict[int, list[str]] = {}
    columns = []
    for key, kinds in keys.items():
        column = wide_columns.written(key, kinds, types.get(key), counts, exact)
        name = _column_name(key, arrays)
        arrays[name] = column.to_arrow()
        columns.append(
            [key, name, column.type, column.check(), {kind: _ranges(one) for kind, (one, _) in kinds.items()}]
        )
    told = wide_columns.exact_column(exact, len(numbers)) if exact else None
    arrays[wide_columns.EXACT] = told.to_arrow() if told else pa.nulls(len(numbers), pa.large_string())
    description = {
        "version": VERSION,
        **about,
        "parts": base64.b64encode(zlib.compress(_transposed(parts).tobytes(), 1)).decode(),
        "keys": columns,
        "exact": told.check() if told else 0,
        "problems": dict(problems),
    }
    table = pa.Table.from_arrays(list(arrays.values()), names=list(arrays))
    return table.replace_schema_metadata({_METADATA: json.dumps(description)})


def _column_name(key: str, taken: Iterable[str]) -> str:
    """Return the name of a key's column: the key, unless it is one of our own or one that engines take for another."""
    name = key if key.isprintable() else json.dumps(key)
    folded = {one.casefold() for one in (*OWN, *taken)}
    while name.casefold() in folded:
        name += "_"
    return name or "_"


def _ranges(lists: Lists) -> list[tuple[int, int]]:
    """Return from which to which rows there are values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], lists.present, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _transposed(parts: Parts) -> npt.NDArray[np.int64]:
    return np.ascontiguousarray(parts.view(np.int64).reshape(len(parts), -1).T)


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
        footer = pq.read_metadata(path)
        told = json.loads(footer.metadata[_METADATA])
        if told["version"] != VERSION:
            return None
        columns = np.frombuffer(zlib.decompress(base64.b64decode(told["parts"])), np.int64)
        parts = np.ascontiguousarray(columns.reshape(len(PART.names or ()), -1).T).view(PART).reshape(-1)
        problems = {int(row): [BadLine(*line) for line in lines] for row, lines in told["problems"].items()}
        keys = {key: StoredKey(*stored) for key, *stored in told["keys"]}
        about = (told["reading"], told["files"], told["first"], told["end"])
        return ShardFile(path, *about, parts, problems, keys, told["exact"], path.stat().st_size, footer)
    except (OSError, pa.ArrowException, LookupError, TypeError, ValueError, zlib.error):
        return None


class Blocks:
    """Reads columns of files, and keeps those of small files that are likely to be asked for next.

    Of a file, the first key is read alone. With the second one, all others are read, up to 256: opening the file and
    looking for a column takes as long as reading a hundred.
    """

    def __init__(self) -> None:
        self._met: set[Path] = set()
        self._tables: dict[Path, tuple[pa.Table, int]] = {}  # with the sizes of their files; the latest one last

    def table(self, shard: ShardFile, keys: Iterable[str]) -> pa.Table:
        """Return a table with the columns of some keys of a file, and perhaps more.

        Raises
        ------
        OSError, pa.ArrowException
            If they are damaged, or the file is gone.
        """
        kept = self._tables.pop(shard.path, None)
        if kept is None and (shard.path not in self._met or shard.size > _MOST_IN_BLOCK):
            self._met.add(shard.path)
            return _columns(shard, keys)
        table = _columns(shard, shard.keys) if kept is None else kept[0]
        self._tables[shard.path] = table, shard.size
        while sum(size for _, size in self._tables.values()) > _MOST_IN_BLOCKS:
            self._tables.pop(next(iter(self._tables)))
        return table


def _columns(shard: ShardFile, keys: Iterable[str]) -> pa.Table:
    exact = [wide_columns.EXACT] if shard.check_of_exact else []
    with pq.ParquetFile(shard.path, metadata=shard.footer, page_checksum_verification=True) as file:
        return file.read(columns=[*(shard.keys[key].column for key in keys), *exact], use_threads=False)


def read(shard: ShardFile, keys: Iterable[str], blocks: Blocks | None = None) -> dict[str, KindsOfKey]:
    """Return the values of some keys of a file, by way of `blocks` if these are given.

    Raises
    ------
    OSError, pa.ArrowException
        If they are damaged, or the file is gone.
    """
    stored = {key: shard.keys[key] for key in keys if key in shard.keys}
    if not stored:
        return {}
    table = _columns(shard, stored) if blocks is None else blocks.table(shard, stored)
    columns = {key: _checked(table[one.column], one.type, one.check, shard.path) for key, one in stored.items()}
    exact: dict[int, dict[str, Any]] = {}
    if shard.check_of_exact and not all(wide_columns.holds_all(columns[key], stored[key].rows) for key in stored):
        texts = _checked(table[wide_columns.EXACT], "string", shard.check_of_exact, shard.path)
        exact = wide_columns.exact_values(texts)
    counts = shard.parts["records"]
    return {key: wide_columns.read(key, columns[key], one.rows, counts, exact) for key, one in stored.items()}


def _checked(column: pa.ChunkedArray, kind: Type, check: int, path: Path) -> WideColumn:
    found = WideColumn.from_arrow(kind, column.chunk(0) if column.num_chunks == 1 else column.combine_chunks())
    if found.check() != check:
        raise OSError(f"{path} is damaged")
    return found
