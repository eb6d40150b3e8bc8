"""Where a run's artifacts are at any moment, even while one replaces another, or after a crash in between.

A file replaces another at once. A folder cannot: the previous one is set aside for a moment, in the folder in which the
new one was saved. Whoever looks for an artifact finds it there as long as its place is empty.
"""

from pathlib import Path

from mlxp.run_directory.layout import RunDirectory

SAVING = ".saving-"
"""Prefix of the name of a folder in which an artifact is being saved."""

PLACE = ".place"
"""File in such a folder that names the type and the name of the artifact, once it is complete."""

PREVIOUS = ".previous"
"""Name of what was set aside in such a folder."""


def artifact_path(run: RunDirectory, artifact_type: str, name: str) -> Path:
    """Return the path of an artifact; if there is none, the path of its place.

    Examples
    --------
    >>> artifact_path(RunDirectory(Path("logs/7")), "pickle", "last_ckpt.pkl").as_posix()
    'logs/7/artifacts/pickle/last_ckpt.pkl'
    """
    path = run.artifact(artifact_type, name)
    if path.exists():
        return path
    set_aside = (folder / PREVIOUS for folder in run.artifacts.glob(f"{SAVING}*") if target_of(folder) == path)
    return next((previous for previous in set_aside if previous.exists()), path)


def note_place(folder: Path, artifact_type: str, name: str) -> None:
    """Record in `folder` which artifact was saved there."""
    (folder / PLACE).write_bytes(f"{artifact_type}/{name}".encode("utf-8", "surrogateescape"))


def place_of(folder: Path) -> tuple[str, str] | None:
    """Return the type and the name of the artifact that was saved in `folder`; None if none was complete."""
    try:
        place = (folder / PLACE).read_bytes().decode("utf-8", "surrogateescape")
    except OSError:
        return None
    artifact_type, _, name = place.partition("/")
    return (artifact_type, name) if name else None


def target_of(folder: Path) -> Path | None:
    """Return the path that the artifact saved in `folder` has, or was about to have; None if none was complete."""
    place = place_of(folder)
    return RunDirectory(folder.parents[1]).artifact(*place) if place else None
