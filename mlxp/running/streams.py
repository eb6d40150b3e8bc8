"""Copying what a process and its children print to a file as well, at the level of file descriptors.

A small program of its own, this very file, does the copying: it goes on while the run is busy in a long C call, and
it writes down what was printed last even when the run is killed.
"""

import contextlib
import io
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TextIO

_DESCRIPTORS = {"stdout": 1, "stderr": 2}

_CHUNK = 1 << 16

_PATIENCE = 1.0
"""Seconds to wait for the copying programs, which end when the last process that prints to them has ended."""


class Copy:
    """The copying of one standard stream (``stdout`` or ``stderr``) to a file, from creation until `restore`."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.stream: TextIO = getattr(sys, name)
        self.stream.flush()
        self.descriptor = _DESCRIPTORS[name]
        self.original = os.dup(self.descriptor)
        read_end, write_end = os.pipe()
        self.program = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(path)],
            stdin=read_end,
            stdout=self.original,
            start_new_session=True,  # Ctrl-C in the terminal must not end it before the run
        )
        os.close(read_end)
        os.dup2(write_end, self.descriptor)
        os.close(write_end)
        # In a notebook, or under a test runner, sys.stdout does not write to the process's standard output.
        self.file = None if _writes_to(self.stream, self.descriptor) else path.open("a", encoding="utf-8", buffering=1)
        if self.file is not None:
            setattr(sys, name, _Both(self.stream, self.file))

    def restore(self) -> None:
        """Let the stream go where it went before."""
        with contextlib.suppress(ValueError):  # the task may have closed it
            getattr(sys, self.name).flush()
        if self.file is not None:
            setattr(sys, self.name, self.stream)
            self.file.close()
        os.dup2(self.original, self.descriptor)
        os.close(self.original)


def goes_to(name: str, path: Path) -> bool:
    """Tell whether a standard stream of this process is the file at `path`, as that of a job may be."""
    try:
        return os.path.samestat(os.fstat(_DESCRIPTORS[name]), path.stat())
    except OSError:
        return False


def stop(copies: list[Copy]) -> None:
    """Restore the streams; what has been printed is in the files when this returns.

    A process that the task started and left behind may print on: that is copied, too, but not waited for.
    """
    for copy in copies:
        copy.restore()
    deadline = time.monotonic() + _PATIENCE
    for copy in copies:
        with contextlib.suppress(subprocess.TimeoutExpired):
            copy.program.wait(timeout=max(0, deadline - time.monotonic()))


def _writes_to(stream: TextIO, descriptor: int) -> bool:
    try:
        return stream.fileno() == descriptor
    except (OSError, AttributeError, io.UnsupportedOperation):
        return False


class _Both(io.TextIOBase):
    """A text stream that writes to two others."""

    def __init__(self, shown: TextIO, file: TextIO) -> None:
        self.shown = shown
        self.file = file

    def write(self, text: str) -> int:
        self.file.write(text)
        return self.shown.write(text)

    def flush(self) -> None:
        self.file.flush()
        self.shown.flush()

    def isatty(self) -> bool:
        return self.shown.isatty()


def _copy_standard_input(path: str) -> None:
    with open(path, "ab", buffering=0) as file:  # noqa: PTH123 - this program imports as little as it can
        while chunk := os.read(0, _CHUNK):
            with contextlib.suppress(OSError):  # a full disk must not stop what is shown on the terminal
                file.write(chunk)
            with contextlib.suppress(OSError):  # nor a closed terminal what goes to the file
                os.write(1, chunk)


if __name__ == "__main__":
    _copy_standard_input(sys.argv[1])
