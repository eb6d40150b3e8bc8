"""Directories of runs that are read as one: an index of all their runs, and the values of a metric in any of them."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlxp.errors import LogDirectoryError
from mlxp.run_directory.archive import unpacked
from mlxp_reader.records import index
from mlxp_reader.records.file_states import States
from mlxp_reader.store.lists import MetricOfRuns, RunProblem
from mlxp_reader.store.metric_store import MetricStore
from mlxp_reader.store.stored_rows import StoredReading

Rows = npt.NDArray[np.intp]
Refresh = bool | Literal["full"]


@dataclass(frozen=True, slots=True)
class LogDirectory:
    """A directory of runs: what the user calls it, where it is, and where the data read from it is kept."""

    name: str
    path: Path
    cache: Path
    store: MetricStore

    @classmethod
    def at(
        cls, name: str | os.PathLike[str], destination: Path | None, executor: Executor | None = None
    ) -> "LogDirectory":
        """Return the directory, or the archive, of that name; its index is kept in `destination` if that is given.

        What there is much of is read by `executor`.

        Raises
        ------
        LogDirectoryError
            If there is no such directory, or `destination` cannot be written.
        """
        path = Path(os.path.abspath(Path(name).expanduser()))  # noqa: PTH100 - resolves no symbolic links
        if path.is_file():
            path = unpacked(path)
        cache = index.cache_directory(path, destination)
        return cls(os.fspath(name), path, cache, MetricStore(path, cache, executor))

    def indexed(self, *, refresh: Refresh, executor: Executor | None) -> tuple[pa.Table, index.Changes]:
        """Return the index of its runs, brought up to date unless `refresh` is False and there is an index."""
        known = index.opened(self.path, self.cache)
        if known is not None and not refresh:
            return known, index.Changes(known.num_rows, 0, 0)
        return index.refreshed(self.path, self.cache, known, executor, is_full=refresh == "full")


def directories(
    names: Sequence[str | os.PathLike[str]],
    destination: str | os.PathLike[str] | None,
    executor: Executor | None = None,
) -> list[LogDirectory]:
    """Return several directories; each has its own folder in `destination` for what is kept of it.

    Raises
    ------
    LogDirectoryError
        If none is given, if one is given twice or is not a directory, or if `destination` cannot be written.
    """
    if not names:
        raise LogDirectoryError("no directory of runs is given")
    paths = [os.path.realpath(Path(name).expanduser()) for name in names]
    for at, path in enumerate(paths):
        if path in paths[:at]:
            raise LogDirectoryError(f"the directory {path} is given twice, and each of its runs would count twice")
    return [LogDirectory.at(name, _own(destination, path), executor) for name, path in zip(names, paths, strict=True)]


def _own(destination: str | os.PathLike[str] | None, path: str) -> Path | None:
    if destination is None:
        return None
    folder = f"{Path(path).name}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"
    return Path(destination).expanduser().absolute() / folder


class LogDirectories:
    """The runs of several directories, numbered consecutively, one directory after the other.

    Parameters
    ----------
    members
        The directories.
    are_named
        Whether the index has a column with the directory of each run.
    refresh
        Whether to look for changes; ``"full"`` to look at all files of all runs.
    executor
        What crawls the directories.

    Attributes
    ----------
    table
        The index of all runs.
    changes
        How many runs were known, changed and new.
    """

    def __init__(
        self, members: Sequence[LogDirectory], *, are_named: bool, refresh: Refresh, executor: Executor | None
    ) -> None:
        self.members = list(members)
        tables, changes = zip(*(one.indexed(refresh=refresh, executor=executor) for one in members), strict=True)
        self._starts = np.cumsum([0, *(table.num_rows for table in tables)])
        self._states: dict[str, States] = {}  # of the log asked for last
        self.table: pa.Table = index.stacked(tables, [one.name for one in members]) if are_named else tables[0]
        self.changes = index.Changes(
            *(sum(getattr(one, name) for one in changes) for name in ("cached", "changed", "new"))
        )

    def paths(self) -> list[str]:
        """Return for each run the directory that contains its own."""
        counts = np.diff(self._starts).tolist()
        return [path for one, count in zip(self.members, counts, strict=True) for path in [os.fspath(one.path)] * count]

    def names_at(self, rows: Rows) -> list[str]:
        """Return what the user calls the directory of each of the runs at `rows`."""
        return [self.members[number].name for number in self._numbers(rows).tolist()]

    def _numbers(self, rows: Rows) -> Rows:
        return np.searchsorted(self._starts, rows, side="right") - 1

    def _states_of(self, log_name: str) -> States:
        # A finished run is as it was when the index was brought up to date; one still running, as it is when the first
        # of these metrics is read.
        if log_name not in self._states:
            self._states = {log_name: index.metric_states(self.table, log_name, np.arange(self.table.num_rows))}
        return self._states[log_name]

    def load(self, log_name: str, key: str, rows: Rows) -> tuple[MetricOfRuns, list[str]]:
        """Return the values of a metric in the runs at `rows`, and for each problem the name of its directory."""
        ids = self.table["log_id"].to_numpy()[rows]
        states = self._states_of(log_name)[rows]
        if len(self.members) == 1:
            found = self.members[0].store.read(ids, log_name, key, states)
            return found, [self.members[0].name] * len(found.problems)
        number_of = self._numbers(rows)
        joined = MetricOfRuns((), np.full(len(rows), -1, dtype=np.int64), np.zeros(len(rows), dtype=np.int64))
        names: list[str] = []
        for number in np.unique(number_of).tolist():
            mine = np.flatnonzero(number_of == number)
            found = self.members[number].store.read(ids[mine], log_name, key, states[mine])
            joined = _with(joined, found, mine)
            names += [self.members[number].name] * len(found.problems)
        return joined, names

    def stored(
        self, log_name: str, keys: Sequence[str], rows: Rows
    ) -> Iterator[tuple[LogDirectory, list[StoredReading], list[RunProblem]]]:
        """Yield for each directory which files hold the values of some keys in the runs at `rows`."""
        ids = self.table["log_id"].to_numpy()[rows]
        states = self._states_of(log_name)[rows]
        number_of = self._numbers(rows)
        for number in np.unique(number_of).tolist():
            mine = np.flatnonzero(number_of == number)
            member = self.members[number]
            yield member, *member.store.stored(ids[mine], log_name, keys, states[mine])


def _with(joined: MetricOfRuns, found: MetricOfRuns, places: Rows) -> MetricOfRuns:
    """Return the values of `joined`, with those `found` for the runs at `places` added."""
    joined.part[places] = np.where(found.part < 0, -1, found.part + len(joined.parts))
    joined.row[places] = found.row
    return replace(
        joined,
        parts=joined.parts + found.parts,
        records=joined.records | {int(places[run]): numbers for run, numbers in found.records.items()},
        problems=joined.problems + found.problems,
    )
