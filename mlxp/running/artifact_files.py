"""The files of a run's artifacts: how one is saved and replaces the previous one safely, whatever happens meanwhile.

An artifact is saved in a folder of its own beside the others, and synced to the disk, before it gets its name. What a
killed process leaves in such a folder is enough to finish or undo the save: see `ArtifactFiles.repair`.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mlxp.errors import InvalidArtifactError, InvalidKeyError, LogDirectoryError, MLXPError
from mlxp.run_directory.artifact_places import (
    PLACE,
    PREVIOUS,
    SAVING,
    artifact_path,
    note_place,
    place_of,
    target_of,
)
from mlxp.run_directory.artifact_types import ArtifactType, prepare
from mlxp.run_directory.files import is_writable_text, read_mapping, sync_folder, write_yaml
from mlxp.run_directory.layout import RunDirectory
from mlxp.run_directory.liveness import process_exists
from mlxp.running.forks import Locked, no_fork
from mlxp.running.keys_file import KeysFile

_under_way: set[Path] = set()
"""The folders in which this process is saving artifacts right now."""


class ArtifactFiles(Locked):
    """The artifacts of one run, as the run itself sees and writes them."""

    def __init__(self, run: RunDirectory) -> None:
        super().__init__()
        self.run = run
        self._names = KeysFile(run.artifacts_keys_file)

    def save(self, functions: ArtifactType, artifact: object, artifact_type: str, name: PurePosixPath) -> None:
        """Save an artifact, replacing any of that name.

        Raises
        ------
        InvalidArtifactError
            If the object cannot be saved, or if the name is that of a folder of other artifacts.
        LogDirectoryError
            If the file cannot be written; the previous artifact is then still there.
        """
        try:
            with no_fork:
                prepare(artifact_type)
            with _saving_folder(self.run.artifacts) as folder:
                functions.save(artifact, os.path.join(folder, name.name))  # noqa: PTH118 - they have always got a str
                saved = _only_file(folder, name)
                _sync(saved)
                with self.lock:
                    self._put(saved, artifact_type, name)
        except LogDirectoryError:
            raise
        except OSError as error:
            if error.errno is None or isinstance(error, MLXPError):  # a library says that it cannot save this
                raise InvalidArtifactError(f"cannot save the artifact {name}: {error}") from error
            raise LogDirectoryError(f"cannot save the artifact {name} in {self.run.path}: {error}") from error

    def _put(self, saved: Path, artifact_type: str, name: PurePosixPath) -> None:
        target = self.run.artifact(artifact_type, str(name))
        self._refuse_other_artifacts(saved, artifact_type, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        note_place(saved.parent, artifact_type, str(name))
        if target.exists() and (target.is_dir() or saved.is_dir()):
            _sync(saved.parent / PLACE)  # without it, a power cut now would leave an artifact that nobody finds
            sync_folder(saved.parent)
            target.rename(saved.parent / PREVIOUS)
            saved.rename(target)
            sync_folder(target.parent)
        else:
            saved.replace(target)
        self._names.add((artifact_type, _folder(name)), [name.name])

    def _refuse_other_artifacts(self, saved: Path, artifact_type: str, name: PurePosixPath) -> None:
        """Raise if an artifact of that name would remove others, or lie inside another."""
        listed = _Listed(self._names.read().get(artifact_type, {}))
        target = self.run.artifact(artifact_type, str(name))
        if target.is_dir() and (listed.any_in(name) or (saved.is_file() and not listed.has(name))):
            raise InvalidArtifactError(f"{target} is a folder of other artifacts; choose another name")
        for parent in name.parents:
            is_artifact = listed.has(parent) and not listed.any_in(parent)
            if is_artifact and self.run.artifact(artifact_type, str(parent)).exists():
                raise InvalidArtifactError(f"{parent} is an artifact, which cannot hold {name}; choose another name")

    def find(self, artifact_type: str, artifact_name: str) -> Path:
        """Return the path of an artifact.

        Raises
        ------
        FileNotFoundError
            If there is no such artifact.
        """
        path = self._existing(artifact_type, artifact_name)
        if path is None:
            raise FileNotFoundError(f"there is no artifact {artifact_name} of type {artifact_type} in {self.run.path}")
        return path

    def _existing(self, artifact_type: str, artifact_name: str) -> Path | None:
        # Programs for MLXP 1 load a checkpoint by the name that they gave it, which had no suffix.
        names = [artifact_name, with_suffix(artifact_name)] if artifact_type == "pickle" else [artifact_name]
        paths = (artifact_path(self.run, artifact_type, name) for name in names)
        return next((path for path in paths if path.exists()), None)

    def type_of(self, artifact_name: str) -> str:
        """Return the one type that has an artifact of that name.

        Raises
        ------
        FileNotFoundError
            If no type has one.
        InvalidArtifactError
            If several types have one.
        """
        types = [folder.name for folder in self.run.artifacts.glob("[!.]*")]
        found = [name for name in types if self._existing(name, artifact_name) is not None]
        if not found:
            raise FileNotFoundError(f"there is no artifact {artifact_name} in {self.run.path}")
        if len(found) > 1:
            raise InvalidArtifactError(
                f"{' and '.join(sorted(found))} have an artifact {artifact_name} in {self.run.path}; "
                "give the artifact_type"
            )
        return found[0]

    def record_type(self, name: str, record: dict[str, str | None]) -> None:
        """Record how another program finds the functions that save and load artifacts of a type."""
        file = self.run.artifact_types_file
        with self.lock:
            file.parent.mkdir(exist_ok=True)
            write_yaml(file, {**read_mapping(file), name: record})

    def repair(self) -> None:
        """Finish or undo what an attempt of the run left behind when it was killed while saving."""
        for folder in self.run.artifacts.glob(f"{SAVING}*"):
            if not _belongs_to_living(folder):
                with contextlib.suppress(OSError):  # the next attempt tries again, and readers look in here meanwhile
                    self._repair(folder)

    def _repair(self, folder: Path) -> None:
        _put_back(folder)
        place = place_of(folder)
        if place is not None and self.run.artifact(*place).exists():
            artifact_type, name = place[0], PurePosixPath(place[1])
            self._names.add((artifact_type, _folder(name)), [name.name])
        _remove(folder)


class _Listed:
    """The names of the artifacts of one type that a run has saved."""

    def __init__(self, names_by_folder: dict[str, dict[str, None]]) -> None:
        self._names = names_by_folder

    def has(self, name: PurePosixPath) -> bool:
        return name.name in self._names.get(_folder(name), {})

    def any_in(self, name: PurePosixPath) -> bool:
        return any(folder == str(name) or folder.startswith(f"{name}/") for folder in self._names)


def _folder(name: PurePosixPath) -> str:
    return "" if name.parent == PurePosixPath() else str(name.parent)


def checked_artifact_name(name: str) -> PurePosixPath:
    """Return the name of an artifact; its folders may be separated as on any operating system.

    Raises
    ------
    InvalidKeyError
        If the name leaves the folder of the artifacts, or has hidden parts.
    """
    parts = re.split(r"[/\\]", name) if isinstance(name, str) else [""]
    if any(part in ("", ".", "..") or part.startswith(".") or "\0" in part or part.endswith(":") for part in parts):
        raise InvalidKeyError(
            f"the name of an artifact is a relative path inside its folder, without hidden parts, not {name!r}"
        )
    if not is_writable_text(name):
        raise InvalidKeyError(f"the name of an artifact is a text that UTF-8 can hold, not {name!r}")
    return PurePosixPath(*parts)


def _only_file(folder: Path, name: PurePosixPath) -> Path:
    # Save functions may append their own suffix to the name they were given; the artifact keeps the name asked for.
    found = list(folder.iterdir())
    if len(found) != 1:
        names = ", ".join(sorted(path.name for path in found)) or "nothing"
        raise InvalidArtifactError(f"saving the artifact {name} must write one file or folder; it wrote {names}")
    return found[0]


# --- checkpoints, which are artifacts of type pickle -----------------------------------------------------------------


def with_suffix(log_name: str) -> str:
    """Return the name of the artifact that holds a checkpoint."""
    return log_name if log_name.endswith(".pkl") else f"{log_name}.pkl"


def checkpoint_path(run: RunDirectory, log_name: str | None) -> Path:
    """Return the file of a checkpoint; without a name, the one of the usual name, or else the only one.

    Raises
    ------
    FileNotFoundError
        If there is no such checkpoint.
    InvalidArtifactError
        If it is not clear which one is meant.
    """
    name = str(checked_artifact_name(log_name or "checkpoint"))
    folders = (run.artifacts / "pickle", run.path, run.artifacts)
    # MLXP 1 saved checkpoints without the suffix, and in other places.
    places = [folder / place for folder in folders for place in (with_suffix(name), name)]
    found = next((place for place in places if place.is_file()), None)
    if found is not None:
        return found
    others = _checkpoints(run.artifacts / "pickle") or _checkpoints(run.path, "*.pkl")
    if log_name is None and len(others) == 1:
        return next(iter(others.values()))
    there_are = f"; there are: {', '.join(others)}" if others else ""
    if log_name is None and others:
        raise InvalidArtifactError(f"there are several checkpoints in {run.path}; name one of {', '.join(others)}")
    raise FileNotFoundError(f"there is no checkpoint {name} in {run.path}{there_are}")


def _checkpoints(folder: Path, pattern: str = "**/*") -> dict[str, Path]:
    files = [file for file in sorted(folder.glob(pattern)) if file.is_file() and not file.name.startswith(".")]
    return {file.relative_to(folder).as_posix().removesuffix(".pkl"): file for file in files}


# --- the folder in which an artifact is being saved ------------------------------------------------------------------


@contextlib.contextmanager
def _saving_folder(artifacts: Path) -> Iterator[Path]:
    """Make a folder to save one artifact in; afterwards, remove it and put back in place what was set aside."""
    folder = artifacts / f"{SAVING}{os.getpid()}-{os.urandom(6).hex()}"
    _under_way.add(folder)
    try:
        folder.mkdir()
        try:
            yield folder
        finally:
            _put_back(folder)
            _remove(folder)
    finally:
        _under_way.discard(folder)


def _put_back(folder: Path) -> None:
    """Put what was set aside back in its place, if the place is still empty."""
    if (folder / PREVIOUS).exists():
        target = target_of(folder)
        if target is not None and not target.exists():
            (folder / PREVIOUS).rename(target)


def _remove(folder: Path) -> None:
    if (folder / PREVIOUS).exists() and target_of(folder) is None:
        return  # nobody knows whether this is the only copy
    for entry in sorted(folder.iterdir(), key=lambda path: path.name == PLACE):  # last what tells of the others
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    folder.rmdir()


def _belongs_to_living(folder: Path) -> bool:
    """Tell whether a living process of this computer is saving in `folder`; other computers cannot be asked."""
    process_id = folder.name.removeprefix(SAVING).partition("-")[0]
    is_other = process_id.isdigit() and int(process_id) != os.getpid()
    return process_exists(int(process_id)) is True if is_other else folder in _under_way


def _sync(path: Path) -> None:
    """Sync a file, or a folder with everything in it, to the disk before this returns."""
    if path.is_symlink():
        return
    if path.is_dir():
        for entry in path.iterdir():
            _sync(entry)
        sync_folder(path)
    elif path.is_file():
        _fsync(path)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
