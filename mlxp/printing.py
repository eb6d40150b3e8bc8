"""Printing that ends nothing: what was done stays done, whatever becomes of the stream that tells of it.

A terminal may not know a character, ``| head -1`` closes the pipe, a disk that a stream goes to becomes full, a program
may have closed its streams or never had any. What the stream cannot show is escaped; what cannot be written is dropped.
"""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO


def show(text: str, stream: str = "stdout") -> bool:
    """Print `text`, and a line's end unless it has one; return whether it was written.

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
    """Return `text` with what a stream's encoding lacks in Python's spelling."""
    encoding = getattr(file, "encoding", None) or "utf-8"
    if getattr(file, "errors", None) not in {None, "strict", "surrogateescape"}:
        return text
    with contextlib.suppress(LookupError):
        return text.encode(encoding, "backslashreplace").decode(encoding)
    return text


def flush() -> None:
    """Write out what the standard streams still hold; one that cannot is dropped."""
    for stream in ("stdout", "stderr"):
        file = getattr(sys, stream)
        try:
            if file is not None:
                file.flush()
        except (OSError, ValueError, AttributeError):
            drop(stream)


def drop(stream: str) -> None:
    """Let a standard stream go nowhere from now on, so that Python does not complain of it at the program's end."""
    file = getattr(sys, f"__{stream}__")
    if file is not getattr(sys, stream):  # somebody else's, who may still want it
        return
    with contextlib.suppress(OSError, ValueError, AttributeError):
        descriptor = file.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


class _Guarded(io.TextIOBase):
    """A stream that takes everything, and passes on what the one behind it can show."""

    def __init__(self, file: "TextIO | _Guarded | None") -> None:
        self.file: Any = file
        self.problem: Exception | None = None

    def write(self, text: str) -> int:
        if self.file is not None and self.problem is None:
            try:
                self.file.write(showable(text, self.file))
            except (OSError, ValueError) as error:
                self.problem = error
        return len(text)

    def write_bytes(self, content: bytes) -> None:
        """Pass bytes on as they are, such as those of a file."""
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
def guarded_output() -> Iterator[_Guarded]:
    """Within this context, what is printed ends nothing; what `problem` the output had is known when it is left.

    Examples
    --------
    >>> with guarded_output() as output:
    ...     print("run 1: COMPLETE")
    run 1: COMPLETE
    >>> output.problem is None
    True
    """
    before = sys.stdout, sys.stderr
    output, errors = _Guarded(sys.stdout), _Guarded(sys.stderr)
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
