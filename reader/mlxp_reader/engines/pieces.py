"""The records of runs as pieces, each of them files of the cache and how their columns become those of a scan."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlxp.run_directory.layout import STEP_KEYS, RunDirectory
from mlxp_reader.store.record_times import Numbers, times_of_records
from mlxp_reader.store.stored_rows import StoredKey, StoredReading

OWN = {
    "log_id": pa.int64(),
    "source": pa.string(),
    "attempt": pa.int64(),
    "step": pa.float64(),
    "time": pa.float64(),
    "record": pa.int64(),
}
"""The columns of a scan beside the metrics."""

_TYPES = {"double": pa.float64(), "bool": pa.bool_(), "string": pa.string()}

_ROWS = 2**17


class Wanted(NamedTuple):
    """A metric, and the key in a metrics file that holds it."""

    name: str
    log_name: str
    key: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """What a resumed run says about the records of one of its metrics files.

    Attributes
    ----------
    beginnings
        The records with which its attempts after the first began.
    lost
        The records that do not count, since a later attempt logged them again.
    """

    beginnings: list[int]
    lost: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Piece:
    """The records of one reading.

    Attributes
    ----------
    source
        What the user calls the directory of the runs.
    logs
        Where it is.
    log_name
        The name of the metrics files.
    wanted
        The metrics that are in these files.
    resumed
        What the resumed runs among them say, by id.
    """

    reading: StoredReading
    source: str
    logs: Path
    log_name: str
    wanted: tuple[Wanted, ...]
    resumed: dict[int, Resumed]

    @property
    def is_plain(self) -> bool:
        """Whether all columns are in one file, and each of its records counts, so that an engine can read it alone."""
        return len(self.reading.paths) == 1 and not self.resumed

    @property
    def steps(self) -> list[StoredKey]:
        """The columns that tell the step, as a number; the first one that a record has counts."""
        found = [self.reading.keys[key] for key in STEP_KEYS if key in self.reading.keys]
        return [one for one in found if one.type == "double"]

    @property
    def stored(self) -> dict[str, StoredKey]:
        """The stored column of each metric that is there."""
        keys = self.reading.keys
        return {one.name: keys[one.key] for one in self.wanted if one.key in keys}

    def columns(self, schema: pa.Schema) -> dict[str, StoredKey]:
        """Return the stored column of each metric of `schema` that has its type; in another directory, it may not."""
        stored = self.stored
        return {
            field.name: stored[field.name]
            for field in schema
            if field.name in stored and _fits(stored[field.name], field.type)
        }

    def times(self) -> Callable[[pa.Array, pa.Array], pa.Array]:
        """Return a function that tells when some records of some runs were logged, which are given by their numbers.

        It reads where the lines of a metrics file end, so it is called only for who asks for the time. It remembers a
        few runs, since records of one come together.
        """
        of_run = lru_cache(maxsize=16)(self._times_of_run)

        def times(log_id: pa.Array, record: pa.Array) -> pa.Array:
            runs, records = log_id.to_numpy(zero_copy_only=False), record.to_numpy(zero_copy_only=False)
            found = np.full(len(runs), np.nan)
            for run in np.unique(runs).tolist():
                mine = np.flatnonzero(runs == run)
                known = of_run(run)
                mine = mine[records[mine] < len(known)]
                found[mine] = known[records[mine]]
            return pa.array(found, mask=np.isnan(found))

        return times

    def _times_of_run(self, run: int) -> Numbers:
        found = times_of_records(RunDirectory(self.logs / str(run)), self.log_name)
        return np.empty(0) if found is None else found


class Alike(NamedTuple):
    """Pieces that are plain and have the same columns, so that an engine can read their files at once.

    Attributes
    ----------
    first
        One of them.
    log_ids
        The runs whose records count, if the files have those of others, too.
    """

    first: Piece
    paths: list[Path]
    log_ids: npt.NDArray[np.int64] | None


def sorted_out(pieces: Sequence[Piece]) -> tuple[list[Alike], list[Piece]]:
    """Return the pieces that engines can read by themselves, and the others."""
    found: dict[Any, list[Piece]] = {}
    for piece in pieces:
        if piece.is_plain:
            columns = tuple((name, one.column, one.type) for name, one in piece.stored.items())
            key = (piece.source, piece.log_name, columns, tuple(one.column for one in piece.steps))
            found.setdefault(key, []).append(piece)
    alike = []
    for some in found.values():
        has_others = any(one.reading.has_others for one in some)
        ids = np.unique(np.concatenate([one.reading.log_ids for one in some])) if has_others else None
        alike.append(Alike(some[0], [one.reading.paths[0] for one in some], ids))
    return alike, [piece for piece in pieces if not piece.is_plain]


def _fits(stored: StoredKey, kind: pa.DataType) -> bool:
    return kind in {pa.int64(), pa.float64()} if stored.type == "double" else bool(_TYPES[stored.type] == kind)


def schema_of(pieces: Sequence[Piece], names: Sequence[str]) -> pa.Schema:
    """Return the columns of a scan: integers where all values of a metric are, else the type of the stored column.

    Where directories disagree, numbers count, and else texts.
    """
    stored: dict[str, list[StoredKey]] = {name: [] for name in names}
    for piece in pieces:
        for name, key in piece.stored.items():
            stored[name].append(key)
    steps = [key for piece in pieces for key in piece.steps]
    own = OWN | {"step": _type_of(steps)}
    return pa.schema([*own.items(), *((name, _type_of(keys)) for name, keys in stored.items())])


def _type_of(keys: Sequence[StoredKey]) -> pa.DataType:
    types = {key.type for key in keys}
    if types == {"double"} and {kind for key in keys for kind in key.kinds} == {"int"}:
        return pa.int64()
    return pa.float64() if "double" in types or not types else _TYPES[max(types)]


def batches(piece: Piece, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the records of a piece, a batch of rows at a time; of its columns, those of `schema`."""
    steps = piece.steps if "step" in schema.names else []
    names: list[list[str]] = [["log_id", "record"], *([] for _ in piece.reading.paths[1:])]
    for one in [*piece.columns(schema).values(), *steps]:
        names[one.file].append(one.column)
    files = [
        _rows(path, list(dict.fromkeys(of_file))) for path, of_file in zip(piece.reading.paths, names, strict=True)
    ]
    times = piece.times()
    for together in zip(*files, strict=True):
        yield _converted(piece, together, schema, times)


