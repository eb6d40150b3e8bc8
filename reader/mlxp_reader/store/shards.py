"""The cache of metric files: what was read from them, in Parquet files called shards.

A shard is written once, under another name and then renamed, and never changes. Reading more adds a shard, and many
small shards are merged into a new one. Any number of processes may do so at once. Each row of a shard is one part of
one run's file, from one byte to another, and says which state of the file it was read from; a file that has grown has
several parts. Nothing found here is trusted: a shard that is damaged or of another version is skipped, and a row is not
used if its file has changed other than by growing. The folder may be deleted at any time.
"""

import contextlib
import logging
import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlxp_reader.records.file_states import NO_FILE, FileState, States, state_of
from mlxp_reader.store import shard_file
from mlxp_reader.store.json_lines import BadLine, Kind, Parsed, Segment
from mlxp_reader.store.lists import Lists
from mlxp_reader.store.parts import PART, SMALL_PIECE, Found, Parts, find
from mlxp_reader.store.shard_file import Blocks, KindsOfKey, ListsOf, ShardFile, kinds_of_key
from mlxp_reader.store.wide_columns import Type, first_of

SMALL = 8 * 2**20
"""A reading of fewer bytes than this is merged with others once there are many."""

MAX_SMALL_SHARDS = 16

MAX_TAILS = 64
"""How many shards that are not worth a file are kept in memory."""

_SETTLED_NS = 10**9

_logger = logging.getLogger("mlxp")


