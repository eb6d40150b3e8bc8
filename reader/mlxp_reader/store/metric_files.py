"""Reads many metric files, each from where reading last stopped to the size it had when opened.

Short files are read as a whole, and many of them are parsed at once. Long ones are read in chunks, and make several
parts, so that neither the text nor the values of a file need be in memory at once.
"""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from mlxp_reader.records.file_states import FileState, state_of
from mlxp_reader.store.json_lines import BOM, BadLine, Parsed, is_complete, parse
from mlxp_reader.store.long_text import CHUNK, LongText
from mlxp_reader.store.parts import NOT_ALL, PART, checksum
from mlxp_reader.store.shards import Shard, ShardBuilder

BATCH = 2**18
"""About how many bytes of text are parsed at once: few enough to stay in a processor's cache."""

LONG = 2**22
"""A file of which more bytes than this are to be read is read in chunks."""

MAX_SHARD = 2**26
"""About how many bytes of text become one shard."""

_BYTES_PER_VALUE = 16
"""How much text one value counts for, if it is all that is kept of a line."""


@dataclass(frozen=True, slots=True)
class Job:
    """One metric file to read."""

    run: int  # the position of its run among the runs asked for
    log_id: int
    path: str
    state: FileState
    last: np.void | None = None  # the part after which to go on
    is_long: bool = False  # whether the file is read in several parts

    @property
    def start(self) -> int:
        """The byte at which reading starts."""
        return 0 if self.last is None else int(self.last["end"])

    @property
    def size(self) -> int:
        """How many bytes are to be read."""
        return self.state.size - self.start


class Unreadable(NamedTuple):
    """A file that is there but cannot be read."""

    job: Job
    error: str


class _Read(NamedTuple):
    """A part of a file and what is in it, before it is parsed."""

    job: Job
    text: bytes


def read_files(jobs: Iterable[Job], only: str | None = None) -> Iterator[tuple[list[Job], Shard] | Unreadable]:
    """Read the files of `jobs`; yield shards in memory, with one row per job, and the files that cannot be read.

    If a job was to continue after an earlier part but its file has been rewritten, the file is read from the start and
    the job is yielded that way. A job whose file is long is yielded once for each of its parts.

    Parameters
    ----------
    only
        The only key whose values are kept.
    """
    collected = _Collected(only)
    for job in jobs:
        try:
            descriptor = os.open(job.path, _READING)  # takes half the time of a file object
        except FileNotFoundError:  # removed since it was seen
            continue
        except OSError as error:
            yield Unreadable(job, error.strerror or str(error))
            continue
        try:
            found = _checked(job, descriptor)
            if found.size > LONG or only is not None:
                yield from _in_parts(replace(found, is_long=True), descriptor, collected)
            else:
                collected.add_text(_Read(found, _bytes(descriptor, found.size)))
        except OSError as error:
            yield Unreadable(job, error.strerror or str(error))
        finally:
            os.close(descriptor)
        if collected.is_large:
            yield collected.taken()
    yield collected.taken()


# Non-blocking, since somebody may have left a pipe where a file should be.
_READING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def _checked(job: Job, descriptor: int) -> Job:
    """Return the job as the file now is; the file is then at the byte where reading starts."""
    state = state_of(descriptor)
    if state != job.state:  # another one than that which was seen
        job = replace(job, state=state)
    if job.last is not None and not _is_there(descriptor, job.last):
        os.lseek(descriptor, 0, os.SEEK_SET)
        return replace(job, last=None)
    return job


def _is_there(descriptor: int, last: np.void) -> bool:
    """Tell whether the file still has all the text up to the end of the part `last`.

    All of it is looked at, since a record may have been changed in place; this takes a twentieth of the time of parsing
    it.
    """
    left, check = int(last["end"]), 0
    while left:
        text = os.read(descriptor, min(left, BATCH))
        if not text:
            return False
        left, check = left - len(text), checksum(text, check)
    return check == int(last["check"])


def _bytes(descriptor: int, size: int) -> bytes:
    data = os.read(descriptor, max(0, size))
    if len(data) == size:
        return data
    chunks = [data]
    while chunks[-1] and (missing := size - sum(map(len, chunks))) > 0:  # more than the system gives at once
        chunks.append(os.read(descriptor, missing))
    return b"".join(chunks)


