"""The cache of metric files: what was read of them, in Parquet files called shards.

A shard is written once, beside and renamed, and never changed: reading more adds a shard, and when there are many small
ones they are merged into a new one. Any number of processes may do so at once. Each row of a shard is one part of one
run's file, from one byte to another, and says which state of the file it was read from; a file that has grown has
several parts. Nothing that is found here is believed: a shard that is damaged or of another version is passed over, and
a row whose file has changed otherwise is not used. The folder may be deleted at any time.
"""

import contextlib
import json
import logging
import os
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlxp_reader.store.json_lines import BadLine, Kind, Parsed, Segment
from mlxp_reader.store.lists import Lists
from mlxp_reader.store.parts import PART, Parts

VERSION = "1"
SMALL = 8 * 2**20
"""A shard of fewer bytes than this is merged with others, once there are many."""

MAX_SMALL_SHARDS = 16

_logger = logging.getLogger("mlxp")


@dataclass(slots=True)
class Shard:
    """Parts of files, and the values in each: lists with one entry per part, by key and kind.

    The lists of a shard that is on disk (`path`) are read when they are asked for; `columns` has their names there.
    """

    parts: Parts
    problems: dict[int, list[BadLine]]
    columns: dict[tuple[str, Kind], str]
    path: Path | None = None
    size: int = 0
    memory: dict[str, Lists] = field(default_factory=dict)
    _last: tuple[str, list[tuple[Lists, Lists | None]]] | None = None

    def lists(self, key: str) -> list[tuple[Lists, Lists | None]]:
        """Return the values of `key`, one kind after the other, each with its record numbers where they matter.

        They are kept for the next call, until `forget`: cells that are looked into one by one are of one key.

        Raises
        ------
        OSError, pa.ArrowException
            If the shard is damaged or gone.
        """
        if self._last is None or self._last[0] != key:
            kinds = [(kind, name) for (other, kind), name in self.columns.items() if other == key]
            names = [f"{prefix}{name}" for _, name in kinds for prefix in ("values", "records")]
            found = self.memory or self._read(names)
            self._last = key, [(found[f"values{name}"], found.get(f"records{name}")) for _, name in kinds]
        return self._last[1]

    def forget(self) -> None:
        """Keep in memory no lists that `lists` has read."""
        self._last = None

    def _read(self, names: list[str]) -> dict[str, Lists]:
        if not names:
            return {}
        with pq.ParquetFile(self.path, page_checksum_verification=True) as file:
            table = file.read(columns=names, use_threads=False)
        if len(table) != len(self.parts):
            raise OSError(f"{self.path} is damaged")
        kinds: dict[str, Kind] = {f"values{name}": kind for (_, kind), name in self.columns.items()}
        return {name: Lists.from_arrow(kinds.get(name, "int"), table[name]) for name in table.column_names}

    def load_all(self) -> "Shard":
        """Return the shard with all its lists in memory."""
        names = [f"{prefix}{name}" for name in self.columns.values() for prefix in ("values", "records")]
        return Shard(self.parts, self.problems, self.columns, memory=self.memory or self._read(names))


class ShardBuilder:
    """Collects what was parsed, batch after batch, until it makes a shard."""

    def __init__(self) -> None:
        self._parts: list[Parts] = []
        self._problems: dict[int, list[BadLine]] = {}
        self._segments: dict[tuple[str, Kind], list[Segment]] = {}
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def add(self, parts: Parts, parsed: Parsed) -> None:
        """Add `parts`, one per parsed file."""
        for segment in parsed.segments:
            moved = Segment(segment.key, segment.kind, segment.first + self._n, *_contents(segment))
            self._segments.setdefault((segment.key, segment.kind), []).append(moved)
        self._problems |= {self._n + row: problems for row, problems in enumerate(parsed.problems) if problems}
        self._parts.append(parts)
        self._n += len(parts)

    def build(self) -> Shard:
        """Return the shard, in memory."""
        columns = {column: str(number) for number, column in enumerate(self._segments)}
        memory: dict[str, Lists] = {}
        for (key, kind), segments in self._segments.items():
            name = columns[key, kind]
            memory[f"values{name}"] = _lists(kind, self._n, segments)
            if numbers := [_record_numbers(segment) for segment in segments if segment.records is not None]:
                memory[f"records{name}"] = _lists("int", self._n, numbers)
        return Shard(np.concatenate([np.empty(0, PART), *self._parts]), self._problems, columns, memory=memory)


