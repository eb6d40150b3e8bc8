"""Writes runs, and all that they were made from, into one zip file that others can read, check and do again.

The same runs give the same bytes: entries are in a fixed order and have a fixed time. Files are streamed, and the zip
file is written beside its place and then renamed.
"""

import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from mlxp.errors import LogDirectoryError
from mlxp.reproduction.crate import crate_of
from mlxp.reproduction.exported_run import (
    PROJECT,
    ExportedRun,
    exported_info,
    exported_package,
    mapping_at,
    places_at,
    relative_places,
)
from mlxp.reproduction.exported_text import readme, requirements
from mlxp.reproduction.names import Names, names_in
from mlxp.reproduction.store import missing_states, packed, reading_git
from mlxp.run_directory.files import read_mapping, to_yaml
from mlxp.run_directory.layout import STORE_DIR
from mlxp.running.environment import ENVIRONMENTS
from mlxp.running.private_git import ANY, GitError
from mlxp.running.state_store import TREES

_TIME: Final = (1980, 1, 1, 0, 0, 0)  # the first that a zip file can have
_COMPRESSED_UP_TO: Final = 1_000_000
"""Larger artifacts are stored as they are: weights hardly become smaller, and it takes long."""

_PIECE: Final = 2**20
_CONFIGURATIONS: Final = ("metadata/config.yaml", "metadata/mlxp.yaml", "artifacts/.keys/custom_types.yaml")
_TEXTS: Final = ("metadata/", "script.sh", "log.stdout", "log.stderr")


@dataclass
class Told:
    """What whoever exports should know.

    Attributes
    ----------
    left_out
        Files that are not in the export.
    names
        Names that are still in it, and in which files.
    """

    left_out: list[str] = field(default_factory=list)
    names: dict[str, list[str]] = field(default_factory=dict)


def export(runs: Sequence[ExportedRun], target: Path, names: Names | None, *, artifacts: bool = True) -> Told:
    """Write some runs to a zip file.

    Parameters
    ----------
    runs
        The runs, with all that they were made from.
    target
        The zip file; it replaces one that is there.
    names
        What is to be taken out; None to leave all as it is.
    artifacts
        Whether to take the artifacts along.

    Raises
    ------
    LogDirectoryError
        If it cannot be written, or if a file of the runs cannot be read.
    """
    runs = sorted(runs, key=lambda run: run.log_id)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as temporary:
            file = Path(temporary, "export.zip")
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as opened:
                told = _Export(opened, runs, names, artifacts=artifacts).written(Path(temporary))
            file.chmod(0o666 & ~_umask())
            file.replace(target)
    except OSError as error:
        about = f": {error.filename}" if error.filename else ""
        raise LogDirectoryError(f"cannot write {target}: {error.strerror or error}{about}") from error
    except GitError as error:
        raise LogDirectoryError(f"cannot write {target}: {error}") from error
    return told


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


