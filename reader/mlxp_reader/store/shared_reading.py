"""Reads metric files by the workers of an executor, which write what they read into the cache that all of them see.

They are sent paths, and send back nothing: values would have to be copied twice.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path

from mlxp_reader.records.workers import done_by
from mlxp_reader.store import shard_file
from mlxp_reader.store.metric_files import Job, Unreadable, read_files
from mlxp_reader.store.shards import ShardFolder

MUCH = 2**26
"""So many bytes of text are worth being read by several workers."""

_AT_ONCE = 2**25
"""About how many bytes one worker reads at once, of one file or of several."""


def is_much(jobs: Sequence[Job]) -> bool:
    """Tell whether there is so much to read that it is worth being shared."""
    return len(jobs) > 1 and sum(job.size for job in jobs) > MUCH


def read_by(executor: Executor, folder: ShardFolder, jobs: Sequence[Job], only: str | None = None) -> None:
    """Bring the cache up to date with some files; what cannot be read is not in it afterwards.

    Parameters
    ----------
    only
        The only key whose values are kept.
    """
    with contextlib.suppress(OSError):  # there is no place, or no room, for a cache: then values are not shared
        path = folder.made()
        if path is not None:
            for _ in done_by(executor, os.fspath(path), _write, [(path, only, some) for some in _in_turn(jobs)]):
                pass
            folder.tidy()


def _in_turn(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    some: list[Job] = []
    for job in jobs:
        some.append(job)
        if sum(one.size for one in some) > _AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def _write(path: Path, only: str | None, jobs: Sequence[Job]) -> None:
    folder = ShardFolder(path)
    for result in read_files(jobs, only):
        if not isinstance(result, Unreadable):
            shard = result[1]
            shard_file.write(path, shard.parts, shard.problems, shard.all_lists(), shard.only, folder.types())
