"""The index: the records of all runs of a directory as one Parquet file, brought up to date by reading what changed.

The file is derived data. It says what it was made from and is replaced as a whole. If anything is wrong with it, or if
it is missing, it is made again.
"""

import contextlib
import functools
import gc
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from mlxp.errors import LogDirectoryError
from mlxp.run_directory.layout import CACHE_DIR, run_directories
from mlxp_reader.query.expressions import MISSING
from mlxp_reader.records import encoding, index_file
from mlxp_reader.records.crawl import Record, metrics_file
from mlxp_reader.records.file_states import UNKNOWN, States, states_of
from mlxp_reader.records.workers import crawl_all

FILE_NAME = "index.parquet"
_VERSION = b"5"

SOURCE = "source"
"""The field that says which directory each run is from, if several directories are read together."""

_OWN = {
    "log_id": pa.int64(),
    "files": pa.dictionary(pa.int32(), pa.string()),
    "stamp": pa.list_(pa.field("element", pa.int64())),  # named as Parquet does
    "settled": pa.bool_(),
    "metrics": pa.dictionary(pa.int32(), pa.string()),
    "artifacts": pa.dictionary(pa.int32(), pa.string()),
    "problems": pa.dictionary(pa.int32(), pa.string()),
}
"""The columns beside the fields, which all start with ``config.`` or ``info.``."""

_log = logging.getLogger("mlxp")


@dataclass(frozen=True, slots=True)
class Changes:
    """How many runs were taken from the index, read again, and read for the first time."""

    cached: int
    changed: int
    new: int


class Shared(NamedTuple):
    """What the runs say about something, read once for all runs that say the same."""

    contents: list[Any]
    of_run: npt.NDArray[np.intp]
    """For each run, the position of its content in `contents`."""


def shared(table: pa.Table, name: str) -> Shared:
    """Return the column `name` of an index, which holds JSON texts."""
    column = table[name].combine_chunks()
    contents = [json.loads(text) for text in column.dictionary.to_pylist()]
    return Shared(contents, column.indices.to_numpy().astype(np.intp))


def cache_directory(source: Path, destination: Path | None) -> Path:
    """Return the directory for data derived from the runs in `source`; create it if needed.

    Raises
    ------
    LogDirectoryError
        If `destination` is given and cannot be written, or if `source` is not a directory.
    """
    cache = (destination or source) / CACHE_DIR
    try:
        cache.mkdir(parents=destination is not None, exist_ok=True)
        writable = os.access(cache, os.W_OK | os.X_OK)
    except OSError:
        writable = False
    if writable:
        return cache
    if destination is not None:
        raise LogDirectoryError(f"the index cannot be written to {cache}; choose another dst_dir")
    if not source.is_dir():
        raise LogDirectoryError(f"cannot read the directory {source}: there is no such directory")
    return _cache_of_user(source)


def _cache_of_user(source: Path) -> Path:
    import platformdirs

    name = hashlib.sha256(os.fsencode(source)).hexdigest()[:16]
    cache = platformdirs.user_cache_path("mlxp", appauthor=False) / name
    _log.info("%s cannot be written: its index is kept in %s", source, cache)
    with contextlib.suppress(OSError):  # then nothing is kept, and everything is read each time
        cache.mkdir(parents=True, exist_ok=True)
    return cache


def opened(source: Path, cache: Path) -> pa.Table | None:
    """Return the index of `source` that is stored in `cache`, or None if there is no usable one."""
    table = index_file.read(cache / FILE_NAME)
    return table if table is not None and table.schema.metadata == _about(source, cache) else None


