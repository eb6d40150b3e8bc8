"""Runs other programs (git, a shell, the commands of schedulers), all of them in the same way.

A program gets a list of words, never a line for a shell. It has a time limit, and nothing to read unless input is
given.
"""

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlxp.errors import MLXPError


class ProgramError(MLXPError, OSError):
    """A program that could not be started, or that did not end in time.

    Attributes
    ----------
    was_started
        Whether the program may have done part of its work.
    """

    def __init__(self, message: str, *, was_started: bool) -> None:
        super().__init__(message)
        self.was_started = was_started


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program printed, and its exit code."""

    words: tuple[str, ...]
    code: int
    raw: bytes
    errors: str

    @property
    def output(self) -> str:
        """What the program printed, as text."""
        return _text(self.raw)

    @property
    def complaint(self) -> str:
        """What the program gives as the reason, or that it gives none; for messages."""
        said = "\n".join(text.strip() for text in (self.errors, self.output) if text.strip())
        return said or f"{self.words[0]} ended with exit code {self.code} and said nothing"


def run_program(
    words: Sequence[str],
    *,
    seconds: float,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    given: bytes | None = None,
) -> Answer:
    r"""Run a program to its end and return its answer.

    Parameters
    ----------
    words
        The program and its arguments.
    seconds
        How long it may take; after that it is killed, with everything that it started.
    directory, environment
        Where to run it, and with which environment variables; by default those of this process.
    given
        What it reads from its standard input.

    Raises
    ------
    ProgramError
        If it cannot be started, or takes too long. An exit code other than 0 is an answer.

    Examples
    --------
    >>> run_program(["echo", "hello"], seconds=10).output
    'hello\n'
    """
    try:
        process = subprocess.Popen(
            words,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C ends us between two steps, and not a program half-way
        )
    except (OSError, ValueError) as error:  # a word with a zero byte
        reason = getattr(error, "strerror", None) or error
        raise ProgramError(f"cannot run `{shlex.join(words)}`: {reason}", was_started=False) from error
    with process:
        try:
            output, errors = process.communicate(given, timeout=seconds)
        except subprocess.TimeoutExpired as error:
            _kill(process)
            raise ProgramError(
                f"`{shlex.join(words)}` did not end within {seconds:g} seconds", was_started=True
            ) from error
        except BaseException:
            _kill(process)
            raise
    return Answer(tuple(words), process.returncode, output, _text(errors))


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    for stream in (process.stdout, process.stderr, process.stdin):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    process.wait()


def _text(output: bytes) -> str:
    return output.decode(errors="replace").replace("\r\n", "\n")