class _Export:
    """A zip file that is being written."""

    def __init__(
        self, file: zipfile.ZipFile, runs: Sequence[ExportedRun], names: Names | None, *, artifacts: bool
    ) -> None:
        self._file = file
        self._runs = runs
        self._names = names
        self._artifacts = artifacts
        self._told = Told()
        self._ids = {run.directory.path: run.log_id for run in runs}
        tops = dict.fromkeys(run.top for run in runs if run.top)
        self._projects = {top: PROJECT if at == 0 else f"{PROJECT}-{at + 1}" for at, top in enumerate(tops)}

    def written(self, folder: Path) -> Told:
        infos = {
            run.log_id: exported_info(run, self._ids, self._names_at(run), self._project(run)) for run in self._runs
        }
        self._write_texts(infos)
        self._write_store(folder)
        for run in self._runs:
            self._write_run(run, infos[run.log_id])
        return self._told

    def _project(self, run: ExportedRun) -> str:
        return self._projects.get(run.top or "", PROJECT)

    def _names_at(self, run: ExportedRun) -> Names | None:
        return self._names.at(places_at(run, self._project(run))) if self._names is not None else None

    def _write_texts(self, infos: Mapping[int, Mapping[str, object]]) -> None:
        self._write("README.md", readme(infos).encode())
        self._write("ro-crate-metadata.json", crate_of(infos).encode())
        for address, run in sorted({run.packages: run for run in self._runs if run.packages}.items()):
            content = read_mapping(run.store / ENVIRONMENTS / f"{address}.yaml")
            if not isinstance(content.get("packages"), list):
                self._told.left_out.append(f"the list of packages {address}, which is not in {run.store}")
                continue
            if (names := self._names_at(run)) is not None:
                listed = [exported_package(str(line), run, names, self._project(run)) for line in content["packages"]]
                content = {**content, "packages": listed}
            self._write(f"logs/{STORE_DIR}/{ENVIRONMENTS}/{address}.yaml", to_yaml(content).encode())
            self._write(f"environments/{address}.txt", requirements(content, run.info).encode())

    def _write_store(self, folder: Path) -> None:
        found: set[str] = set()
        for store in dict.fromkeys(run.store for run in self._runs):
            of_store = [run for run in self._runs if run.store == store and run.state]
            states = {run.state for run in of_store if run.state} - found
            missing = set(missing_states(store, states))
            self._told.left_out += [
                f"the code of state {state[:12]}, which is not whole in {store}" for state in missing
            ]
            found |= states - missing
            commits = (
                {str(mapping_at(run.info, "git").get("commit")) for run in of_store} if self._names is None else ()
            )
            for pack in packed(store, states - missing, folder, commits):
                for suffix in (".idx", ".pack"):
                    path = pack.with_suffix(suffix)
                    with (
                        self._entry(f"logs/{STORE_DIR}/objects/pack/{path.name}", path.stat().st_size) as entry,
                        path.open("rb") as file,
                    ):
                        shutil.copyfileobj(file, entry, _PIECE)
                    path.unlink()
            for state in sorted(states - missing):
                self._look_for_names_in_code(store, state)
                self._write(f"logs/{STORE_DIR}/{TREES}/{state}", b"")

    def _look_for_names_in_code(self, store: Path, state: str) -> None:
        if self._names is None:
            return
        sought = sorted({*self._names.users, *self._names.hosts, *self._names.hidden})
        with reading_git(store, state) as git:
            for word in sought:
                found = git("grep", "-I", "-l", "-z", "-w", "-F", "-e", word, state, accepted=ANY).split("\0")
                for name in sorted(found):
                    if name:
                        self._told.names.setdefault(word, []).append(f"the code: {name.partition(':')[2]}")

    def _write_run(self, run: ExportedRun, info: Mapping[str, object]) -> None:
        self._write(f"logs/{run.log_id}/metadata/info.yaml", to_yaml(info).encode())
        for name, path in run.files():
            if name == "metadata/info.yaml" or (not self._artifacts and name.startswith("artifacts/")):
                continue
            try:
                name.encode()
                is_file = stat.S_ISREG(path.stat().st_mode)
            except (OSError, UnicodeEncodeError):
                is_file = False
            if not is_file:
                self._told.left_out.append(f"run {run.log_id}: {name!r}, which is no file that a zip file can hold")
                continue
            self._write_file(run, name, path)

    def _write_file(self, run: ExportedRun, name: str, path: Path) -> None:
        entry = f"logs/{run.log_id}/{name}"
        names = self._names_at(run)
        if names is not None and name.startswith(_CONFIGURATIONS):
            places = relative_places(run, self._ids, run.started_in)
            self._write(entry, _configuration(path, names, places))
        elif names is not None and name.startswith(_TEXTS):
            plain = names.in_facts if name.startswith("metadata/") else names.in_text
            with self._entry(entry, path.stat().st_size) as target:
                for line in _lines_of(path):
                    self._put(entry, target, plain(line).encode("utf-8", "surrogateescape"))
        else:
            size = path.stat().st_size
            with self._entry(
                entry, size, is_stored=name.startswith("artifacts/") and size > _COMPRESSED_UP_TO
            ) as target:
                for piece in _pieces_of(path):
                    self._put(entry, target, piece)

    def _write(self, name: str, content: bytes) -> None:
        with self._entry(name, len(content)) as entry:
            self._put(name, entry, content)

    def _put(self, name: str, entry: IO[bytes], content: bytes) -> None:
        entry.write(content)
        for word in self._names.found_in(content, is_text=b"\0" not in content) if self._names is not None else ():
            if name not in (listed := self._told.names.setdefault(word, [])):
                listed.append(name)

    def _entry(self, name: str, size: int, *, is_stored: bool = False) -> IO[bytes]:
        info = zipfile.ZipInfo(name, _TIME)
        info.compress_type = zipfile.ZIP_STORED if is_stored else zipfile.ZIP_DEFLATED
        info.external_attr = (stat.S_IFREG | 0o644) << 16
        info.create_system = 3  # Unix, on every system
        return self._file.open(info, "w", force_zip64=size > 2**31 - 2**20)


def _configuration(path: Path, names: Names, places: Mapping[str, str]) -> bytes:
    """Return a configuration without names; as it is, byte for byte, if there are none in it."""
    content = read_mapping(path)
    if not content:
        return names.in_text(path.read_text(encoding="utf-8", errors="surrogateescape")).encode(
            "utf-8", "surrogateescape"
        )
    plain = names.at(places).in_value(content)
    return path.read_bytes() if plain == content else to_yaml(plain).encode()


def _lines_of(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        while line := file.readline(_PIECE):
            yield line


def _pieces_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def names_of(runs: Sequence[ExportedRun], hidden: Sequence[str]) -> Names:
    """Return the names to take out of some runs."""
    about = (
        "info.yaml",
        "attempts.yaml",
        "submission.yaml",
        "ranks/*.yaml",
        "claims/*.yaml",
    )  # what else says hostname means its own
    files = (file for run in runs for name in about for file in run.directory.metadata.glob(name) if file.is_file())
    return names_in((file.read_text(encoding="utf-8", errors="replace") for file in files), hidden)
