"""The metric store: the values of one metric in many runs, taken from the cache if there, else from the files.

A metric file is read from where reading last stopped, and all its keys are cached at once; except that of a long file
that is read for the first time, only the key that is asked for is. The values are the same without a cache. See
`mlxp_reader.store.shards` for the cache, and `mlxp_reader.store.json_lines` for how files are read.
"""

import ctypes
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlxp.run_directory.layout import RunDirectory
from mlxp_reader.records.file_states import UNKNOWN, FileState, States, states_of
from mlxp_reader.store.json_lines import Kind, Values, typed
from mlxp_reader.store.lists import Cell, Lists, MetricOfRuns, RunProblem, flat
from mlxp_reader.store.metric_files import LONG, Job, Unreadable, read_files
from mlxp_reader.store.parts import Found, find
from mlxp_reader.store.shards import Shard, ShardFolder
from mlxp_reader.store.shared_reading import is_much, read_by
from mlxp_reader.store.stored_rows import StoredReading, outdated, stored_rows, tells_of_all

Ids = npt.NDArray[np.int64]


class MetricStore:
    r"""Reads the metrics of runs, and remembers what it read.

    Parameters
    ----------
    logs
        The directory that contains the runs' directories.
    cache_dir
        Where to keep what was read, for this and later processes; with None, or a folder that cannot be written, it is
        kept in a temporary folder for as long as this object lives.
    executor
        What reads many or long files; by default, this process does.

    Examples
    --------
    >>> import tempfile
    >>> run = RunDirectory(Path(tempfile.mkdtemp()) / "1")
    >>> run.metrics.mkdir(parents=True)
    >>> _ = run.metrics_file("train").write_text('{"loss": 0.5}\n{"loss": 0.25}\n')
    >>> MetricStore(run.path.parent, None).read([1], "train", "loss").cells()
    [array([0.5 , 0.25])]
    """

    def __init__(self, logs: Path, cache_dir: Path | None, executor: Executor | None = None) -> None:
        self._logs = logs
        self._executor = executor
        self._cache_dir = cache_dir
        self._folders: dict[str, ShardFolder] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> Any:
        return MetricStore, (self._logs, self._cache_dir)  # another process does not have the executor

    def read(self, log_ids: Sequence[int] | Ids, log_name: str, key: str, states: States | None = None) -> MetricOfRuns:
        """Return the values of the metric `key` of the file `log_name` in each of some runs, in their order.

        A file whose current state is not in the cache is read up to the size that it has then. The ``problems`` of the
        result say what could not be read.

        Parameters
        ----------
        log_ids
            The runs, each once.
        states
            The states of their files; those that are `UNKNOWN` (by default all) are looked up.
        """
        ids = np.asarray(log_ids, dtype=np.int64)
        states = np.full((len(ids), len(UNKNOWN)), UNKNOWN) if states is None else states
        with self._lock:
            while True:
                reading = self._reading(ids, log_name, key)
                try:
                    column = reading.column(states)
                except _LostShardError as error:  # damaged, or merged by another process into a new one
                    self._folder(log_name).drop(error.shard)
                else:
                    break
        if reading.has_parsed or sum(len(lists.values) for lists in column.parts) > _MANY:
            give_memory_back()
        return column

    def stored(
        self, log_ids: Sequence[int] | Ids, log_name: str, keys: Sequence[str], states: States
    ) -> tuple[list[StoredReading], list[RunProblem]]:
        """Return which files hold the values of some keys in some runs, after bringing these files up to date.

        The second thing returned says what could not be read; see `read` for the parameters.
        """
        ids = np.asarray(log_ids, dtype=np.int64)
        with self._lock:
            return self._reading(ids, log_name, keys[0]).stored(keys, states)

    def _reading(self, ids: Ids, log_name: str, key: str) -> "_Reading":
        return _Reading(self._logs, ids, log_name, key, self._folder(log_name), self._executor)

    def _folder(self, log_name: str) -> ShardFolder:
        if log_name not in self._folders:
            # Quoted, since a name that is fine as the beginning of a file's name may mean something as a folder's: '..'
            name = f"metrics-{quote(log_name, safe='')}"
            self._folders[log_name] = ShardFolder(self._cache_dir / name if self._cache_dir else None)
        return self._folders[log_name]


