"""Copying what a process and its children print to a file as well, at the level of file descriptors.

A small program of its own, this very file, does the copying: it goes on while the run is busy in a long C call, and
it writes down what was printed last even when the run is killed.
"""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

__all__ = ["Copy", "copied"]

_CHUNK = 1 << 16


class Copy:
    """The copying of one standard stream (``stdout`` or ``stderr``) to a file, from creation until `stop`."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.stream: TextIO = getattr(sys, name)
        self.stream.flush()
        self.descriptor = {"stdout": 1, "stderr": 2}[name]
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

    def stop(self) -> None:
        """Restore the stream; what has been printed is in the file when this returns."""
        getattr(sys, self.name).flush()
        if self.file is not None:
            setattr(sys, self.name, self.stream)
            self.file.close()
        os.dup2(self.original, self.descriptor)
        os.close(self.original)
        # A child process that lives on holds the other end open; it must not hold up the run.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.program.wait(timeout=5)


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


@contextlib.contextmanager
def copied(stdout: Path, stderr: Path) -> Iterator[None]:
    """Within this context, what is printed is also appended to the two files."""
    copies = [Copy("stdout", stdout), Copy("stderr", stderr)]
    try:
        yield
    finally:
        for copy in copies:
            copy.stop()


def _copy_standard_input(path: str) -> None:
    with open(path, "ab", buffering=0) as file:  # noqa: PTH123 - this program imports as little as it can
        while chunk := os.read(0, _CHUNK):
            with contextlib.suppress(OSError):  # a full disk must not stop what is shown on the terminal
                file.write(chunk)
            with contextlib.suppress(OSError):  # nor a closed terminal what goes to the file
                os.write(1, chunk)


if __name__ == "__main__":
    _copy_standard_input(sys.argv[1])