def refreshed(
    source: Path, cache: Path, known: pa.Table | None, executor: Executor | None = None
) -> tuple[pa.Table, Changes]:
    """Return the index of the runs now in `source`, and store it if it differs from the `known` one.

    Raises
    ------
    LogDirectoryError
        If `source` cannot be listed.
    """
    try:
        paths = {run.log_id: os.fspath(run.path) for run in run_directories(source)}
    except OSError as error:
        raise LogDirectoryError(f"cannot read the directory {source}: {error.strerror or error}") from error
    with _no_garbage_collection():
        return _brought_up_to_date(source, cache, known, paths, executor)


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Keep Python from searching for cycles: records have none, and the search would take a quarter of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _brought_up_to_date(
    source: Path, cache: Path, known: pa.Table | None, paths: dict[int, str], executor: Executor | None
) -> tuple[pa.Table, Changes]:
    rows, stale = _still_right(known, paths)
    records = crawl_all([path for log_id, path in paths.items() if log_id not in rows], executor)
    # Leave out those that were removed since they were listed.
    records = [one for one in records if "info.status" in one.values or os.path.isdir(paths[one.log_id])]  # noqa: PTH112
    changes = Changes(cached=len(rows), changed=len(stale), new=len(paths) - len(rows) - len(stale))
    if known is not None and len(rows) + len(stale) == known.num_rows and _say_the_same(records, stale):
        return known, changes
    table = _table(records)
    if known is not None and rows:
        table = _merged(known.take(pa.array(rows.values(), type=pa.int64())), table)
    table = table.replace_schema_metadata(_about(source, cache))
    _write(table, cache / FILE_NAME)
    return table, changes


def _about(source: Path, cache: Path) -> dict[bytes, bytes]:
    """Return what an index says about itself."""
    return {
        b"mlxp.index": _VERSION,
        # An index beside the runs moves with them.
        b"mlxp.source": b"." if cache.parent == source else os.fsencode(source),
    }


def _still_right(known: pa.Table | None, paths: dict[int, str]) -> tuple[dict[int, int], dict[int, list[int]]]:
    """Return by id the rows of the runs that need not be read again, and the stamps of the known ones that must be."""
    if known is None:
        return {}, {}
    row_of = {log_id: row for row, log_id in enumerate(known["log_id"].to_pylist()) if log_id in paths}
    is_settled = known["settled"].to_pylist()
    settled = {log_id: row for log_id, row in row_of.items() if is_settled[row]}
    is_right = _are_up_to_date(known, list(settled.values()), [paths[log_id] for log_id in settled])
    right = {log_id: row for (log_id, row), same in zip(settled.items(), is_right.tolist(), strict=True) if same}
    stale = [log_id for log_id in row_of if log_id not in right]
    stamps = known["stamp"].take(pa.array([row_of[log_id] for log_id in stale], type=pa.int64())).to_pylist()
    return right, dict(zip(stale, stamps, strict=True))