class Shard:
    """Parts of files and the values in them: lists with one entry per part, by key and kind.

    Parameters
    ----------
    parts, problems
        The parts, and the bad lines of those that have any.
    memory
        The lists, for a shard that is in memory.
    only
        The only key that was read of the files, of a shard that is in memory; None for all keys.
    file, blocks
        The file, for a shard that is on disk; its lists are read on demand, by way of the blocks.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - as in `shard_file.write`
        self,
        parts: Parts,
        problems: dict[int, list[BadLine]],
        memory: dict[ListsOf, Lists] | None = None,
        only: str | None = None,
        file: ShardFile | None = None,
        blocks: Blocks | None = None,
    ) -> None:
        self.parts = parts
        self.problems = problems
        self.only = only
        self.file = file
        self._blocks = blocks
        self._memory = memory or {}
        self._kept: dict[str, KindsOfKey] = {}  # what was read last

    def tells_of(self, key: str) -> bool:
        """Tell whether the values of `key` in the files were read: a key that was and is not there is in no record."""
        return self.only in {None, key} if self.file is None else self.file.tells_of(key)

    def lists(self, key: str) -> list[tuple[Lists, Lists | None]]:
        """Return the values of `key`, one kind after the other, each with its record numbers where they matter.

        They are kept for the next call, until `forget`: cells that are looked into one by one share a key.

        Raises
        ------
        OSError, pa.ArrowException
            If the shard is damaged or gone.
        """
        if self.file is None:
            return list(kinds_of_key(key, self._memory).values())
        if key not in self._kept:
            self._kept = shard_file.read(self.file, [key], self._blocks)
        return list(self._kept.get(key, {}).values())

    def forget(self) -> None:
        """Drop from memory what `lists` has read."""
        self._kept = {}

    def all_lists(self) -> Mapping[ListsOf, Lists]:
        """Return all lists; see `lists` for what is raised."""
        if self.file is None:
            return self._memory
        found: dict[ListsOf, Lists] = {}
        for key, kinds in shard_file.read(self.file, self.file.keys).items():
            for kind, (lists, records) in kinds.items():
                found[ListsOf(key, kind)] = lists
                if records is not None:
                    found[ListsOf(key, kind, of_records=True)] = records
        return found


class ShardBuilder:
    """Collects what was parsed, batch after batch, and builds a shard from it; `only` is as in `Shard`."""

    def __init__(self, only: str | None = None) -> None:
        self._only = only
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
        memory: dict[ListsOf, Lists] = {}
        for (key, kind), segments in self._segments.items():
            memory[ListsOf(key, kind)] = _lists(kind, self._n, segments)
            if numbers := [_record_numbers(segment) for segment in segments if segment.records is not None]:
                memory[ListsOf(key, kind, of_records=True)] = _lists("int", self._n, numbers)
        return Shard(np.concatenate([np.empty(0, PART), *self._parts]), self._problems, memory, self._only)


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
        The folder, which is created when the first shard is written. Without one, or if it cannot be written, shards
        are kept in a temporary folder, for as long as this object lives.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._is_temporary = False
        self._tails: list[Shard] = []
        self._blocks = Blocks()
        self._state = NO_FILE  # of the folder, when the shards were looked for
        self._found: tuple[Any, Found] | None = None  # what was looked for last, and found
        self._shards: dict[str, Shard | None] = {}  # by file name; None for one that cannot be read

    def shards(self) -> list[Shard]:
        """Return all shards that can be read, after looking for new ones."""
        state = NO_FILE if self._path is None else state_of(str(self._path))
        if state != self._state or state == NO_FILE:
            self._look(state)
        return [shard for shard in self._shards.values() if shard is not None] + self._tails

    def _look(self, state: FileState) -> None:
        # Of a folder that was changed just now, the time may not show what follows.
        self._state = state if time.time_ns() - state.changed_ns > _SETTLED_NS else NO_FILE
        names = self._names()
        for name in self._shards.keys() - names:
            del self._shards[name]
        for name in sorted(names - self._shards.keys()):
            self._shards[name] = _opened(self._path / name, self._blocks) if self._path else None

    def found(self, shards: list[Shard], log_ids: npt.NDArray[np.int64], states: States) -> Found:
        """Return what `parts.find` finds in `shards`; asked for one key after the other, it looks once."""
        readings = tuple(shard if shard.file is None else shard.file.reading for shard in shards)
        asked = readings, log_ids.tobytes(), states.tobytes()
        if self._found is None or self._found[0] != asked:
            self._found = asked, find([shard.parts for shard in shards], log_ids, states)
        return self._found[1]

    def _names(self) -> set[str]:
        if self._path is None:
            return set()
        try:
            return {name for name in os.listdir(self._path) if name.endswith(".parquet")}  # noqa: PTH208 - faster
        except OSError:
            return set()

    def drop(self, shard: Shard) -> None:
        """Remove `shard`, which cannot be read."""
        if shard.file is not None:
            self._shards[shard.file.path.name] = None
            _remove(shard.file.path)

    def write(self, shard: Shard, *, has_only_ends: bool = False) -> None:
        """Add `shard` to the folder; ends of files that have grown, if it `has_only_ends`, stay in memory if small."""
        if not len(shard.parts):
            return
        if has_only_ends and int((shard.parts["end"] - shard.parts["start"]).sum()) < SMALL_PIECE:
            self._tails = [*self._tails, shard][-MAX_TAILS:]
            return
        try:
            if self._path is None:
                self._path = self._temporary_folder()
            self._path.mkdir(parents=True, exist_ok=True)
            self._write(self._path, shard)
            self._agree(self._path)  # another process may have written a key for the first time meanwhile
            self._merge_small_shards(self._path)
        except OSError as error:
            _logger.info("metrics are not cached in %s: %s", self._path, error)
            self._path = None
            if not self._is_temporary:
                self.write(shard)

    def made(self) -> Path | None:
        """Return the folder, which is there then; None if there is none that lasts.

        Raises
        ------
        OSError
            If it cannot be made.
        """
        if self._path is None or self._is_temporary:
            return None
        self._path.mkdir(parents=True, exist_ok=True)
        return self._path

    def tidy(self) -> None:
        """Put small shards together that others have written, and those in order that do not agree on a key's type."""
        if self._path is None:
            return
        with contextlib.suppress(OSError):
            self._agree(self._path)
            self._merge_small_shards(self._path)

    def _agree(self, folder: Path) -> None:
        readings = self.readings()  # of what another process is writing, not all may be there yet
        types = _agreed_types(chain.from_iterable(readings))
        for reading in readings:
            keys = [(key, one.type) for shard in reading if shard.file for key, one in shard.file.keys.items()]
            if any(types[key] != kind for key, kind in keys):
                shard, lists = self._loaded(reading)
                only = reading[0].file.only if reading[0].file is not None else None
                if len(shard.parts):
                    shard_file.write(folder, shard.parts, shard.problems, lists, only, types)
                for one in reading:
                    self.drop(one)

    def _temporary_folder(self) -> Path:
        self._is_temporary = True
        path = Path(tempfile.mkdtemp(prefix="mlxp-metrics-"))
        weakref.finalize(self, _remove_folder, path, os.getpid())
        return path

    def readings(self) -> list[list[Shard]]:
        """Return the shards on disk, those of one reading together, where all of them are there."""
        found = _readings(self.shards())
        return [reading for reading in found if reading[0].file is not None and len(reading) == reading[0].file.files]

    def keep_only(self, reading: list[Shard], rows: npt.NDArray[np.bool_]) -> None:
        """Write a reading anew with some of its parts only.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        shard, lists = self._loaded(reading)
        only = reading[0].file.only if reading[0].file is not None else None
        kept = _with_rows([(shard, lists, np.flatnonzero(rows[: len(shard.parts)]))], only)
        if self._path is not None and len(kept.parts):
            self._write(self._path, kept)
        for one in reading:
            self.drop(one)

    def types(self) -> dict[str, Type]:
        """Return the type of each key."""
        return {key: stored.type for one in self.shards() if one.file for key, stored in one.file.keys.items()}

    def _write(self, folder: Path, shard: Shard) -> None:
        shard_file.write(folder, shard.parts, shard.problems, shard.all_lists(), shard.only, self.types())

    def _merge_small_shards(self, folder: Path) -> None:
        shards = self.shards()
        for only, readings in _small_readings(shards).items():
            if len(readings) > MAX_SMALL_SHARDS:
                merged = _merged(map(self._loaded, readings), _newest_generations(shards), only)
                if len(merged.parts):
                    self._write(folder, merged)
                for shard in chain.from_iterable(readings):
                    self.drop(shard)
                _remove_leftovers(folder)

    def _loaded(self, reading: list[Shard]) -> tuple[Shard, Mapping[ListsOf, Lists]]:
        """Return what was read at once: one of its shards, and the lists of all of them."""
        lists: dict[ListsOf, Lists] = {}
        for shard in reading:
            try:
                lists |= shard.all_lists()
            except (OSError, pa.ArrowException):  # damaged, or merged by another process just now
                return Shard(np.empty(0, PART), {}), {}
        return reading[0], lists


def _readings(shards: Iterable[Shard]) -> list[list[Shard]]:
    found: dict[str, list[Shard]] = {}
    for shard in shards:
        if shard.file is not None:
            found.setdefault(shard.file.reading, []).append(shard)
    return list(found.values())


def _agreed_types(shards: Iterable[Shard]) -> dict[str, Type]:
    """Return one type for each key: numbers, if any of the shards has numbers, else texts, if any has."""
    found: dict[str, set[Type]] = {}
    for shard in shards:
        for key, stored in shard.file.keys.items() if shard.file is not None else ():
            found.setdefault(key, set()).add(stored.type)
    return {key: first_of(types) for key, types in found.items()}


def _small_readings(shards: Iterable[Shard]) -> dict[str | None, list[list[Shard]]]:
    """Return by the key that was read, which is None for all keys, the shards of each reading that is small."""
    small: dict[str | None, list[list[Shard]]] = {}
    for reading in _readings(shards):
        files = [shard.file for shard in reading if shard.file is not None]
        # Of what another process is writing, not all may be there yet.
        if len(files) == files[0].files and sum(file.size for file in files) < SMALL:
            small.setdefault(files[0].only, []).append(reading)
    return small


def _newest_generations(shards: Iterable[Shard]) -> dict[int, int]:
    newest: dict[int, int] = {}
    for shard in shards:
        for run, generation in zip(shard.parts["run"].tolist(), shard.parts["generation"].tolist(), strict=True):
            newest[run] = max(generation, newest.get(run, 0))
    return newest


def _merged(
    shards: Iterable[tuple[Shard, Mapping[ListsOf, Lists]]], newest: Mapping[int, int], only: str | None
) -> Shard:
    """Return one shard, in memory, with the rows of `shards` except those that a newer reading has replaced."""
    chosen = []
    for shard, lists in shards:
        generations = [newest[run] for run in shard.parts["run"].tolist()]
        rows = np.flatnonzero(shard.parts["generation"] == np.array(generations, dtype=np.int64))
        chosen.append((shard, lists, rows))
    return _with_rows(chosen, only)


def _with_rows(
    shards: Iterable[tuple[Shard, Mapping[ListsOf, Lists], npt.NDArray[np.intp]]], only: str | None
) -> Shard:
    builder = ShardBuilder(only)
    for shard, all_lists, rows in shards:
        parsed = Parsed(problems=[shard.problems.get(row, []) for row in rows.tolist()])
        for one, lists in all_lists.items():
            if not one.of_records:
                records = all_lists.get(ListsOf(one.key, one.kind, of_records=True))
                parsed.segments += _segments(one.key, one.kind, lists, records, rows.tolist())
        builder.add(shard.parts[rows], parsed)
    return builder.build()


def _segments(key: str, kind: Kind, lists: Lists, records: Lists | None, rows: list[int]) -> Iterator[Segment]:
    for position, row in enumerate(rows):
        if lists.present[row]:
            numbers = np.asarray(records[row]) if records is not None and records.present[row] else None
            counts = np.array([len(lists[row])], dtype=np.int64)
            yield Segment(key, kind, position, counts, lists[row], numbers)


def _opened(path: Path, blocks: Blocks) -> Shard | None:
    file = shard_file.opened(path)
    return None if file is None else Shard(file.parts, file.problems, file=file, blocks=blocks)


def _remove(path: Path) -> None:
    # Another process may have removed it; on Windows, a process that reads it prevents its removal.
    with contextlib.suppress(OSError):
        path.unlink()


def _remove_folder(path: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked process ends as well
        shutil.rmtree(path, ignore_errors=True)


def _remove_leftovers(folder: Path) -> None:
    """Remove files left by processes that were killed while writing."""
    for path in folder.glob(".*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > 86_400:
                path.unlink()
