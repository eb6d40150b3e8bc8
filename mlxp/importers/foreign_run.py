"""A run of another tool, in the terms of a run directory: what an importer finds and reads."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlxp.importers.records import Records
from mlxp.run_directory.status import Status


class UnreadableRunError(ValueError):
    """The files of a run cannot be read; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What distinguishes a run from all others.

    Attributes
    ----------
    run
        A text that stays the same while the run grows, and wherever it is copied to, if the tool allows for that.
    started_at
        When it started, in seconds since 1970, as far as that is known; ids are given in this order.
    """

    run: str
    started_at: float = 0.0

    @property
    def digest(self) -> str:
        """The text in the form in which info.yaml has it.

        Examples
        --------
        >>> len(Identity("MLflow 0123").digest)
        20
        """
        return hashlib.sha256(self.run.encode(errors="backslashreplace")).hexdigest()[:20]


@dataclass
class ForeignRun:
    """What a run has recorded.

    Attributes
    ----------
    config
        Its configuration.
    status
        How it ended; None if nobody can tell from its files.
    started_at, ended_at
        In seconds since 1970; None if unknown.
    info
        More of what info.yaml holds.
    told
        What the tool tells beside that; it becomes a mapping in info.yaml.
    records
        Its metrics.
    artifacts
        The files that become artifacts, by name.
    stdout
        The file with what it has printed.
    parent
        The identity of the run that it belongs to.
    left_out
        What cannot be taken over, each kind in a few words.
    """

    config: dict[str, Any] = field(default_factory=dict)
    status: Status | None = None
    started_at: float | None = None
    ended_at: float | None = None
    info: dict[str, Any] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)
    records: Records = field(default_factory=Records)
    artifacts: dict[str, Path | bytes] = field(default_factory=dict)
    stdout: Path | None = None
    parent: str | None = None
    left_out: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Format:
    """How the runs of one tool are found and read.

    Attributes
    ----------
    tool
        The name of the tool.
    key
        The key of info.yaml for what only this tool tells.
    what
        What can be imported, for a message.
    folders
        Yields the folders of all runs in a path, which may be the folder of one.
    identity
        Returns what distinguishes the run in a folder, or raises UnreadableRunError.
    read
        Returns the run in a folder, or raises UnreadableRunError.
    files
        Returns the files of the run in a folder.
    """

    tool: str
    key: str
    what: str
    folders: Callable[[Path], Iterator[Path]]
    identity: Callable[[Path], Identity]
    read: Callable[[Path], ForeignRun]
    files: Callable[[Path], list[Path]]


def seconds(text: Any) -> float | None:
    """Return the seconds since 1970 of a time in ISO 8601, which is UTC if it does not say; None if it is none.

    Examples
    --------
    >>> seconds("1970-01-01T00:01:00.5"), seconds(None)
    (60.5, None)
    """
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
