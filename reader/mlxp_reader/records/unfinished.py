"""What a crawl has read before it is through, so that after an interruption the next one goes on from there.

Each part is a file like that of the index. When the index has been written, they are removed.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from mlxp_reader.records import index_file
from mlxp_reader.records.run_table import OWN

_PREFIX = "unfinished-"


def save(table: pa.Table, cache: Path) -> None:
    """Keep a part of an index; if there is no place for it, do nothing."""
    with contextlib.suppress(OSError):
        index_file.write(table, cache / f"{_PREFIX}{os.urandom(6).hex()}.parquet", len(OWN))


def saved(cache: Path, about: dict[bytes, bytes]) -> list[pa.Table]:
    """Return the parts that were kept and that say this about themselves, the oldest first."""
    tables = map(index_file.read, _files(cache))
    return [table for table in tables if table is not None and table.schema.metadata == about]


def forget(cache: Path) -> None:
    """Remove all parts."""
    for file in _files(cache):
        with contextlib.suppress(OSError):
            file.unlink()


def _files(cache: Path) -> Iterator[Path]:
    try:
        names = [name for name in os.listdir(cache) if name.startswith(_PREFIX)]  # noqa: PTH208 - names are wanted
        times = {name: (cache / name).stat().st_mtime_ns for name in names}
    except OSError:  # there is no cache, or another process has just become ready
        return iter(())
    return (cache / name for name in sorted(names, key=times.__getitem__))
