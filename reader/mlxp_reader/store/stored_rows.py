"""Which files of the cache hold the records of some runs, for engines that read these files themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlxp_reader.store.json_lines import Kind
from mlxp_reader.store.parts import Found
from mlxp_reader.store.shard_file import ShardFile
from mlxp_reader.store.shards import Shard
from mlxp_reader.store.wide_columns import Type

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class StoredKey:
    """The column of a key in one of the files of a reading."""

    file: int
    column: str
    type: Type
    kinds: frozenset[Kind]


@dataclass(frozen=True, slots=True)
class StoredReading:
    """Files that have the same records, one below the other, and the asked keys that are there.

    Attributes
    ----------
    log_ids
        The asked runs whose records are there; the files may have those of other runs, too.
    has_others
        Whether they have.
    exact
        The number of each of the `paths` whose file has values that their columns do not hold as they are.
    """

    paths: tuple[Path, ...]
    keys: dict[str, StoredKey]
    log_ids: Ids
    has_others: bool
    exact: tuple[int, ...]


def tells_of_all(reading: Sequence[Shard], keys: Sequence[str]) -> bool:
    """Tell whether the files of a reading say of each key whether it is in their records."""
    return all(any(shard.tells_of(key) for shard in reading) for key in keys)


def stored_rows(
    readings: Sequence[Sequence[Shard]], found: Found, log_ids: Ids, keys: Sequence[str]
) -> list[StoredReading]:
    """Return what `readings` hold of `keys` in the parts that were `found` there."""
    stored = []
    for number in np.unique(found.shard).tolist():
        files = [shard.file for shard in readings[number] if shard.file is not None]
        ids = log_ids[np.unique(found.run[found.shard == number])]
        stored.append(_reading(files, keys, ids))
    return stored


def _reading(files: Sequence[ShardFile], keys: Sequence[str], log_ids: Ids) -> StoredReading:
    with_keys = [file for file in files if file.keys.keys() & set(keys)] or list(files[:1])
    found = {
        key: StoredKey(number, of_key.column, of_key.type, frozenset(of_key.rows))
        for number, file in enumerate(with_keys)
        for key in keys
        if (of_key := file.keys.get(key)) is not None
    }
    has_others = not np.isin(files[0].parts["run"], log_ids).all()
    exact = tuple(number for number, file in enumerate(with_keys) if file.check_of_exact)
    return StoredReading(tuple(file.path for file in with_keys), found, log_ids, has_others, exact)


def outdated(
    readings: Sequence[Sequence[Shard]], found: Found, log_ids: Ids
) -> list[tuple[int, npt.NDArray[np.bool_]]]:
    """Return the readings that have rows of the runs which no longer count, and which parts of them do."""
    old = []
    for number, reading in enumerate(readings):
        counts = ~np.isin(reading[0].parts["run"], log_ids)
        counts[found.row[found.shard == number]] = True
        if not counts.all():
            old.append((number, counts))
    return old