class _Collected:
    """What was read and is not yielded yet."""

    def __init__(self, only: str | None) -> None:
        self.only = only
        self.generation = time.time_ns()
        self._builder = ShardBuilder(only)
        self._jobs: list[Job] = []
        self._batch: list[_Read] = []
        self._waiting = self._size = 0

    @property
    def is_large(self) -> bool:
        return self._size > MAX_SHARD

    def add_text(self, read: _Read) -> None:
        self._batch.append(read)
        self._waiting += len(read.text)
        if self._waiting > BATCH:
            self._parse()

    def add(self, jobs: Sequence[Job], parts: Sequence[tuple[int, ...]], parsed: Parsed, size: int) -> None:
        self._builder.add(np.array(parts, dtype=PART), parsed)
        self._jobs += jobs
        self._size += size

    def _parse(self) -> None:
        batch, size = self._batch, self._waiting
        self._batch, self._waiting = [], 0
        parsed = parse([text for _, text in batch])
        texts = [batch[position] for position in parsed.order]
        rows = zip(texts, parsed.ends, parsed.records, parsed.lines, parsed.problems, strict=True)
        parts = []
        for row, ((job, text), end, records, lines, problems) in enumerate(rows):
            check = checksum(text[:end], 0 if job.last is None else int(job.last["check"]))
            parts.append(_part(job, job.state, job.start + end, records, lines, check, self.generation))
            parsed.problems[row] = _in_file(problems, job)
        self.add([read.job for read in texts], parts, parsed, size)

    def taken(self) -> tuple[list[Job], Shard]:
        self._parse()
        done = self._jobs, self._builder.build()
        self._builder, self._jobs, self._size = ShardBuilder(self.only), [], 0
        return done


def _in_file(problems: list[BadLine], job: Job) -> list[BadLine]:
    """Return bad lines of what was read with their places in the whole file."""
    if job.last is None:
        return problems
    return [BadLine(int(job.last["lines"]) + line, error) for line, error in problems]


def _part(  # noqa: PLR0913, PLR0917 - the columns of PART
    job: Job, state: FileState, end: int, records: int, lines: int, check: int, generation: int
) -> tuple[int, ...]:
    last = job.last
    if last is None:
        return (job.log_id, *state, 0, end, generation, 0, records, lines, check)
    first = int(last["first"] + last["records"])
    generation = int(last["generation"])
    return (job.log_id, *state, job.start, end, generation, first, records, int(last["lines"]) + lines, check)


def _in_parts(job: Job, descriptor: int, collected: _Collected) -> Iterator[tuple[list[Job], Shard]]:
    """Add all of a long file to `collected`, which is yielded whenever it is large."""
    check = 0 if job.last is None else int(job.last["check"])
    text, end, begin = LongText(collected.only), job.start, job.start
    for chunk in _chunks(descriptor, job.size):
        check = checksum(chunk, check)
        end += len(chunk)
        lines = chunk if chunk.endswith(b"\n") else chunk + b"\n"
        text.add(lines if end > len(chunk) else lines.removeprefix(BOM))
        size = end - begin if collected.only is None else _BYTES_PER_VALUE * text.values
        if size > MAX_SHARD:
            # What has another state than the file is its beginning at most.
            job = _added(job, FileState(end, NOT_ALL, job.state.inode), text, end, size, check, collected)
            text, begin = LongText(collected.only, text.keys), end
            yield collected.taken()
    _added(job, job.state, text, end, end - begin, check, collected)


def _added(  # noqa: PLR0913, PLR0917 - as above
    job: Job, state: FileState, text: LongText, end: int, size: int, check: int, collected: _Collected
) -> Job:
    """Add a part of a long file to `collected`; return the job of what follows it."""
    parsed = text.parsed(end)
    parsed.problems = [_in_file(problems, job) for problems in parsed.problems]
    part = _part(job, state, end, parsed.records[0], parsed.lines[0], check, collected.generation)
    collected.add([job], [part], parsed, size)
    return replace(job, last=np.array([part], dtype=PART)[0])


def _chunks(descriptor: int, size: int) -> Iterator[bytes]:
    """Yield `size` bytes of a file in pieces that end where a line ends; the last one may be a line without its end."""
    before: list[bytes] = []
    left = size
    while left > 0 and (read := os.read(descriptor, min(CHUNK, left))):
        left -= len(read)
        end = read.rfind(b"\n") + 1
        if end:
            yield b"".join([*before, memoryview(read)[:end]])
            before = []
        before.append(read[end:])
    rest = b"".join(before)
    if rest and is_complete(rest):
        yield rest
