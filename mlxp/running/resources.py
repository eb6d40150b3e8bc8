"""What a run costs: processor time, memory and, where NVIDIA's library is installed, its GPUs.

A thread takes a sample every few seconds. The thread itself loads psutil and pynvml, so that they delay no run. Without
them, only what the operating system counts for the process and its ended children is reported.
"""

import contextlib
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Self

_INTERVAL: Final = 5.0
"""Seconds between two samples; a sample of many processes takes a millisecond."""


@dataclass(slots=True)
class _Gpu:
    """What has been observed of one GPU so far."""

    name: str
    handle: Any
    peak_memory: int = 0
    utilization: list[int] = field(default_factory=list)


class Resources:
    """Watches this process and its children until it is stopped.

    Examples
    --------
    >>> with Resources() as resources:
    ...     total = sum(range(1000))
    >>> resources.used()["cpu_seconds"] >= 0
    True
    """

    def __init__(self) -> None:
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="mlxp-resources", daemon=True)
        self._peak_memory = 0
        self._gpus: list[_Gpu] = []
        self._before = _cpu_seconds()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        # The sample under way may wait for a driver; the run does not.
        self._thread.join(timeout=1.0)

    def used(self) -> dict[str, Any]:
        """Return what has been used so far.

        Returns
        -------
        dict
            ``cpu_seconds`` of the process and its children, ``peak_memory`` in bytes, and ``gpus``: a list with the
            ``name``, ``peak_memory`` in bytes and mean ``utilization`` in percent of each that the process may use.
        """
        gpus = [
            {
                "name": gpu.name,
                "peak_memory": gpu.peak_memory,
                "utilization": round(sum(gpu.utilization) / len(gpu.utilization), 1) if gpu.utilization else None,
            }
            for gpu in self._gpus
        ]
        return {
            "cpu_seconds": round(_cpu_seconds() - self._before, 3),
            "peak_memory": max(self._peak_memory, _peak_memory()),
            "gpus": gpus,
        }

    def _watch(self) -> None:
        if self._done.wait(_INTERVAL / 5):  # a short run is not worth loading anything for
            return
        process = _process()
        self._gpus = _gpus()
        while True:
            with contextlib.suppress(Exception):  # a child may end while it is looked at, a driver may fail
                self._look(process)
            if self._done.wait(_INTERVAL):
                return

    def _look(self, process: Any) -> None:
        if process is not None:
            family = [process, *process.children(recursive=True)]
            self._peak_memory = max(self._peak_memory, sum(_memory_of(member) for member in family))
        if self._gpus:
            import pynvml

            for gpu in self._gpus:
                gpu.peak_memory = max(gpu.peak_memory, pynvml.nvmlDeviceGetMemoryInfo(gpu.handle).used)
                gpu.utilization.append(pynvml.nvmlDeviceGetUtilizationRates(gpu.handle).gpu)


def _process() -> Any:
    try:
        import psutil
    except ImportError:
        return None
    return psutil.Process()


def _memory_of(process: Any) -> int:
    with contextlib.suppress(Exception):
        return int(process.memory_info().rss)
    return 0


def _gpus() -> list[_Gpu]:
    """Return the GPUs that the process may use; none if they cannot be queried."""
    with contextlib.suppress(Exception):  # the driver may be missing, broken, or of another version
        import pynvml

        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return [_Gpu(_text(pynvml.nvmlDeviceGetName(handle)), handle) for handle in _visible(handles, pynvml)]
    return []


def _visible(handles: list[Any], pynvml: Any) -> Iterator[Any]:
    import os

    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        yield from handles
        return
    for name in filter(None, (word.strip() for word in given.split(","))):
        if name.isdigit():
            yield from handles[int(name) : int(name) + 1]
        else:  # the beginning of a unique name: GPU-5ebe9f43
            yield from (handle for handle in handles if _text(pynvml.nvmlDeviceGetUUID(handle)).startswith(name))


def _text(name: Any) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)


def _cpu_seconds() -> float:
    try:
        import resource
    except ImportError:  # Windows
        import time

        return time.process_time()
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _peak_memory() -> int:
    """Return the peak memory of this process, in bytes; 0 if unknown."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
