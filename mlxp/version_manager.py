"""Version managers choose the copy of the code that a run is executed from.

GitVM comes with MLXP. Your own is a subclass of VersionManager; name it in the setting ``mlxp.version_manager.name``.
"""

import abc
import functools
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlxp.errors import InvalidConfigFileError, MLXPError
from mlxp.printing import show
from mlxp.programs import run_program
from mlxp.run_directory.layout import STORE_DIR, is_written_by_runs
from mlxp.running.code_state import top_of, untracked
from mlxp.running.copies import DIRTY, Copy, captured, copy_of, refuse_changes
from mlxp.running.private_git import GitError

__all__ = ["GitVM", "VersionManager"]

_SECONDS = 3600.0
"""How long git may take to commit; hooks of the user's run then."""

_SHOWN = 20
"""The largest number of file names that is shown."""


class VersionManager(abc.ABC):
    """Chooses the directory in which a run is executed; the settings provide the options of subclasses.

    Attributes
    ----------
    interactive_mode
        The setting of that name: whether questions may be asked, if a terminal is attached.
    directory
        The directory of the file that defines the task; None if that is unknown.
    code
        A complete copy of the code, after `make_working_directory`: ``top`` is the copied directory and ``copy`` its
        copy. The program then restarts inside the copy. None if only the task should be executed in another directory.
    """

    interactive_mode: bool = False
    directory: Path | None = None
    code: dict[str, Any] | None = None

    @abc.abstractmethod
    def make_working_directory(self) -> str:
        """Return the directory to execute the run in, after creating it if needed."""

    @abc.abstractmethod
    def get_info(self) -> dict[str, Any]:
        """Return what info.yaml says about the version of the code."""


class GitVM(VersionManager):
    """Executes programs in a copy of their git repository.

    The program restarts inside the copy. The script itself, the modules of the repository that it imports, and its
    configuration then come from the copy, and relative paths lead there.

    The copy is made once per state of the code: in ``<parent_work_dir>/<repository>/<commit>`` if nothing differs from
    the commit, and beside it otherwise. With ``interactive_mode`` and a terminal, it asks once per program whether to
    add untracked files and to commit changes. Files that MLXP itself writes do not count.

    Parameters
    ----------
    parent_work_dir
        Where the copies go.
    compute_requirements
        If true, the versions of the installed packages are recorded, or those in the repository's
        ``requirements.txt`` if there is one.
    dirty
        How to treat uncommitted changes and untracked files: ``include`` makes them part of the copy, ``leave`` copies
        only committed code, and ``refuse`` raises an error that names them.
    """

    def __init__(self, parent_work_dir: str, compute_requirements: bool = False, dirty: str = "include") -> None:
        super().__init__()
        if dirty not in DIRTY:
            raise InvalidConfigFileError(
                f"the setting mlxp.version_manager.dirty is one of {', '.join(DIRTY)}, not {dirty!r}"
            )
        self.parent_work_dir = Path(os.path.abspath(parent_work_dir))  # noqa: PTH100 - follow no symbolic links
        self.compute_requirements = compute_requirements
        self.dirty = dirty
        self.repo_path: str | None = None
        self.commit_hash: str | None = None
        self.requirements: list[str] = ["UNKNOWN"]
        self.changes: list[str] = []

    def make_working_directory(self) -> str:
        """Return the directory inside the copy that corresponds to the current one, after making the copy if needed.

        Raises
        ------
        MLXPError
            If the program is not in a git repository with a commit, if git fails, or if there are changes that `dirty`
            refuses.
        """
        if shutil.which("git") is None:
            raise MLXPError("the version manager GitVM needs the program git, which is not installed")
        top = top_of(self.directory or Path.cwd())
        store = self.parent_work_dir / STORE_DIR
        new = _untracked(top)
        excluded = [self.parent_work_dir, *(top / name for name in new if _is_output(top, Path(name)))]
        others = tuple(name for name in new if not any((top / name).is_relative_to(path) for path in excluded))
        state = captured(top, store, excluded, self.dirty)
        if state.commit is None:
            raise MLXPError(f"{top} has no commit; the version manager GitVM needs a git repository with a commit")
        may_ask = self.interactive_mode and _has_terminal()
        if _is_changed_by_answers(top, others, state.changed, self.dirty, may_ask):
            state = captured(top, store, excluded, self.dirty)
        refuse_changes(state, self.dirty)
        changes = [*state.changed, *state.untracked] if self.dirty == "include" else []
        self.repo_path, self.commit_hash, self.changes = str(top), state.commit, sorted(changes)
        name = f"{state.commit}-{state.tree[:12]}" if changes else str(state.commit)
        copy = copy_of(store, state, excluded, self.parent_work_dir / top.name / name)
        self.code = {**state.facts(), "copy": str(copy), "store": str(store)}
        if self.compute_requirements:
            self.requirements = _requirements(copy)
        return Copy(top, copy).directory(str(Path.cwd()))

    def get_info(self) -> dict[str, Any]:
        """Return ``requirements``, ``commit_hash``, ``repo_path``, and the ``changes`` in the copy if there are any."""
        info = {"requirements": self.requirements, "commit_hash": self.commit_hash, "repo_path": self.repo_path}
        return {**info, "changes": self.changes} if self.changes else info