def _rows(path: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=_ROWS, columns=columns, use_threads=False)


def _converted(
    piece: Piece, files: Sequence[pa.RecordBatch], schema: pa.Schema, times: Callable[[pa.Array, pa.Array], pa.Array]
) -> pa.RecordBatch:
    log_id, record = files[0]["log_id"], files[0]["record"]
    attempt, counts = _attempts(piece, log_id, record)
    found: dict[str, Any] = {"log_id": log_id, "record": record, "attempt": attempt}
    found["source"] = pa.repeat(pa.scalar(piece.source), len(log_id))
    if "time" in schema.names:
        found["time"] = times(log_id, record)
    if piece.steps and "step" in schema.names:
        found["step"] = pc.coalesce(*(files[one.file][one.column] for one in piece.steps))
    found |= {name: files[one.file][one.column] for name, one in piece.columns(schema).items()}
    arrays = [
        found[field.name].cast(field.type) if field.name in found else pa.nulls(len(log_id), field.type)
        for field in schema
    ]
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
    if piece.reading.has_others:
        counts = pc.and_(counts, pc.is_in(log_id, value_set=pa.array(piece.reading.log_ids)))
    return batch.filter(counts)


def _attempts(piece: Piece, log_id: pa.Array, record: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return which attempt of its run logged each record, and whether the record counts."""
    attempt, counts = np.ones(len(log_id), dtype=np.int64), np.ones(len(log_id), dtype=np.bool_)
    runs, records = log_id.to_numpy(), record.to_numpy()
    for run, told in piece.resumed.items():
        mine = np.flatnonzero(runs == run)
        attempt[mine] = 1 + np.searchsorted(told.beginnings, records[mine], side="right")
        counts[mine] = ~np.isin(records[mine], told.lost)
    return pa.array(attempt), pa.array(counts)