_MANY = 2**16
"""So many values are worth to look for memory that reading them has needed."""


def give_memory_back() -> None:
    """Free what reading needed beside its results: as much again from the cache, several times as much from files."""
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)  # else glibc keeps it


class _LostShardError(Exception):
    def __init__(self, shard: Shard) -> None:
        self.shard = shard


class _Reading:
    """One call of `MetricStore.read`."""

    def __init__(  # noqa: PLR0913, PLR0917 - what is read, from where, and by whom
        self, logs: Path, log_ids: Ids, log_name: str, key: str, folder: ShardFolder, executor: Executor | None
    ) -> None:
        self._executor = executor
        self._logs = logs
        self._log_ids = log_ids
        self._file = str(RunDirectory(Path()).metrics_file(log_name))
        self._folder = folder
        self._key = key
        self._problems: dict[int, list[RunProblem]] = {}
        self.has_parsed = False

    def column(self, states: States) -> MetricOfRuns:
        states = self._looked_up(states)
        shards, found, missing = self._missing(states)
        if self._is_shared([job for jobs in missing.values() for job in jobs]):
            for only, jobs in missing.items():
                self._share(jobs, only)
            shards, found, missing = self._missing(states)
        column = _ColumnBuilder(self._key, _is_chained(found))
        for number in np.unique(found.shard).tolist():
            here = found.shard == number
            self._add(column, shards[number], found.run[here], found.row[here])
        for only, jobs in missing.items():
            self._read(column, jobs, only)
        return column.build(self._sorted_problems())

    def _missing(self, states: States) -> tuple[list[Shard], Found, dict[str | None, list[Job]]]:
        """Return the shards that tell of the key, what was found there, and what is to be read, by the only key."""
        all_shards = self._folder.shards()
        shards = [shard for shard in all_shards if shard.tells_of(self._key)]
        found = self._folder.found(shards, self._log_ids, states)
        jobs = list(self._jobs(states, found))
        if not jobs:
            return shards, found, {}
        self.has_parsed = True
        of_key = self._first_touched(jobs, states, [shard for shard in all_shards if not shard.tells_of(self._key)])
        missing: dict[str | None, list[Job]] = {
            None: [job for job in jobs if job.run not in of_key],
            self._key: [job for job in jobs if job.run in of_key],
        }
        return shards, found, missing

    def _is_shared(self, jobs: list[Job]) -> bool:
        return self._executor is not None and is_much(jobs)

    def _share(self, jobs: list[Job], only: str | None) -> None:
        """Have files read by the executor, once: what its workers cannot read, this process looks at."""
        if self._executor is not None and jobs:
            read_by(self._executor, self._folder, jobs, only)

    def stored(self, keys: Sequence[str], states: States) -> tuple[list[StoredReading], list[RunProblem]]:
        states = self._looked_up(states)
        tries = 2  # a run may go on meanwhile; what it logs then is not waited for
        may_share = True
        while True:
            readings = [one for one in self._folder.readings() if tells_of_all(one, keys)]
            found = find([reading[0].parts for reading in readings], self._log_ids, states)
            if old := outdated(readings, found, self._log_ids):
                self._folder.keep_only(readings[old[0][0]], old[0][1])
                continue
            jobs = list(self._jobs(states, found)) if tries else []
            if not jobs:
                for run, number, row in zip(found.run.tolist(), found.shard.tolist(), found.row.tolist(), strict=True):
                    self._report_lines(run, readings[number][0], row)
                return stored_rows(readings, found, self._log_ids, keys), self._sorted_problems()
            only = keys[0] if len(keys) == 1 and all(job.size > LONG for job in jobs) else None
            if may_share and self._is_shared(jobs):
                may_share = False
                self._share(jobs, only)
                continue
            tries -= 1
            self._store(jobs, only)

    def _store(self, jobs: list[Job], only: str | None) -> None:
        for result in read_files(jobs, only):
            if isinstance(result, Unreadable):
                self._report(result.job.run, None, result.error)
            else:
                self._folder.write(result[1])

    def _first_touched(self, jobs: list[Job], states: States, others: list[Shard]) -> set[int]:
        """Return the runs whose file is long, and of which nothing was read yet."""
        long = [job.run for job in jobs if job.size > LONG]
        if not long:
            return set()
        found = find([shard.parts for shard in others], self._log_ids[long], states[long])
        return {run for at, run in enumerate(long) if not found.is_current[at] and at not in found.last}

    def _read(self, column: "_ColumnBuilder", jobs: list[Job], only: str | None) -> None:
        for result in read_files(jobs, only) if jobs else ():
            if isinstance(result, Unreadable):
                self._report(result.job.run, None, result.error)
            else:
                self._add_read(column, *result)

    def _looked_up(self, states: States) -> States:
        unknown = np.flatnonzero(states[:, 0] == UNKNOWN.size)
        if not len(unknown):
            return states
        states = states.copy()
        states[unknown] = states_of(map(self._path, self._log_ids[unknown].tolist()))
        return states

    def _path(self, log_id: int) -> str:
        # Not built by RunDirectory, which would take as long as looking at the file.
        return f"{self._logs}{os.sep}{log_id}{os.sep}{self._file}"

    def _jobs(self, states: States, found: Found) -> Iterator[Job]:
        wanted = np.flatnonzero(~found.is_current & (states[:, 0] >= 0))
        for run, log_id, state in zip(
            wanted.tolist(), self._log_ids[wanted].tolist(), states[wanted].tolist(), strict=True
        ):
            yield Job(run, log_id, self._path(log_id), FileState(*state), found.last.get(run))

    def _add_read(self, column: "_ColumnBuilder", jobs: list[Job], shard: Shard) -> None:
        for job in jobs:
            if job.last is None:  # what was taken for the beginning of the file is not
                column.forget(job.run)
                self._problems.pop(job.run, None)
            if job.is_long:
                column.chain(job.run)
        self._add(column, shard, np.array([job.run for job in jobs], dtype=np.int64), np.arange(len(jobs)))
        has_only_ends = all(job.last is not None and not job.is_long for job in jobs)
        self._folder.write(shard, has_only_ends=has_only_ends)

    def _add(
        self, column: "_ColumnBuilder", shard: Shard, runs: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
    ) -> None:
        try:
            column.add(shard, runs, rows)
        except (OSError, pa.ArrowException) as error:
            raise _LostShardError(shard) from error
        for run, row in zip(runs.tolist(), rows.tolist(), strict=True) if shard.problems else ():
            self._report_lines(run, shard, row)

    def _report_lines(self, run: int, shard: Shard, row: int) -> None:
        for line, message in shard.problems.get(row, ()):
            self._report(run, line, message)

    def _sorted_problems(self) -> list[RunProblem]:
        by_line = [
            sorted(problems, key=lambda problem: problem.line or 0) for _, problems in sorted(self._problems.items())
        ]
        return [problem for problems in by_line for problem in problems]

    def _report(self, run: int, line: int | None, error: str) -> None:
        self._problems.setdefault(run, []).append(RunProblem(int(self._log_ids[run]), self._file, line, error))


