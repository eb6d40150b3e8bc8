"""Copies what a process and its children print to a file, too, at the level of file descriptors.

A small program of its own, this very file, does the copying. It goes on while the run is busy in a long C call, and it
writes the last output even when the run is killed.
"""

import contextlib
import io
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, TextIO

_DESCRIPTORS = {"stdout": 1, "stderr": 2}

_CHUNK = 1 << 16

_PATIENCE = 1.0
"""Seconds to wait for the copying programs, which end when the last process that prints to them has ended."""


class Copy:
    """The copying of one standard stream (``stdout`` or ``stderr``) to a file, from creation until `restore`.

    A task may do what it likes with ``sys.stdout`` and with descriptor 1: set the former to None, close or detach it,
    close the latter or put a file in its place. What the task has put there stays; what is ours is removed.
    """

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.stream: Any = getattr(sys, name)
        self.descriptor = _DESCRIPTORS[name]
        _flush(self.stream)
        self.original = os.dup(self.descriptor)
        self.before = os.fstat(self.original)
        read_end, write_end = os.pipe()
        self.program = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(path)],
            stdin=read_end,
            stdout=self.original,
            start_new_session=True,  # Ctrl-C in the terminal must not end it before the run
        )
        os.close(read_end)
        self.pipe = os.fstat(write_end)
        os.dup2(write_end, self.descriptor)
        os.close(write_end)
        # In a notebook, or under a test runner, sys.stdout does not write to the process's standard output.
        self.both = None if _writes_to(self.stream, self.descriptor) else _Both(self.stream, path)
        if self.both is not None:
            setattr(sys, name, self.both)

    def restore(self) -> None:
        """Direct the stream to where it went before."""
        _flush(getattr(sys, self.name, None))
        _flush(self.stream)
        if self.both is not None:
            self.both.stop()
            if getattr(sys, self.name, None) is self.both:
                setattr(sys, self.name, self.stream)
        if _is_open(self.original, self.before):
            if not _is_open(self.descriptor) or _is_open(self.descriptor, self.pipe):
                os.dup2(self.original, self.descriptor)
            os.close(self.original)


def copies(files: dict[str, Path]) -> list[Copy]:
    """Start copying each standard stream, given by name, to its file, unless it already goes there."""
    # A program may have been started without one of them, or an earlier run has closed it: there is nothing to copy.
    there = [name for name in files if getattr(sys, name, None) is not None and _is_open(_DESCRIPTORS[name])]
    return [Copy(name, files[name]) for name in there if not goes_to(name, files[name])]


def _is_open(descriptor: int, file: os.stat_result | None = None) -> bool:
    """Tell whether a descriptor is open; if a file is given, whether it is open for that file."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return file is None or os.path.samestat(status, file)


def _flush(stream: Any) -> None:
    # A task may have closed it, or put anything in its place; whatever goes wrong here must not end the run.
    with contextlib.suppress(Exception):
        stream.flush()


def goes_to(name: str, path: Path) -> bool:
    """Tell whether a standard stream of this process is the file at `path`, as that of a job may be."""
    try:
        return os.path.samestat(os.fstat(_DESCRIPTORS[name]), path.stat())
    except OSError:
        return False


def stop(copies: list[Copy]) -> None:
    """Restore the streams; what has been printed is in the files when this returns.

    A process that the task started and left behind may go on printing: its output is copied, too, but not waited for.
    """
    for copy in copies:
        copy.restore()
    deadline = time.monotonic() + _PATIENCE
    for copy in copies:
        with contextlib.suppress(subprocess.TimeoutExpired):
            copy.program.wait(timeout=max(0, deadline - time.monotonic()))


def _writes_to(stream: Any, descriptor: int) -> bool:
    if getattr(stream, "closed", False) is True:  # by an earlier run of this process: nothing is written to it
        return True
    try:
        return bool(stream.fileno() == descriptor)
    except Exception:  # noqa: BLE001 - a closed or detached stream, or an object that only has write()
        return False


class _Both(io.TextIOBase):
    """A text stream that writes to another one, and to a file as well until it is told to stop."""

    def __init__(self, shown: Any, path: Path) -> None:
        self.shown = shown
        self.file: TextIO | None = path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)

    def write(self, text: str) -> int:
        if self.file is not None:
            with contextlib.suppress(OSError):  # a full disk must not stop what is shown
                self.file.write(text)
        return int(self.shown.write(text) or len(text))

    def flush(self) -> None:
        if self.file is not None:
            with contextlib.suppress(OSError):
                self.file.flush()
        self.shown.flush()

    def isatty(self) -> bool:
        return bool(self.shown.isatty())

    def stop(self) -> None:
        """Leave the file; whoever kept this stream, such as a logging handler, still writes to the other one."""
        file, self.file = self.file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()


def _copy_standard_input(path: str) -> None:
    with open(path, "ab", buffering=0) as file:  # noqa: PTH123 - this program imports as little as it can
        while chunk := os.read(0, _CHUNK):
            with contextlib.suppress(OSError):  # a full disk must not stop what is shown on the terminal
                file.write(chunk)
            with contextlib.suppress(OSError):  # nor a closed terminal what goes to the file
                os.write(1, chunk)


if __name__ == "__main__":
    _copy_standard_input(sys.argv[1])
