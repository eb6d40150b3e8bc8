"""The index: the records of all runs of a directory as one Parquet file, brought up to date by reading what changed.

The file is derived data. It says what it was made from and is replaced as a whole. If anything is wrong with it, or if
it is missing, it is made again.
"""

import contextlib
import gc
import hashlib
import logging
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from mlxp.errors import LogDirectoryError
from mlxp.run_directory.layout import CACHE_DIR, run_ids
from mlxp_reader.records import checks, encoding, index_file, unfinished
from mlxp_reader.records.file_states import Numbers
from mlxp_reader.records.run_table import OWN, Shared, joined, metric_states, shared, table_of, taken
from mlxp_reader.records.workers import crawl_all

__all__ = [
    "FILE_NAME",
    "SOURCE",
    "Changes",
    "Shared",
    "cache_directory",
    "metric_states",
    "opened",
    "refreshed",
    "shared",
    "stacked",
]

FILE_NAME = "index.parquet"
_VERSION = b"6"

SOURCE = "source"
"""The field that says which directory each run is from, if several directories are read together."""

_TOGETHER = 5000
"""About how many runs' tables become one while the others are crawled; small ones take more memory."""

_BETWEEN_SAVES = 10.0
"""Seconds of crawling that an interruption may cost."""

_log = logging.getLogger("mlxp")


@dataclass(frozen=True, slots=True)
class Changes:
    """How many runs were taken from the index, read again, and read for the first time."""

    cached: int
    changed: int
    new: int


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
    source: Path,
    cache: Path,
    known: pa.Table | None,
    executor: Executor | None = None,
    *,
    is_full: bool = False,
) -> tuple[pa.Table, Changes]:
    """Return the index of the runs now in `source`, and store it if it differs from the `known` one.

    Parameters
    ----------
    is_full
        Whether all files of all runs are looked at, those of old ones, too.

    Raises
    ------
    LogDirectoryError
        If `source` cannot be listed.
    """
    try:
        log_ids = run_ids(source)
    except OSError as error:
        raise LogDirectoryError(f"cannot read the directory {source}: {error.strerror or error}") from error
    with no_garbage_collection():
        return _brought_up_to_date(source, cache, known, log_ids, executor, is_full=is_full)


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Keep Python from searching for cycles among many new objects without any, which takes longer than making them."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _brought_up_to_date(  # noqa: PLR0913 - what `refreshed` is given
    source: Path,
    cache: Path,
    stored: pa.Table | None,
    log_ids: Sequence[int],
    executor: Executor | None,
    *,
    is_full: bool,
) -> tuple[pa.Table, Changes]:
    about = _about(source, cache)
    parts = unfinished.saved(cache, about)
    known = _newest([*([] if stored is None else [stored]), *parts] or [table_of([])])
    found = checks.check(known, os.fspath(source), log_ids, cache, is_full=is_full)
    known_ids = known["log_id"].to_numpy()
    unread = np.setdiff1d(np.array(log_ids, dtype=np.int64), known_ids[found.right], assume_unique=True).tolist()
    read = _crawled(source, cache, unread, executor)
    count = len(found.right)
    changes = Changes(cached=count, changed=len(found.stale), new=len(unread) - len(found.stale))
    is_complete = stored is not None and not parts and count + len(found.stale) == stored.num_rows
    if stored is not None and is_complete and _say_the_same(read, stored, found):
        return _with_glanced(stored, found.right[found.glanced]), changes
    kept = known if count == known.num_rows else taken(known, found.right)
    table = joined([one for one in (kept, read) if one.num_rows] or [kept]).replace_schema_metadata(about)
    is_glanced = np.concatenate([found.glanced, np.zeros(read.num_rows, dtype=np.bool_)])
    order = np.argsort(table["log_id"].to_numpy(), kind="stable")
    if np.any(order[1:] < order[:-1]):
        table = table.take(order)
    _write(table, cache)
    return _with_glanced(table, np.flatnonzero(is_glanced[order])), changes


def _newest(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the runs of all tables in order of their ids, each as the last table has it that knows of it."""
    if len(tables) == 1:
        return tables[0]
    table = joined(tables)
    from_the_end = np.unique(table["log_id"].to_numpy()[::-1], return_index=True)[1]
    return taken(table, table.num_rows - 1 - from_the_end)


def _crawled(source: Path, cache: Path, log_ids: Sequence[int], executor: Executor | None) -> pa.Table:
    """Return the records of some runs; from time to time, keep what was read so far."""
    large: list[pa.Table] = []
    small: list[pa.Table] = []
    kept, kept_at = 0, time.monotonic()
    for table in crawl_all(os.fspath(source), log_ids, executor):
        small.append(table)
        if sum(one.num_rows for one in small) < _TOGETHER:
            continue
        large.append(joined(small))
        small = []
        if time.monotonic() - kept_at > _BETWEEN_SAVES:
            unfinished.save(joined(large[kept:]).replace_schema_metadata(_about(source, cache)), cache)
            kept, kept_at = len(large), time.monotonic()
    return joined([*large, *small] or [table_of([])])


def _say_the_same(read: pa.Table, stored: pa.Table, found: checks.Checked) -> bool:
    """Tell whether the runs that were read again are as they were.

    A run that goes on is read again each time; only if its files changed is there something to store.
    """
    before = stored.select(["log_id", "stamp", "settled"]).take(pa.array(found.stale, type=pa.int64()))
    now = read.select(before.schema.names)
    is_settled = now["settled"].to_numpy()
    return not is_settled.any() and now.equals(before)


def _with_glanced(table: pa.Table, rows: Numbers) -> pa.Table:
    """Return an index in which those runs count as glanced at."""
    if not len(rows):
        return table
    is_glanced = np.zeros(table.num_rows, dtype=np.bool_)
    is_glanced[rows] = True
    at = table.schema.get_field_index("glanced")
    return table.set_column(at, table.schema.field(at), pa.chunked_array([is_glanced]))


def _about(source: Path, cache: Path) -> dict[bytes, bytes]:
    """Return what an index says about itself."""
    return {
        b"mlxp.index": _VERSION,
        # An index beside the runs moves with them.
        b"mlxp.source": b"." if cache.parent == source else os.fsencode(source),
    }


def stacked(tables: Sequence[pa.Table], names: Sequence[str]) -> pa.Table:
    """Return the rows of several indexes, one below the other, with the name of each in a further field, `SOURCE`."""
    sources = [name for name, one in zip(names, tables, strict=True) for _ in range(one.num_rows)]
    return joined(tables).append_column(*encoding.encoded(SOURCE, sources))


def _write(table: pa.Table, cache: Path) -> None:
    try:
        index_file.write(table, cache / FILE_NAME, len(OWN))
    except OSError as error:
        _log.warning("the index cannot be stored: %s", error)
    else:
        unfinished.forget(cache)
