"""Adds the runs of an archive to a log directory: under new ids, each of them once, and with nothing believed.

What would act outside of the run is left out: whatever belongs to its job. The code is stored under the address that
is computed from it here.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mlxp.errors import LogDirectoryError
from mlxp.reproduction.exported_run import LOGS, OF_JOBS, ORIGIN, identity_of, mapping_at, places_of, raw_info, with_ids
from mlxp.reproduction.imported import is_there, note, noted
from mlxp.reproduction.store import take_in
from mlxp.run_directory.archive import RunArchive, is_archive, opened
from mlxp.run_directory.files import write_atomically, write_yaml
from mlxp.run_directory.layout import STORE_DIR, RunDirectory, run_directories, take_log_id
from mlxp.run_directory.locks import locked
from mlxp.run_directory.outcome import outcome
from mlxp.run_directory.status import Status
from mlxp.running.environment import ENVIRONMENTS
from mlxp.running.private_git import GitError
from mlxp.running.store_use import adding_to

_PROJECTS: Final = f"{STORE_DIR}/projects"
_PATIENCE: Final = 600.0  # seconds, for another import to the same directory


@dataclass
class Brought:
    """What an import has done.

    Attributes
    ----------
    new
        The ids of the runs that were added, by their ids in the archive.
    known
        The same of the runs that were there before.
    changed
        Those of the known runs whose content is not the same as then.
    problems
        Sentences about what could not be added.
    """

    new: dict[int, int] = field(default_factory=dict)
    known: dict[int, int] = field(default_factory=dict)
    changed: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def recognises(path: Path) -> bool:
    """Tell whether a path is such an archive."""
    return is_archive(path)


def import_runs(path: Path, logs: Path) -> Brought:
    """Add the runs of an archive to `logs`, which is created if needed.

    Raises
    ------
    LogDirectoryError
        If the archive cannot be read or is not safe, or if `logs` cannot be written.
    """
    store = logs / STORE_DIR
    with opened(path) as archive:
        try:
            store.mkdir(parents=True, exist_ok=True)
            with (
                locked([store / "importing"], f"imports runs to {logs}", wait=_PATIENCE),
                tempfile.TemporaryDirectory(prefix=".importing-", dir=store) as temporary,
            ):
                archive.unpack(Path(temporary))
                return _Import(archive, Path(temporary), logs).done()
        except LogDirectoryError:
            raise
        except GitError as error:
            raise LogDirectoryError(f"the runs of {path} cannot be added to {logs}: {error}") from error
        except OSError as error:
            reason = f"{error.strerror or error}: {error.filename or path}"
            raise LogDirectoryError(f"the runs of {path} cannot be added to {logs}: {reason}") from error


class _Import:
    """An archive that has been unpacked, and is being added to a log directory."""

    def __init__(self, archive: RunArchive, source: Path, logs: Path) -> None:
        self._archive = archive
        self._source = source
        self._logs = logs
        self._brought = Brought()

    def done(self) -> Brought:
        runs = [(run, raw_info(run)) for run in run_directories(self._source)]
        runs = [(run, info) for run, info in runs if self._has_run(run, info)]
        self._merge_store()
        for run, info in runs:
            known = self._known(run, info)
            if known is not None:
                self._brought.known[run.log_id] = known
        for run, _ in runs:
            if run.log_id not in self._brought.known:
                self._brought.new[run.log_id] = take_log_id(self._logs)
        ids = {**self._brought.known, **self._brought.new}
        for run, info in runs:
            if run.log_id in self._brought.new:
                self._add(run, info, ids)
        return self._brought

    def _has_run(self, run: RunDirectory, info: Mapping[str, Any]) -> bool:
        if info or run.metrics.is_dir():
            return True
        self._brought.problems.append(f"run {run.log_id} has not been run")
        return False

    def _merge_store(self) -> None:
        source, store = self._source / STORE_DIR, self._logs / STORE_DIR
        with adding_to(store):
            self._merge(source, store)

    def _merge(self, source: Path, store: Path) -> None:
        (store / ENVIRONMENTS).mkdir(exist_ok=True)
        for file in (source / ENVIRONMENTS).glob("*.yaml"):
            if not (store / ENVIRONMENTS / file.name).exists():
                shutil.move(file, store / ENVIRONMENTS / file.name)
        if (source / "objects").is_dir():
            for state in take_in(source, store):
                self._brought.problems.append(f"the code of state {state[:12]} is damaged, or not whole")

    def _known(self, run: RunDirectory, info: Mapping[str, Any]) -> int | None:
        """Return the id that a run has here already; None if it is new."""
        identity = identity_of(run, info)
        log_id, digest = noted(self._logs, identity) or (mapping_at(info, ORIGIN).get("log_id") or run.log_id, "")
        if not is_there(self._logs, log_id, identity):
            return None
        if digest.isalnum() and digest != self._digest(run):  # what came from another tool has one of another kind
            self._brought.changed.append(run.log_id)
        return int(log_id)

    def _digest(self, run: RunDirectory) -> str:
        """Return what distinguishes the content of a run in the archive from any other."""
        members = self._archive.members.items()
        listed = sorted((name, one.CRC, one.file_size) for name, one in members if name.startswith(f"{run.log_id}/"))
        return hashlib.sha256(repr(listed).encode(errors="surrogatepass")).hexdigest()[:20]

    def _add(self, run: RunDirectory, info: dict[str, Any], ids: Mapping[int, int]) -> None:
        identity, log_id = identity_of(run, info), ids[run.log_id]
        content = self._imported_info(run, info, ids)
        for name in OF_JOBS:
            path = run.metadata / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        write_yaml(run.info_file, content)
        if LOGS.encode() in (config := run.config_file.read_bytes() if run.config_file.is_file() else b""):
            write_atomically(run.config_file, with_ids(config.decode(errors="replace"), ids))
        note(self._logs, identity, log_id, self._digest(run))
        run.path.rename(self._logs / str(log_id))

    def _imported_info(self, run: RunDirectory, info: dict[str, Any], ids: Mapping[int, int]) -> dict[str, Any]:
        status, reason = outcome(run.info(), run.submission())
        parents = info.get("parents") if isinstance(info.get("parents"), list) else []
        mapped = [ids.get(_number(str(parent).removeprefix("../"))) for parent in parents or []]
        origin = {"run": identity_of(run, info), "log_id": mapping_at(info, ORIGIN).get("log_id") or run.log_id}
        content = {
            **info,
            # Nothing goes on here, and nobody can be asked.
            "status": str(Status.LOST if status is None or not status.is_final else status),
            "logger": {**mapping_at(info, "logger"), **places_of(ids[run.log_id], self._logs.name)},
            "parents": [f"../{parent}" for parent in mapped if parent is not None],
            "rerun_of": ids.get(_number(str(info.get("rerun_of")))),
            "overrides": [with_ids(str(one), ids) for one in info.get("overrides") or ()],
            ORIGIN: {**origin, "archive": self._archive.path.name},
        }
        if reason:
            content["exit"] = {**mapping_at(info, "exit"), "reason": reason}
        return {**content, **self._places(info)}

    def _places(self, info: Mapping[str, Any]) -> dict[str, Any]:
        """Return where the project of a run would be, which must not be mistaken for another one beside the logs."""
        own = f"{_PROJECTS}/{self._archive.address[:12]}"
        code, work_dir = mapping_at(info, "code"), str(info.get("work_dir") or "")
        if not str(code.get("top")).startswith("../"):
            return {}
        top = f"{own}/{str(code['top']).removeprefix('../')}"
        return {"code": {**code, "top": top}, "work_dir": f"{own}/{work_dir.removeprefix('../')}"}


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1
