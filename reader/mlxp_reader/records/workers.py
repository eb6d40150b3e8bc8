"""Crawls many run directories: in this process, on all cores if that takes long, or with the user's executor."""

import gc
import logging
import os
import pickle
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from typing import Any, TypeVar

import pyarrow as pa

from mlxp.errors import LogDirectoryError
from mlxp.run_directory import yaml_lines
from mlxp_reader.records.run_table import crawled

_log = logging.getLogger("mlxp")

Result = TypeVar("Result")

_AT_ONCE = 500
"""The number of directories in one unit of work, and of rows in the table that it becomes."""

_MANY = 1000
"""The number of directories after which what was learned from them is not worth its memory."""

_PATIENCE = 5.0
"""Seconds after which the rest justifies more processes, which cost as much as some thousand directories."""


def crawl_all(source: str, log_ids: Sequence[int], executor: Executor | None = None) -> Iterator[pa.Table]:
    """Yield the records of the runs `log_ids` in the directory `source`, in order, in tables of some hundreds.

    Parameters
    ----------
    executor
        What reads the directories; by default this process, soon joined by others on all cores. An executor must be
        able to import ``mlxp_reader`` and to see the directories. It is sent ids, and sends back Arrow tables.
    """
    chunks = [log_ids[start : start + _AT_ONCE] for start in range(0, len(log_ids), _AT_ONCE)]
    if executor is None:
        results = _crawl_here_first(source, chunks)
    else:
        results = done_by(executor, source, crawled, [(source, chunk) for chunk in chunks])
    yield from _with_progress(results, list(map(len, chunks)))
    if len(log_ids) > _MANY:
        yaml_lines.forget()


def done_by(
    executor: Executor, directory: str, function: Callable[..., Result], arguments: Sequence[tuple[Any, ...]]
) -> Iterator[Result]:
    """Yield what a function returns for each of some arguments, in order, as the workers of an executor find out.

    What they cannot do, or do not see the directory for, this process does, and says so once. What is meant for an
    executor that is shut down, it just does.
    """
    futures = [_submitted(executor, _done_there, directory, function, *one) for one in arguments]
    has_warned = False
    try:
        for future, one in zip(futures, arguments, strict=True):
            if future is None:
                yield function(*one)
                continue
            try:
                result = future.result()
            except Exception as error:  # noqa: BLE001 - executors have their own, and this process may do better
                if not has_warned:
                    _log.warning("a worker of the executor failed, so this process does its work: %s", _words(error))
                has_warned = True
                result = function(*one)
            yield result
    finally:
        for future in futures:
            if future is not None:
                future.cancel()


def _submitted(executor: Executor, function: Callable[..., Result], *arguments: Any) -> "Future[Result] | None":
    try:
        return executor.submit(function, *arguments)
    except BrokenExecutor as error:
        _log.warning("the executor is broken, so this process does its work: %s", _words(error))
    except RuntimeError:  # it was shut down
        pass
    return None


def _words(error: Exception) -> str:
    return str(error).strip() or type(error).__name__


def _done_there(directory: str, function: Callable[..., Result], *arguments: Any) -> Result:
    if not os.path.isdir(directory):  # noqa: PTH112 - a text, as it was sent
        raise LogDirectoryError(f"{platform.node()} does not see the directory {directory}")
    return function(*arguments)


def _crawl_here_first(source: str, chunks: Sequence[Sequence[int]]) -> Iterator[pa.Table]:
    deadline = time.monotonic() + _PATIENCE
    for number, chunk in enumerate(chunks):
        if time.monotonic() > deadline:
            yield from _crawl_elsewhere(source, chunks[number:])
            return
        yield crawled(source, chunk)


def _crawl_elsewhere(source: str, chunks: Sequence[Sequence[int]]) -> Iterator[pa.Table]:
    workers = [_Worker() for _ in range(min(_usable_cores(), len(chunks)))]
    try:
        with ThreadPoolExecutor(len(workers)) as threads:
            # Each thread talks to one process at a time.
            idle = list(workers)

            def crawled_by_one(chunk: Sequence[int]) -> pa.Table:
                worker = idle.pop()
                try:
                    return worker.crawled(source, chunk)
                finally:
                    idle.append(worker)

            yield from threads.map(crawled_by_one, chunks)
    finally:
        for worker in workers:
            worker.close()


def _usable_cores() -> int:
    affinity: Callable[[int], Any] | None = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


class _Worker:
    """A process that crawls.

    It does not use multiprocessing, which imports the user's script again if that has no
    ``if __name__ == "__main__"``. Forking a process with threads, such as any that uses Arrow, may end in a deadlock.
    """

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mlxp_reader.records.workers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )

    def crawled(self, source: str, log_ids: Sequence[int]) -> pa.Table:
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        assert self._process.stdout is not None  # noqa: S101 - as above
        try:
            pickle.dump((source, list(log_ids)), self._process.stdin)
            self._process.stdin.flush()
            return pickle.load(self._process.stdout)  # noqa: S301 - from our own process
        except (OSError, EOFError, pickle.PickleError):
            return crawled(source, log_ids)  # the process could not start, or was killed

    def close(self) -> None:
        self._process.communicate()


class _WithoutPandas:
    """Says that there is no pandas. None in ``sys.modules`` says so, too, but Arrow takes that for the module."""

    @staticmethod
    def find_spec(name: str, *_: Any) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


def _serve() -> None:
    """Crawl the directories that arrive on standard input, until it ends."""
    # Arrow looks for pandas when it makes its first array: importing that costs as much as some thousand directories.
    sys.meta_path.insert(0, _WithoutPandas)
    gc.disable()  # it would take a quarter of the time, and find nothing
    while True:
        try:
            source, log_ids = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
        except EOFError:
            return
        pickle.dump(crawled(source, log_ids), sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _with_progress(tables: Iterable[pa.Table], counts: Sequence[int]) -> Iterator[pa.Table]:
    """Show a progress bar after a second, only where people see it: on a terminal or in Jupyter."""
    if not (sys.stderr.isatty() or "ipykernel" in sys.modules):
        yield from tables
        return
    from tqdm import tqdm

    with tqdm(total=sum(counts), unit=" runs", desc="reading runs", delay=1, leave=False) as bar:
        for table, count in zip(tables, counts, strict=True):
            bar.update(count)
            yield table


if __name__ == "__main__":
    _serve()
