"""The files of a run's artifacts: their names, and how one takes the place of the previous one."""

import os
import re
from pathlib import Path, PurePosixPath

from mlxp.errors import InvalidArtifactError, InvalidKeyError
from mlxp.run_directory.layout import RunDirectory

SAVING = ".saving-"
"""Beginning of the name of a folder in which an artifact is being saved."""


def checked_artifact_name(name: str) -> PurePosixPath:
    """Return the name of an artifact, whose folders may be separated as on any system.

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
    return PurePosixPath(*parts)


def only_file(folder: str, artifact_name: str) -> Path:
    """Return what a save function has written into a folder of its own: one file, or one folder."""
    # Save functions may append their own suffix to the name they were given; the artifact keeps the name asked for.
    found = list(Path(folder).iterdir())
    if len(found) != 1:
        names = ", ".join(sorted(path.name for path in found)) or "nothing"
        raise InvalidArtifactError(
            f"saving the artifact {artifact_name} must write one file or folder; it wrote {names}"
        )
    return found[0]


def move(source: Path, target: Path) -> None:
    """Put a saved artifact in its place, where a previous one may be."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_file():
        with source.open("rb+") as file:
            os.fsync(file.fileno())  # else a power cut may leave neither the new artifact nor the previous one
    elif target.is_dir():
        target.replace(source.parent / ".previous")  # deleted with the temporary folder
    if target.is_dir():
        raise InvalidArtifactError(f"{target} is a folder of other artifacts; choose another name")
    source.replace(target)


def type_of(run: RunDirectory, name: str) -> str:
    """Return the one type that has an artifact of that name.

    Raises
    ------
    FileNotFoundError
        If no type has one.
    InvalidArtifactError
        If several types have one.
    """
    types = [folder.name for folder in run.artifacts.glob("[!.]*") if (folder / name).exists()]
    if not types:
        raise FileNotFoundError(f"there is no artifact {name} in {run.path}")
    if len(types) > 1:
        raise InvalidArtifactError(
            f"{' and '.join(sorted(types))} have an artifact {name} in {run.path}; give the artifact_type"
        )
    return types[0]
