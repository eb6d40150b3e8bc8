"""Reads many metric files at a time, each from where reading last stopped to the size it had when opened."""

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from mlxp_reader.records.file_states import FileState, state_of
from mlxp_reader.store.json_lines import BadLine, parse
from mlxp_reader.store.parts import PART, checksum
from mlxp_reader.store.shards import Shard, ShardBuilder

BATCH = 2**18
"""About how many bytes of text are parsed at once: few enough to stay in a processor's cache."""

MAX_SHARD = 2**26
"""About how many bytes of text become one shard."""


@dataclass(frozen=True, slots=True)
class Job:
    """One metric file to read."""

    run: int  # the position of its run among the runs asked for
    log_id: int
    path: str
    state: FileState
    last: np.void | None = None  # the part after which to go on


class Unreadable(NamedTuple):
    """A file that is there but cannot be read."""

    job: Job
    error: str


class _Text(NamedTuple):
    job: Job
    text: bytes


def read_files(jobs: Iterable[Job]) -> Iterator[tuple[list[Job], Shard] | Unreadable]:
    """Read the files of `jobs`; yield shards in memory, with one row per job, and the files that cannot be read.

    If a job was to continue after an earlier part but its file has been rewritten, the file is read from the start and
    the job is yielded that way.
    """
    generation = time.time_ns()
    builder, done, batch = ShardBuilder(), list[Job](), list[_Text]()
    waiting = total = 0
    for job in jobs:
        text = _read(job)
        if not isinstance(text, _Text):
            if text is not None:
                yield text
            continue
        batch.append(text)
        waiting += len(text.text)
        if waiting > BATCH:
            done += _parse(batch, builder, generation)
            batch, waiting, total = [], 0, total + waiting
        if total > MAX_SHARD:
            yield done, builder.build()
            builder, done, total = ShardBuilder(), [], 0
    done += _parse(batch, builder, generation)
    yield done, builder.build()


def _read(job: Job) -> _Text | Unreadable | None:
    try:
        descriptor = os.open(job.path, _READING)  # takes half the time of a file object
        try:
            state = state_of(descriptor)
            if state != job.state:  # another one than that which was seen
                job = replace(job, state=state)
            if job.last is None:
                return _Text(job, _bytes(descriptor, job.state.size))
            text = _text_after(descriptor, job.last, job.state.size)
            if text is not None:
                return _Text(job, text)
            os.lseek(descriptor, 0, os.SEEK_SET)
            return _Text(replace(job, last=None), _bytes(descriptor, job.state.size))
        finally:
            os.close(descriptor)
    except FileNotFoundError:  # removed since it was seen
        return None
    except OSError as error:
        return Unreadable(job, error.strerror or str(error))


# Non-blocking, since somebody may have left a pipe where a file should be.
_READING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def _text_after(descriptor: int, last: np.void, size: int) -> bytes | None:
    """Return the text after the part `last`, or None if the file has changed up to there.

    All of the earlier text is checked, since a record may have been changed in place; this takes a twentieth of the
    time of parsing it.
    """
    left, check = int(last["end"]), 0
    while left:
        text = os.read(descriptor, min(left, BATCH))
        if not text:
            return None
        left, check = left - len(text), checksum(text, check)
    return _bytes(descriptor, size - int(last["end"])) if check == last["check"] else None


def _bytes(descriptor: int, size: int) -> bytes:
    data = os.read(descriptor, size)
    if len(data) == size:
        return data
    chunks = [data]
    while chunks[-1] and (missing := size - sum(map(len, chunks))) > 0:  # more than the system gives at once
        chunks.append(os.read(descriptor, missing))
    return b"".join(chunks)


def _parse(batch: list[_Text], builder: ShardBuilder, generation: int) -> list[Job]:
    """Add what is in the texts of `batch` to `builder`; return the jobs in the order of its rows."""
    parsed = parse([text for _, text in batch])
    texts = [batch[position] for position in parsed.order]
    rows = zip(texts, parsed.ends, parsed.records, parsed.lines, strict=True)
    parts = np.array([_part(text, end, records, lines, generation) for text, end, records, lines in rows], dtype=PART)
    for row, problems in enumerate(parsed.problems):
        last = texts[row].job.last
        if problems and last is not None:
            parsed.problems[row] = [BadLine(int(last["lines"]) + line, error) for line, error in problems]
    builder.add(parts, parsed)
    return [text.job for text in texts]


def _part(read: _Text, end: int, records: int, lines: int, generation: int) -> tuple[int, ...]:
    job, last = read.job, read.job.last
    check = checksum(read.text[:end], 0 if last is None else int(last["check"]))
    if last is None:
        return (job.log_id, *job.state, 0, end, generation, 0, records, lines, check)
    start, first = int(last["end"]), int(last["first"] + last["records"])
    generation = int(last["generation"])
    return (job.log_id, *job.state, start, start + end, generation, first, records, int(last["lines"]) + lines, check)
