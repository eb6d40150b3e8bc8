"""Crawls many run directories: in this process, on all cores if that takes long, or with the user's executor."""

import gc
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from mlxp.run_directory import yaml_lines
from mlxp_reader.records.crawl import Record, crawl

_AT_ONCE = 250
"""The number of directories in one unit of work."""

_MANY = 1000
"""The number of directories after which what was learned from them is not worth its memory."""

_PATIENCE = 5.0
"""Seconds after which the rest justifies more processes, which cost as much as some thousand directories."""


def crawl_all(paths: Sequence[str], executor: Executor | None = None) -> list[Record]:
    """Return the record of each run directory in `paths`, in their order.

    Parameters
    ----------
    executor
        What reads the directories; by default this process, soon joined by others on all cores. An executor must be
        able to import ``mlxp_reader`` and to see the directories.
    """
    chunks = [paths[start : start + _AT_ONCE] for start in range(0, len(paths), _AT_ONCE)]
    results = executor.map(_crawl_each, chunks) if executor is not None else _crawl_here_first(chunks)
    records = [record for chunk in _with_progress(results, len(paths)) for record in chunk]
    if len(paths) > _MANY:
        yaml_lines.forget()
    return records


def _crawl_here_first(chunks: Sequence[Sequence[str]]) -> Iterator[list[Record]]:
    deadline = time.monotonic() + _PATIENCE
    for number, chunk in enumerate(chunks):
        if time.monotonic() > deadline:
            yield from _crawl_elsewhere(chunks[number:])
            return
        yield _crawl_each(chunk)


def _crawl_each(paths: Sequence[str]) -> list[Record]:
    return [crawl(path) for path in paths]


def _crawl_elsewhere(chunks: Sequence[Sequence[str]]) -> Iterator[list[Record]]:
    workers = [_Worker() for _ in range(min(_usable_cores(), len(chunks)))]
    try:
        with ThreadPoolExecutor(len(workers)) as threads:
            # Each thread talks to one process at a time.
            idle = list(workers)

            def crawled(chunk: Sequence[str]) -> list[Record]:
                worker = idle.pop()
                try:
                    return worker.crawled(chunk)
                finally:
                    idle.append(worker)

            yield from threads.map(crawled, chunks)
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

    def crawled(self, paths: Sequence[str]) -> list[Record]:
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        assert self._process.stdout is not None  # noqa: S101 - as above
        try:
            pickle.dump(list(paths), self._process.stdin)
            self._process.stdin.flush()
            records: list[Record] = pickle.load(self._process.stdout)  # noqa: S301 - from our own process
        except (OSError, EOFError, pickle.PickleError):
            return _crawl_each(paths)  # the process could not start, or was killed
        return records

    def close(self) -> None:
        self._process.communicate()


def _serve() -> None:
    """Crawl the directories that arrive on standard input, until it ends."""
    gc.disable()  # it would take a quarter of the time, and find nothing
    while True:
        try:
            paths = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
        except EOFError:
            return
        pickle.dump(_crawl_each(paths), sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _with_progress(chunks: Iterable[list[Record]], total: int) -> Iterator[list[Record]]:
    """Show a progress bar after a second, only where people see it: on a terminal or in Jupyter."""
    if not (sys.stderr.isatty() or "ipykernel" in sys.modules):
        yield from chunks
        return
    from tqdm import tqdm

    with tqdm(total=total, unit=" runs", desc="reading runs", delay=1, leave=False) as bar:
        for chunk in chunks:
            bar.update(len(chunk))
            yield chunk


if __name__ == "__main__":
    _serve()