def _is_chained(found: Found) -> npt.NDArray[np.bool_]:
    is_chained = np.bincount(found.run, minlength=len(found.is_current)) > 1
    is_chained[list(found.last)] = True
    return is_chained


class _Piece(NamedTuple):
    """The values of the key in one part of a run's file."""

    start: int
    lists: Lists
    row: int
    records: npt.NDArray[np.int64]


class _ColumnBuilder:
    """Puts a column together from rows of shards; a run that is `chained` has several."""

    def __init__(self, key: str, chained: npt.NDArray[np.bool_]) -> None:
        self._key = key
        self._chained = chained
        self._parts: list[Lists] = []
        self._part = np.full(len(chained), -1, dtype=np.int64)
        self._row = np.zeros(len(chained), dtype=np.int64)
        self._records: dict[int, npt.NDArray[np.int64]] = {}
        self._pieces: dict[int, list[_Piece]] = {}

    def add(self, shard: Shard, runs: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> None:
        """Add the values in `rows` of `shard`, which are those of `runs`."""
        for lists, records in shard.lists(self._key):
            has_key = lists.present[rows]
            alone, chained = has_key & ~self._chained[runs], has_key & self._chained[runs]
            if alone.any():
                self._add_alone(lists, records, runs[alone], rows[alone])
            for run, row in zip(runs[chained].tolist(), rows[chained].tolist(), strict=True):
                self._pieces.setdefault(run, []).append(_piece(lists, records, shard.parts[row], row))
        if 2 * len(rows) >= len(shard.parts):
            shard.forget()  # few others are left to be asked for

    def chain(self, run: int) -> None:
        """Expect that the values of `run` come in several pieces."""
        self._chained[run] = True

    def forget(self, run: int) -> None:
        """Remove what was added for `run`."""
        self._pieces.pop(run, None)

    def build(self, problems: Sequence[RunProblem]) -> MetricOfRuns:
        joined: dict[Kind, dict[int, Values]] = {}
        for run, pieces in self._pieces.items():
            kind, values, numbers = _joined(sorted(pieces, key=lambda piece: piece.start))
            joined.setdefault(kind, {})[run] = values
            if not np.array_equal(numbers, np.arange(len(numbers))):
                self._records[run] = numbers
        for kind, by_run in joined.items():
            counts = np.array([len(values) for values in by_run.values()], dtype=np.int64)
            self._place(Lists.of(kind, counts, by_run.values()), np.array(list(by_run)), np.arange(len(by_run)))
        return MetricOfRuns(tuple(self._parts), self._part, self._row, self._records, tuple(problems))

    def _add_alone(
        self, lists: Lists, records: Lists | None, runs: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
    ) -> None:
        if records is not None:
            for run, row in zip(runs.tolist(), rows.tolist(), strict=True):
                if records.present[row]:
                    self._records[run] = np.asarray(records[row])
        if 2 * len(rows) < len(lists):  # copied, so that the others' values are not kept in memory
            lists, rows = lists.take(rows), np.arange(len(rows))
        self._place(lists, runs, rows)

    def _place(self, lists: Lists, runs: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> None:
        self._part[runs] = len(self._parts)
        self._row[runs] = rows
        self._parts.append(lists)


def _piece(lists: Lists, records: Lists | None, part: np.void, row: int) -> _Piece:
    has_numbers = records is not None and records.present[row]
    numbers = np.asarray(records[row]) if records is not None and has_numbers else np.arange(len(lists[row]))
    return _Piece(int(part["start"]), lists, row, numbers + int(part["first"]))


def _joined(pieces: list[_Piece]) -> tuple[Kind, Values, npt.NDArray[np.int64]]:
    numbers = np.concatenate([piece.records for piece in pieces])
    kinds = {piece.lists.kind for piece in pieces}
    if len(kinds) > 1:
        return (*typed([value for piece in pieces for value in _as_list(piece.lists.cell(piece.row))]), numbers)
    values = [piece.lists[piece.row] for piece in pieces]
    return kinds.pop(), flat(pieces[0].lists.kind, values), numbers


def _as_list(cell: Cell) -> list[Any]:
    return cell.tolist() if isinstance(cell, np.ndarray) else cell