def _untracked(top: Path) -> list[str]:
    try:
        return untracked(top)
    except GitError as error:
        raise MLXPError(f"the version manager GitVM cannot read {top}: {error}") from error


def _is_output(top: Path, name: Path) -> bool:
    return any(is_written_by_runs(top / one) for one in (name, *name.parents) if one.name)


def _requirements(copy: Path) -> list[str]:
    file = copy / "requirements.txt"
    if file.is_file():
        return file.read_text(encoding="utf-8").splitlines()
    import importlib.metadata

    installed = {(dist.name, dist.version) for dist in importlib.metadata.distributions()}
    return sorted(f"{name}=={version}" for name, version in installed)


def _has_terminal() -> bool:
    return all(stream is not None and not stream.closed and stream.isatty() for stream in (sys.stdin, sys.stdout))


_WHAT = {
    "include": "which are part of the copy of the code",
    "leave": "which the copy of the code does not have",
    "refuse": "which are refused",
}
_INSTEAD = {
    "include": "mlxp.version_manager.dirty=leave copies the code as it was committed.",
    "leave": "mlxp.version_manager.dirty=include makes them part of the copy.",
    "refuse": "mlxp.version_manager.dirty=include makes them part of the copy.",
}


@functools.cache  # asked, or told, once per program
def _is_changed_by_answers(
    top: Path, new: tuple[str, ...], changed: tuple[str, ...], dirty: str, may_ask: bool
) -> bool:
    """Tell what differs from the commit, ask what to do about it, and return whether git did something."""
    did = False
    if new:
        _say(f"Untracked files, {_WHAT[dirty]}:", new)
        if may_ask:
            added = [name.strip() for name in input("Files to add, separated by commas (Enter for none): ").split(",")]
            if any(added):
                _git("add", "--", *filter(None, added), directory=top)
                changed, did = (*changed, *filter(None, added)), True
    if changed:
        _say(f"Uncommitted changes, {_WHAT[dirty]}:", changed)
        if may_ask and input("Commit them now? (y/n): ").strip().lower().startswith("y"):
            _git("commit", "--quiet", "--all", "-m", "Commit before running experiments with MLXP", directory=top)
            return True
    if new or changed:
        show(_INSTEAD[dirty], "stderr")
    return did


def _say(title: str, names: Sequence[str]) -> None:
    more = [f"… and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    show("\n  ".join([title, *names[:_SHOWN], *more]), "stderr")


def _git(*arguments: str, directory: Path) -> str:
    """Run git as the user would, with the user's own settings and hooks."""
    answer = run_program(["git", *arguments], seconds=_SECONDS, directory=directory)
    if answer.code:
        raise MLXPError(f"git {' '.join(arguments)} failed in {directory}: {answer.complaint}")
    return answer.output.strip()
