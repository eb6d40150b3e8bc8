"""Adds the runs of another tool to a log directory: each once, in the order in which they started.

A run whose tool says how it ended stays as it was added. Any other may have been under way: when it has grown, its
directory is written anew.
"""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from mlxp.errors import LogDirectoryError
from mlxp.importers.foreign_run import ForeignRun, Format, Identity, UnreadableRunError
from mlxp.importers.run_files import write_run
from mlxp.reproduction.exported_run import ORIGIN, places_of
from mlxp.reproduction.imported import is_there, note, noted
from mlxp.run_directory.layout import STORE_DIR, RunDirectory, take_log_id
from mlxp.run_directory.locks import locked
from mlxp.run_directory.status import Status

_T = TypeVar("_T")

_PATIENCE: Final = 600.0  # seconds, for another import to the same directory
_OF_FILES: Final = "files:"  # what a digest of files starts with; those of archives are of another kind
_SMALL: Final = 2**20  # bytes; of larger files, only the size tells whether they have changed


@dataclass
class Added:
    """What an import has done.

    Attributes
    ----------
    new
        The ids of the runs that were added.
    known
        The ids of those that were there before.
    updated
        Those of the known runs that have grown since, and were written anew.
    changed
        Those of the known runs that have changed since, and were left as they are.
    left_out
        What could not be taken over, and of how many runs.
    problems
        Sentences about runs that could not be added.
    """

    new: list[int] = field(default_factory=list)
    known: list[int] = field(default_factory=list)
    updated: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def add_runs(found: Format, source: Path, logs: Path) -> Added:
    """Add the runs in `source` to `logs`, which is created if needed.

    Raises
    ------
    LogDirectoryError
        If `logs` cannot be written.
    """
    store = logs / STORE_DIR
    try:
        store.mkdir(parents=True, exist_ok=True)
        with (
            locked([store / "importing"], f"imports runs to {logs}", wait=_PATIENCE),
            tempfile.TemporaryDirectory(prefix=".importing-", dir=store) as temporary,
        ):
            return _Adding(found, source, logs, Path(temporary)).done()
    except OSError as error:
        reason = f"{error.strerror or error}: {error.filename or source}"
        raise LogDirectoryError(f"the runs of {source} cannot be added to {logs}: {reason}") from error


class _Adding:
    """Runs that are being added to a log directory."""

    def __init__(self, found: Format, source: Path, logs: Path, temporary: Path) -> None:
        self._format = found
        self._source = source
        self._logs = logs
        self._temporary = temporary
        self._added = Added()

    def done(self) -> Added:
        runs: list[tuple[Path, Identity]] = []
        for folder in self._format.folders(self._source):
            try:
                runs.append((folder, self._of_files(self._format.identity, folder)))
            except UnreadableRunError as error:
                self._added.problems.append(str(error))
        for folder, identity in sorted(runs, key=lambda run: run[1].started_at):
            try:
                self._add(folder, identity)
            except UnreadableRunError as error:
                self._added.problems.append(str(error))
        return self._added

    def _add(self, folder: Path, identity: Identity) -> None:
        digest = self._of_files(self._digest, folder)  # before it is read: what is written meanwhile is a change
        log_id, before = noted(self._logs, identity.digest) or (0, "")
        if not is_there(self._logs, log_id, identity.digest):
            run = self._of_files(self._format.read, folder)
            log_id = take_log_id(self._logs)
            self._write(run, folder, identity, log_id, digest)
            self._added.new.append(log_id)
        elif log_id not in {*self._added.new, *self._added.known}:  # the same run may lie in two places
            self._added.known.append(log_id)
            if before.startswith(_OF_FILES) and digest != before:  # it may have come from an archive
                self._renew(folder, identity, log_id, digest)

    @staticmethod
    def _of_files(read: Callable[[Path], _T], folder: Path) -> _T:
        """Return what a function makes of the files of a run, which may hold anything, or vanish meanwhile."""
        try:
            return read(folder)
        except UnreadableRunError:
            raise
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise UnreadableRunError(f"{folder} cannot be read: {type(error).__name__}: {error}") from error

    def _renew(self, folder: Path, identity: Identity, log_id: int, digest: str) -> None:
        here = RunDirectory(self._logs / str(log_id))
        if Status.of(here.info().get("status")) is Status.LOST:
            run = self._of_files(self._format.read, folder)
            if sum(map(len, run.records.by_log().values())) >= _number_of_records(here):
                self._write(run, folder, identity, log_id, digest)
                self._added.updated.append(log_id)
                return
        self._added.changed.append(log_id)

    def _write(self, run: ForeignRun, folder: Path, identity: Identity, log_id: int, digest: str) -> None:
        made = self._temporary / str(log_id)
        write_run(run, made, self._facts(run, folder, identity, log_id))
        for kind in sorted(run.left_out | run.records.left_out):
            self._added.left_out[kind] = self._added.left_out.get(kind, 0) + 1
        note(self._logs, identity.digest, log_id, digest)
        target = self._logs / str(log_id)
        if target.exists():
            target.rename(self._temporary / f"{log_id}.before")
        made.rename(target)

    def _facts(self, run: ForeignRun, folder: Path, identity: Identity, log_id: int) -> dict[str, Any]:
        """Return what info.yaml says beside what the run says itself."""
        parent = noted(self._logs, Identity(run.parent).digest) if run.parent else None
        is_known = run.parent and parent and is_there(self._logs, parent[0], Identity(run.parent).digest)
        return {
            "logger": places_of(log_id, self._logs.name),
            "parents": [f"../{parent[0]}"] if parent and is_known else [],
            ORIGIN: {"run": identity.digest, "tool": self._format.tool, "folder": str(folder)},
            **({self._format.key: run.told} if run.told else {}),
        }

    def _digest(self, folder: Path) -> str:
        """Return what changes when the files of a run do."""
        digest = hashlib.sha256()
        for file in self._format.files(folder):
            size = file.stat().st_size
            content = file.read_bytes() if size <= _SMALL else b""
            digest.update(repr((str(file.relative_to(folder)), size, content)).encode(errors="backslashreplace"))
        return _OF_FILES + digest.hexdigest()[:20]


def _number_of_records(run: RunDirectory) -> int:
    return sum(file.read_bytes().count(b"\n") for file in run.metrics.glob("*.json"))
