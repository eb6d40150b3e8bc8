"""The reader: it answers a query over a directory of runs with a frame of runs."""

import logging
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Never, overload

import numpy as np

from mlxp.errors import InvalidKeyError
from mlxp.run_directory.printable import printable
from mlxp_reader.query import language as query
from mlxp_reader.records import index
from mlxp_reader.store.log_directories import LogDirectories, LogDirectory, Refresh, directories
from mlxp_reader.store.metric_store import give_memory_back

if TYPE_CHECKING:
    import pandas as pd

    from mlxp_reader.engines.scan import Scan
    from mlxp_reader.frames.builder import FrameBuilder
    from mlxp_reader.frames.frame import DataFrame
    from mlxp_reader.store.lists import MetricOfRuns, RunProblem

__all__ = ["Reader"]

_log = logging.getLogger("mlxp")

_FORMATS = ("dataframe", "datadict", "pandas")
_REFRESH = (True, False, "full")
_ATTEMPTS = ("joined", "all")


class Reader:
    """The runs in a directory.

    The reader crawls the directory once and keeps the results in an index beside it. After that, it reads only what is
    new or changed. Metrics and artifacts are read on access.

    Parameters
    ----------
    src_dir
        The log directory, or a list of several to read together. The column ``source`` then names the directory of each
        run as given here. Ids need not be unique across directories.
    dst_dir
        Where to keep the index; by default in `src_dir` or, if that is not writable, in the user's cache.
    parser
        The parser of queries in another language than that of `mlxp_reader.query`; see `mlxp_reader.query.Parser`.
    refresh
        Whether to check for changes. If false, an existing index is used as it is. With ``"full"``, the reader checks
        every file of every run, even of runs that ended long ago.
    executor
        Any `concurrent.futures.Executor` whose workers see the directories. It crawls, and reads more than 64 MB of
        metrics. By default, all cores of this computer crawl.
    attempts
        ``"joined"`` returns one curve for a resumed run: from the step at which an attempt continued, it ignores the
        records of earlier attempts. ``"all"`` returns all records.

    Attributes
    ----------
    src_dirs, dst_dirs
        The directories of the runs, and those of their indexes.

    Raises
    ------
    LogDirectoryError
        If `src_dir` cannot be read, or `dst_dir` cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> reader = Reader("tests/data/mlxp-1.0.5-logs/logs", dst_dir=tempfile.mkdtemp())
    >>> len(reader), len(reader.filter("info.status == 'COMPLETE' & optimizer.lr < 1"))
    (12, 4)
    >>> both = Reader(["tests/data/mlxp-1.0.5-logs/logs", "tests/data/job_scripts"], dst_dir=tempfile.mkdtemp())
    >>> both.filter("source == 'tests/data/job_scripts'").empty
    True
    """

    def __init__(  # noqa: PLR0913 - each is one choice of what is read and how
        self,
        src_dir: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        dst_dir: str | os.PathLike[str] | None = None,
        parser: query.Parser | None = None,
        refresh: Refresh = True,
        *,
        executor: Executor | None = None,
        attempts: str = "joined",
        **before_1: Never,
    ) -> None:
        if before_1:
            name = next(iter(before_1))
            now = "; MLXP 1 renamed reload: write refresh" if name == "reload" else ""
            raise TypeError(f"Reader() has no argument '{name}'{now}")
        if attempts not in _ATTEMPTS:
            raise InvalidKeyError(f"attempts is 'joined' or 'all', not {attempts!r}")
        if refresh not in _REFRESH:
            raise InvalidKeyError(f"refresh is True, False or 'full', not {refresh!r}")
        self._joins_attempts = attempts == "joined"
        started = time.perf_counter()
        self.parser = parser or query.DefaultParser()
        if isinstance(src_dir, str | os.PathLike):
            members = [LogDirectory.at(src_dir, Path(dst_dir).expanduser().absolute() if dst_dir else None, executor)]
            self._is_of_several = False
        else:
            members, self._is_of_several = directories(list(src_dir), dst_dir, executor), True
        self.src_dirs = [os.fspath(one.path) for one in members]
        self.dst_dirs = [os.fspath(one.cache.parent) for one in members]
        names = [one.name for one in members]
        self._origin = {"logs": [os.fspath(Path(name).expanduser().absolute()) for name in names], "names": names}
        self._logs = LogDirectories(members, are_named=self._is_of_several, refresh=refresh, executor=executor)
        self._table = self._logs.table
        give_memory_back()
        self._metric_problems: dict[Any, None] = {}
        self._made: FrameBuilder | None = None
        self._seconds = time.perf_counter() - started
        self._warn(len(self._problems()))

    def _warn(self, count: int) -> None:
        if count:
            told = f"{count} problem{'s' * (count > 1)}"
            _log.warning("%s in the runs of %s: Reader.problems lists them", told, " and ".join(self.src_dirs))

    @property
    def src_dir(self) -> str:
        """The directory of the runs; several directories, listed by `src_dirs`, are joined as in the variable PATH."""
        return os.pathsep.join(self.src_dirs)

    @property
    def dst_dir(self) -> str:
        """The directory of the index; several directories, listed by `dst_dirs`, are joined as in the variable PATH."""
        return os.pathsep.join(self.dst_dirs)

    def __getstate__(self) -> dict[str, Any]:
        # What was made from the index can be made again, and would be as large as everything that was read.
        return {**self.__dict__, "_made": None}

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __repr__(self) -> str:
        cached, changed, new = (f"{count:,}".replace(",", " ") for count in self._counts())
        total = f"{len(self):,}".replace(",", " ")
        runs = f"{total} run{'s' * (len(self) != 1)}"
        return f"{runs} · {cached} cached, {changed} changed, {new} new · {self._seconds:.1f} s"

    def _counts(self) -> tuple[int, int, int]:
        changes = self._logs.changes
        return changes.cached, changes.changed, changes.new

    @property
    def log_ids(self) -> list[int]:
        """The ids of the runs."""
        ids: list[int] = self._table["log_id"].to_pylist()
        return ids

    @property
    def fields(self) -> "pd.DataFrame":
        """A table of all fields and their types."""
        return self._typed(list(self._builder.fields))

    @property
    def searchable(self) -> "pd.DataFrame":
        """A table of the fields that a query can name; of metrics, a query can name statistics."""
        return self._typed([name for name, kind in self._builder.fields.items() if kind == "value"])

    def _typed(self, names: Sequence[str]) -> "pd.DataFrame":
        import pandas as pd

        types = [self._builder.type_name(name) for name in sorted(names)]
        return pd.DataFrame({"Type": types}, index=pd.Index(sorted(names), name="Fields"), dtype=object)

    @property
    def problems(self) -> "pd.DataFrame":
        """A table of what could not be read: the run, the file, the line if known, and what is wrong.

        Problems with metrics appear once the metrics have been read.
        """
        import pandas as pd

        found = [*self._problems(), *self._metric_problems]
        rows = [(*run, printable(file), line, printable(error)) for *run, file, line, error in found]
        table = pd.DataFrame(rows, columns=pd.Index([index.SOURCE, "log_id", "file", "line", "error"]))
        table = table.astype({"log_id": "int64", "line": "Int64"})
        return table if self._is_of_several else table.drop(columns=index.SOURCE)

    def _problems(self) -> list[tuple[Any, ...]]:
        problems = index.shared(self._table, "problems")
        if not any(problems.contents):
            return []
        of_runs = (problems.contents[at] for at in problems.of_run.tolist())
        runs = zip(self._logs.names_at(np.arange(len(self))), self.log_ids, of_runs, strict=True)
        return [(name, log_id, *one) for name, log_id, several in runs for one in several]

    @overload
    def filter(
        self, query_string: str = "", result_format: Literal["dataframe", "datadict"] = "dataframe"
    ) -> "DataFrame": ...
    @overload
    def filter(self, query_string: str = "", *, result_format: Literal["pandas"]) -> "pd.DataFrame": ...
    def filter(self, query_string: str = "", result_format: str = "dataframe") -> "pd.DataFrame":
        """Return the runs that match a query, in the order of their ids.

        Parameters
        ----------
        query_string
            Such as ``"info.status == 'COMPLETE' & optimizer.lr < 1 & test.loss.min < 0.1"``; by default all runs.
        result_format
            ``"dataframe"`` for a lazy `DataFrame` (``"datadict"`` means the same), ``"pandas"`` for a plain
            `pandas.DataFrame` in which everything is loaded.

        Raises
        ------
        InvalidKeyError
            If the query uses a name that does not exist, or if there is no such `result_format`.
        SyntaxError
            If the query is not valid; the message shows the place.
        """
        if result_format not in _FORMATS:
            raise InvalidKeyError(f"unknown result_format '{result_format}'; there are {', '.join(_FORMATS)}")
        rows = self._matching(query_string)
        # Only what is in the language of this package can be asked again by whoever verifies a table.
        is_ours = isinstance(self.parser, query.DefaultParser)
        frame = self._builder.frame(rows, {**self._origin, "query": query_string} if is_ours else None)
        return frame.toPandas(lazy=False) if result_format == "pandas" else frame

    def scan(self, *names: str, query: str = "") -> "Scan":
        """Return metrics of the runs that match a query, one row per record, for Polars, DuckDB, Arrow, Dask or pandas.

        Nothing is read until one of them is asked; what is read then is stored in the cache, whose files they read.

        Parameters
        ----------
        names
            Such as ``"train.loss"``; by default all metrics.
        query
            As in `filter`.

        Raises
        ------
        InvalidKeyError
            If there is no such metric, or if the query uses a name that does not exist.
        SyntaxError
            If the query cannot be understood.

        Examples
        --------
        >>> import tempfile
        >>> reader = Reader("tests/data/mlxp-1.0.5-logs/logs", dst_dir=tempfile.mkdtemp())
        >>> reader.scan("train.loss", query="optimizer.lr < 1").to_arrow().schema.names
        ['log_id', 'source', 'attempt', 'step', 'time', 'record', 'train.loss']
        """
        from mlxp_reader.frames.scanning import scan_of

        return scan_of(self._builder, self._logs, names, self._matching(query), self._tell)

    def _matching(self, text: str) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
        if not text.strip():
            return None
        expression = query.expression_of(self.parser.parse(text))
        resolved = expression.resolved(self._builder.fields)
        return resolved.mask(self._builder.values, len(self))

    @property
    def _builder(self) -> "FrameBuilder":
        if self._made is None:
            from mlxp_reader.frames.builder import FrameBuilder

            self._made = FrameBuilder(self._table, self._logs.paths(), self._load, joins_attempts=self._joins_attempts)
        return self._made

    def _load(self, log_name: str, key: str, rows: np.ndarray[Any, np.dtype[np.intp]]) -> "MetricOfRuns":
        """Return the values of a metric in the runs at `rows` of the index."""
        column, names = self._logs.load(log_name, key, rows)
        self._tell(list(zip(names, column.problems, strict=True)))
        return column

    def _tell(self, found: "Sequence[tuple[str, RunProblem]]") -> None:
        """Keep problems of metrics, each with the name of its directory, and warn of the new ones."""
        problems = [(name, *problem) for name, problem in found]
        new = dict.fromkeys(problem for problem in problems if problem not in self._metric_problems)
        self._metric_problems |= new
        self._warn(len(new))