def _are_up_to_date(known: pa.Table, rows: Sequence[int], paths: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Tell for the runs at `rows` of an index, now at `paths`, whether their files still match their stamps."""
    files = shared(known, "files")
    names = (files.contents[at] for at in files.of_run[rows].tolist())
    now = states_of(f"{path}/{name}" for path, named in zip(paths, names, strict=True) for name in named).ravel()
    then = known["stamp"].take(pa.array(rows, type=pa.int64())).combine_chunks()
    if len(then.values) != len(now) or not len(now):
        return np.zeros(len(rows), dtype=np.bool_)
    return np.logical_and.reduceat(then.values.to_numpy() == now, then.offsets.to_numpy()[:-1])


def metric_states(table: pa.Table, log_name: str, rows: npt.NDArray[np.intp]) -> States:
    """Return the states of a metrics file of the runs at `rows`, as they were when the index was brought up to date.

    They are `UNKNOWN` for unfinished runs.
    """
    files = shared(table, "files")
    name = metrics_file(log_name)
    place_in = np.array([names.index(name) if name in names else -1 for names in files.contents], dtype=np.int64)
    places = place_in[files.of_run[rows]]
    is_known = np.flatnonzero(table["settled"].to_numpy()[rows] & (places >= 0))
    stamps = table["stamp"].combine_chunks()
    starts = stamps.offsets.to_numpy()[rows[is_known]] + len(UNKNOWN) * places[is_known]
    states = np.full((len(rows), len(UNKNOWN)), UNKNOWN)
    states[is_known] = stamps.values.to_numpy()[starts[:, None] + np.arange(len(UNKNOWN))]
    return states


def _say_the_same(records: list[Record], stale: dict[int, list[int]]) -> bool:
    # A run that goes on is read again each time; only if its files changed is there something to store.
    same = (not record.settled and stale.get(record.log_id) == record.stamp for record in records)
    return len(records) == len(stale) and all(same)


def _table(records: Sequence[Record]) -> pa.Table:
    own: dict[str, list[Any]] = {
        "log_id": [record.log_id for record in records],
        "files": [_json(list(record.files)) for record in records],
        "stamp": [record.stamp for record in records],
        "settled": [record.settled for record in records],
        "metrics": [_json(record.metrics) for record in records],
        "artifacts": [_json(record.artifacts) for record in records],
        "problems": [_json([list(problem) for problem in record.problems]) for record in records],
    }
    fields = [pa.field(name, kind) for name, kind in _OWN.items()]
    arrays = [_array(own[name], kind) for name, kind in _OWN.items()]
    names: dict[str, Any] = {}
    for record in records:
        names.update(record.values)
    for name in names:
        field, array = encoding.encoded(name, [record.values.get(name, MISSING) for record in records])
        fields.append(field)
        arrays.append(array)
    return pa.table(arrays, schema=pa.schema(fields))


def _json(content: Any) -> str:
    try:
        return orjson.dumps(content).decode()
    except orjson.JSONEncodeError:  # file names that are not valid text
        return json.dumps(content, separators=(",", ":"))


def _array(values: list[Any], kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_dictionary(kind):
        return pa.chunked_array([pa.array(values, type=kind.value_type).dictionary_encode()])
    return pa.chunked_array([pa.array(values, type=kind)])


def stacked(tables: Sequence[pa.Table], names: Sequence[str]) -> pa.Table:
    """Return the rows of several indexes, one below the other, with the name of each in a further field, `SOURCE`."""
    table = functools.reduce(_both, tables).combine_chunks()
    sources = [name for name, one in zip(names, tables, strict=True) for _ in range(one.num_rows)]
    return table.append_column(*encoding.encoded(SOURCE, sources))


def _merged(known: pa.Table, new: pa.Table) -> pa.Table:
    """Return the rows of both tables in order of their ids."""
    table = _both(known, new)
    log_ids = table["log_id"].to_numpy()
    if np.all(log_ids[1:] > log_ids[:-1]):
        return table.combine_chunks()
    return table.take(np.argsort(log_ids))


def _both(first: pa.Table, second: pa.Table) -> pa.Table:
    names = dict.fromkeys([*first.schema.names, *second.schema.names])
    columns = [_merged_column(name, first, second) for name in names]
    return pa.table([array for _, array in columns], schema=pa.schema([field for field, _ in columns]))


def _merged_column(name: str, known: pa.Table, new: pa.Table) -> encoding.EncodedColumn:
    old_field, old = _column(name, known, new)
    new_field, fresh = _column(name, new, known)
    if old_field.equals(new_field, check_metadata=True):
        merged = pa.chunked_array([*old.chunks, *fresh.chunks], type=old_field.type)
        return old_field, merged.unify_dictionaries() if pa.types.is_dictionary(merged.type) else merged
    values = encoding.decoded(old_field, old) + encoding.decoded(new_field, fresh)
    return encoding.encoded(name, values)


def _column(name: str, table: pa.Table, other: pa.Table) -> encoding.EncodedColumn:
    at = table.schema.get_field_index(name)
    if at >= 0:
        return table.schema.field(at), table.column(at)
    field = other.schema.field(name)
    if encoding.null_value(field) is MISSING:
        return field, pa.chunked_array([pa.nulls(table.num_rows, field.type)])
    return encoding.encoded(name, [MISSING] * table.num_rows)


def _write(table: pa.Table, path: Path) -> None:
    try:
        index_file.write(table, path, len(_OWN))
    except OSError as error:
        _log.warning("the index cannot be stored: %s", error)
