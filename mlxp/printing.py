"""Printing that never ends a program, whatever happens to the stream that it prints to.

A terminal may not know a character, ``| head -1`` closes the pipe, the disk behind a stream may become full, and a
program may have closed its streams or never had any. Characters that a stream cannot show are escaped; output that
cannot be written is dropped.
"""

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO


def show(text: str, stream: str = "stdout") -> bool:
    """Print `text`, adding a newline unless it ends with one; return whether it was written.

    Parameters
    ----------
    text
        What to print.
    stream
        ``stdout`` or ``stderr``.

    Examples
    --------
    >>> show("run 1: COMPLETE")
    run 1: COMPLETE
    True
    """
    file: TextIO | None = getattr(sys, stream)
    line = text if text.endswith("\n") else f"{text}\n"
    try:
        if file is None:
            return False
        file.write(showable(line, file))
        file.flush()
    except (OSError, ValueError, AttributeError):  # broken or full; closed; something else that a task put there
        drop(stream)
        return False
    return True


def showable(text: str, file: TextIO) -> str:
    """Return `text` with each character that the stream's encoding lacks escaped as Python writes it."""
    encoding = getattr(file, "encoding", None) or "utf-8"
    if getattr(file, "errors", None) not in {None, "strict", "surrogateescape"}:
        return text
    with contextlib.suppress(LookupError):
        return text.encode(encoding, "backslashreplace").decode(encoding)
    return text


def flush() -> None:
    """Write out what the standard streams still hold; drop a stream that cannot be written."""
    for stream in ("stdout", "stderr"):
        file = getattr(sys, stream)
        try:
            if file is not None:
                file.flush()
        except (OSError, ValueError, AttributeError):
            drop(stream)


def drop(stream: str) -> None:
    """Send a standard stream nowhere from now on, so that Python does not complain about it at exit."""
    file = getattr(sys, f"__{stream}__")
    if file is not getattr(sys, stream):  # somebody else's, who may still want it
        return
    with contextlib.suppress(OSError, ValueError, AttributeError):
        descriptor = file.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def fill_standard_descriptors() -> None:
    """Open the null device for each standard stream that a shell has closed (``>&-``).

    Otherwise the next file that is opened gets the stream's number, and what a child process prints goes into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the system gives the lowest free number, which is this one
            os.set_inheritable(opened, True)


class _Guarded(io.TextIOBase):
    """A stream that accepts everything, and passes on what the stream behind it can show."""

    def __init__(self, file: "TextIO | _Guarded | None", harmless: Callable[[str], str]) -> None:
        self.file: Any = file
        self.harmless = harmless
        self.problem: Exception | None = None

    def write(self, text: str) -> int:
        if self.file is not None and self.problem is None:
            try:
                self.file.write(showable(self.harmless(text), self.file))
            except (OSError, ValueError) as error:
                self.problem = error
        return len(text)

    def write_bytes(self, content: bytes) -> None:
        """Pass on bytes, such as those of a file, as they are."""
        if isinstance(self.file, _Guarded):
            self.file.write_bytes(content)
            self.problem = self.file.problem
        elif self.file is not None and self.problem is None:
            try:
                self.file.flush()
                self.file.buffer.write(content)
            except (OSError, ValueError) as error:
                self.problem = error

    def flush(self) -> None:
        if self.file is not None and self.problem is None:
            try:
                self.file.flush()
            except (OSError, ValueError) as error:
                self.problem = error

    def isatty(self) -> bool:
        return self.file is not None and not self.file.closed and self.file.isatty()

    def fileno(self) -> int:
        if self.file is None:
            raise io.UnsupportedOperation("there is no such stream")
        return int(self.file.fileno())


@contextlib.contextmanager
def guarded_output(harmless: Callable[[str], str] = str) -> Iterator[_Guarded]:
    """Within this context, printing ends nothing; afterwards, `problem` says what went wrong with the output.

    Parameters
    ----------
    harmless
        What is done to each text before it is printed; by default nothing.

    Examples
    --------
    >>> with guarded_output() as output:
    ...     print("run 1: COMPLETE")
    run 1: COMPLETE
    >>> output.problem is None
    True
    """
    fill_standard_descriptors()
    before = sys.stdout, sys.stderr
    output, errors = _Guarded(sys.stdout, harmless), _Guarded(sys.stderr, harmless)
    sys.stdout, sys.stderr = output, errors
    try:
        yield output
    finally:
        output.flush()
        errors.flush()
        sys.stdout, sys.stderr = before
        for stream, guarded in (("stdout", output), ("stderr", errors)):
            if guarded.problem is not None:
                drop(stream)