def _contents(segment: Segment) -> tuple[Any, ...]:
    return segment.counts, segment.values, segment.records


def _record_numbers(segment: Segment) -> Segment:
    numbers = segment.records if segment.records is not None else np.arange(len(segment.values))
    return Segment(segment.key, "int", segment.first, segment.counts, numbers)


def _lists(kind: Kind, n: int, segments: Iterable[Segment]) -> Lists:
    counts = np.full(n, -1, dtype=np.int64)
    for segment in segments:
        counts[segment.first : segment.first + len(segment.counts)] = segment.counts
    return Lists.of(kind, counts, [segment.values for segment in segments])


class ShardFolder:
    """The shards of all metric files of one name.

    Parameters
    ----------
    path
        The folder, which is created when the first shard is written; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._shards: dict[str, Shard | None] = {}  # by file name; None for one that cannot be read

    def shards(self) -> list[Shard]:
        """Return all shards that can be read, after looking for new ones."""
        names = self._names()
        for name in self._shards.keys() - names:
            del self._shards[name]
        for name in sorted(names - self._shards.keys()):
            self._shards[name] = _opened(self._path / name) if self._path else None
        return [shard for shard in self._shards.values() if shard is not None]

    def _names(self) -> set[str]:
        if self._path is None:
            return set()
        try:
            return {name for name in os.listdir(self._path) if name.endswith(".parquet")}  # noqa: PTH208 - faster
        except OSError:
            return set()

    def drop(self, shard: Shard) -> None:
        """Remove `shard`, which cannot be read."""
        if shard.path is not None:
            self._shards[shard.path.name] = None
            _remove(shard.path)

    def write(self, shard: Shard) -> None:
        """Add `shard` to the folder; where that is not possible, do without."""
        if self._path is None or not len(shard.parts):
            return
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            _write(self._path, shard)
            self._merge_small_shards(self._path)
        except OSError as error:
            _logger.info("metrics are not cached in %s: %s", self._path, error)
            self._path = None

    def _merge_small_shards(self, folder: Path) -> None:
        shards = self.shards()
        small = [shard for shard in shards if shard.size < SMALL]
        if len(small) <= MAX_SMALL_SHARDS:
            return
        loaded = [shard for shard in map(self._loaded, small) if shard is not None]
        _write(folder, _merged(loaded, _newest_generations(shards)))
        for shard in small:
            self.drop(shard)
        _remove_leftovers(folder)

    def _loaded(self, shard: Shard) -> Shard | None:
        try:
            return shard.load_all()
        except (OSError, pa.ArrowException):  # damaged, or merged by another process just now
            self.drop(shard)
            return None


def _newest_generations(shards: Iterable[Shard]) -> dict[int, int]:
    newest: dict[int, int] = {}
    for shard in shards:
        for run, generation in zip(shard.parts["run"].tolist(), shard.parts["generation"].tolist(), strict=True):
            newest[run] = max(generation, newest.get(run, 0))
    return newest


def _merged(shards: Sequence[Shard], newest: Mapping[int, int]) -> Shard:
    """Return one shard with the rows of `shards`, in memory, but for those that a newer reading has replaced."""
    builder = ShardBuilder()
    for shard in shards:
        generations = [newest[run] for run in shard.parts["run"].tolist()]
        rows = np.flatnonzero(shard.parts["generation"] == np.array(generations, dtype=np.int64))
        parsed = Parsed(problems=[shard.problems.get(row, []) for row in rows.tolist()])
        for (key, kind), name in shard.columns.items():
            records = shard.memory.get(f"records{name}")
            parsed.segments += _segments(key, kind, shard.memory[f"values{name}"], records, rows.tolist())
        builder.add(shard.parts[rows], parsed)
    return builder.build()


def _segments(key: str, kind: Kind, lists: Lists, records: Lists | None, rows: list[int]) -> Iterator[Segment]:
    for position, row in enumerate(rows):
        if lists.present[row]:
            numbers = np.asarray(records[row]) if records is not None and records.present[row] else None
            counts = np.array([len(lists[row])], dtype=np.int64)
            yield Segment(key, kind, position, counts, lists[row], numbers)


# Noise does not compress, and nobody asks a shard for its statistics.
_WRITING = {"compression": "none", "use_dictionary": False, "write_statistics": False, "write_page_checksum": True}


def _write(folder: Path, shard: Shard) -> None:
    """Write `shard`, of the lists in memory, into `folder`: it is there as a whole or not at all."""
    name = os.urandom(8).hex()
    temporary = folder / f".{name}"
    try:
        pq.write_table(_table(shard), temporary, **_WRITING)
        temporary.replace(folder / f"{name}-{_checksum_of_footer(temporary)}.parquet")
    except OSError:
        _remove(temporary)
        raise


def _checksum_of_footer(path: Path) -> str:
    """Return the checksum of a Parquet file's footer, which has none of its own, unlike the pages."""
    with path.open("rb") as file:
        file.seek(-8, os.SEEK_END)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-8 - length, os.SEEK_END)
        return f"{zlib.crc32(file.read()):08x}"


