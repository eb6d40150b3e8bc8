"""Crawls many run directories: here, in other processes, or by an executor that the user gives."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from mlxp_reader.crawl import Record, crawl

__all__ = ["crawl_all"]

_AT_ONCE = 500
"""Directories that make up one unit of work."""

_FEW = 4_000
"""Directories that are read sooner than other processes are started."""


def crawl_all(paths: Sequence[str], executor: Executor | None = None) -> list[Record]:
    """Return the record of each run directory in `paths`, in their order.

    Parameters
    ----------
    executor
        What reads the directories; by default this process, and further ones on all cores where there are many.
        Whatever is given must be able to import ``mlxp_reader`` and to see the directories.
    """
    chunks = [paths[start : start + _AT_ONCE] for start in range(0, len(paths), _AT_ONCE)]
    if executor is not None:
        return _gathered(executor.map(_crawl_each, chunks), len(paths))
    processes = min(_usable_cores(), len(chunks))
    if processes == 1 or len(paths) < _FEW:
        return _gathered(map(_crawl_each, chunks), len(paths))
    with ThreadPoolExecutor(processes) as threads:
        return _gathered(threads.map(_crawl_elsewhere, chunks_of_some(chunks)), len(paths))


def chunks_of_some(chunks: list[Sequence[str]], some: int = 4) -> list[Sequence[str]]:
    """Return the same directories in larger chunks, each of which is worth a process of its own."""
    return [[path for chunk in chunks[at : at + some] for path in chunk] for at in range(0, len(chunks), some)]


def _usable_cores() -> int:
    count: Callable[[int], Any] | None = getattr(os, "sched_getaffinity", None)
    return len(count(0)) if count else os.cpu_count() or 1


def _crawl_each(paths: Sequence[str]) -> list[Record]:
    return [crawl(path) for path in paths]


def _crawl_elsewhere(paths: Sequence[str]) -> list[Record]:
    # Not by multiprocessing: it imports the user's script again where that has no `if __name__ == "__main__"`, and
    # forking a process that has threads, as any that uses Arrow, may end in a deadlock.
    command = [sys.executable, "-m", "mlxp_reader.workers"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        answer = subprocess.run(command, input=pickle.dumps(paths), capture_output=True, check=True, env=environment)
        records: list[Record] = pickle.loads(answer.stdout)  # noqa: S301 - from our own process
    except (OSError, subprocess.CalledProcessError, pickle.PickleError, EOFError):
        return _crawl_each(paths)
    return records


def _gathered(chunks: Iterable[list[Record]], total: int) -> list[Record]:
    return [record for chunk in _with_progress(chunks, total) for record in chunk]


def _with_progress(chunks: Iterable[list[Record]], total: int) -> Iterator[list[Record]]:
    """Show a progress bar after a second, for people only: on a terminal or in Jupyter."""
    if not (sys.stderr.isatty() or "ipykernel" in sys.modules):
        yield from chunks
        return
    from tqdm import tqdm

    with tqdm(total=total, unit=" runs", desc="reading runs", delay=1, leave=False) as bar:
        for chunk in chunks:
            bar.update(len(chunk))
            yield chunk


if __name__ == "__main__":
    sys.stdout.buffer.write(pickle.dumps(_crawl_each(pickle.load(sys.stdin.buffer))))  # noqa: S301 - from our own process