def _table(shard: Shard) -> pa.Table:
    parts = pa.py_buffer(np.ascontiguousarray(shard.parts))
    columns = {_PARTS: pa.Array.from_buffers(_PART_TYPE, len(shard.parts), [None, parts])}
    columns |= {name: lists.to_arrow() for name, lists in shard.memory.items()}
    description = {
        "version": VERSION,
        "columns": [[key, kind, name] for (key, kind), name in shard.columns.items()],
        "problems": shard.problems,
    }
    table = pa.Table.from_arrays(list(columns.values()), names=list(columns))
    return table.replace_schema_metadata({_METADATA: json.dumps(description)})


_METADATA = b"mlxp.metrics"
_PARTS = "parts"
_PART_TYPE = pa.binary(PART.itemsize)  # one column, which is read ten times as fast as one per number


def _opened(path: Path) -> Shard | None:
    """Return the shard in the file at `path`, or None if it is damaged, of another version, or gone."""
    try:
        if not path.stem.endswith(f"-{_checksum_of_footer(path)}"):
            return None
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            description = json.loads(file.metadata.metadata[_METADATA])
            if description["version"] != VERSION:
                return None
            stored = file.read(columns=[_PARTS], use_threads=False)[_PARTS]
        parts = np.concatenate([np.empty(0, PART), *map(_parts_in, stored.chunks)])
        columns = {(key, kind): name for key, kind, name in description["columns"]}
        problems = {int(row): [BadLine(*line) for line in lines] for row, lines in description["problems"].items()}
        return Shard(parts, problems, columns, path, path.stat().st_size)
    except (OSError, pa.ArrowException, LookupError, TypeError, ValueError):
        return None


def _parts_in(chunk: pa.Array) -> Parts:
    return np.frombuffer(chunk.buffers()[1], PART, len(chunk), chunk.offset * PART.itemsize)


def _remove(path: Path) -> None:
    # Another process may have removed it; on Windows, one that reads it prevents that.
    with contextlib.suppress(OSError):
        path.unlink()


def _remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed while writing have left."""
    for path in folder.glob(".*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > 86_400:
                path.unlink()
