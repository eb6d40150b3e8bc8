"""Version managers choose the copy of the code that a run is executed from.

GitVM comes with MLXP. Your own is a subclass of VersionManager; name it in the setting ``mlxp.version_manager.name``.
"""

import abc
import contextlib
import functools
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from mlxp.errors import MLXPError
from mlxp.printing import show
from mlxp.programs import run_program
from mlxp.run_directory.layout import is_written_by_runs

__all__ = ["GitVM", "VersionManager"]

_SECONDS = 3600.0
"""How long git may take; a clone of a large repository to a slow disk takes many minutes."""

_SHOWN = 20
"""The largest number of file names that is shown."""


class VersionManager(abc.ABC):
    """Chooses the directory that a run is executed in; subclasses are created with their options from the settings.

    Attributes
    ----------
    interactive_mode
        The setting of that name: whether questions may be asked, if a terminal is attached.
    """

    interactive_mode: bool = False

    @abc.abstractmethod
    def make_working_directory(self) -> str:
        """Return the directory to execute the run in, after creating it if needed."""

    @abc.abstractmethod
    def get_info(self) -> dict[str, Any]:
        """Return what info.yaml says about the version of the code."""


class GitVM(VersionManager):
    """Executes tasks in a copy of the git repository at its latest commit.

    From then on, relative paths lead into the copy, and modules are imported from it. Modules that the program imported
    before it called the task are not the copy's.

    The copy is made once per commit, in ``<parent_work_dir>/<repository>/<commit>``. With ``interactive_mode`` and a
    terminal, it asks once per program whether to add untracked files and to commit changes; otherwise it warns that
    they are not part of the copy. Files that MLXP itself writes do not count.

    Parameters
    ----------
    parent_work_dir
        Where the copies go.
    compute_requirements
        If true, the versions of the installed packages are recorded, or those in the repository's
        ``requirements.txt`` if there is one.
    """

    def __init__(self, parent_work_dir: str, compute_requirements: bool = False) -> None:
        super().__init__()
        self.parent_work_dir = Path(os.path.abspath(parent_work_dir))  # noqa: PTH100 - follow no symbolic links
        self.compute_requirements = compute_requirements
        self.repo_path: str | None = None
        self.commit_hash: str | None = None
        self.requirements: list[str] = ["UNKNOWN"]

    def make_working_directory(self) -> str:
        """Return the directory inside the copy that corresponds to the current one, after making the copy if needed.

        Raises
        ------
        MLXPError
            If the current directory is in no git repository, or if git fails.
        """
        current = Path.cwd()
        repository = Path(_git("rev-parse", "--show-toplevel", directory=current))
        _offer_to_commit(repository, self.parent_work_dir, self.interactive_mode and _has_terminal())
        self.repo_path = str(repository)
        self.commit_hash = _git("rev-parse", "HEAD", directory=repository)
        copy = self.parent_work_dir / repository.name / self.commit_hash
        if not copy.is_dir():
            _clone(repository, self.commit_hash, copy)
        if self.compute_requirements:
            self.requirements = _requirements(copy)
        return str(copy / current.resolve().relative_to(repository.resolve()))

    def get_info(self) -> dict[str, Any]:
        """Return ``requirements``, ``commit_hash`` and ``repo_path``."""
        return {"requirements": self.requirements, "commit_hash": self.commit_hash, "repo_path": self.repo_path}


def _git(*arguments: str, directory: Path) -> str:
    if shutil.which("git") is None:
        raise MLXPError("the version manager GitVM needs the program git, which is not installed")
    answer = run_program(["git", *arguments], seconds=_SECONDS, directory=directory)
    if answer.code:
        raise MLXPError(
            f"git {' '.join(arguments)} failed in {directory}: {answer.complaint}; "
            "the version manager GitVM needs a git repository with a commit"
        )
    return answer.output.strip()


def _clone(repository: Path, commit: str, copy: Path) -> None:
    # Several runs may start at once: each makes a clone of its own, and the first to rename its clone wins.
    copy.parent.mkdir(parents=True, exist_ok=True)
    temporary = tempfile.mkdtemp(prefix=".cloning-", dir=copy.parent)
    try:
        _git("clone", "--quiet", "--no-checkout", str(repository), temporary, directory=repository)
        _git("checkout", "--quiet", "--detach", commit, directory=Path(temporary))
        with contextlib.suppress(FileExistsError, OSError):
            Path(temporary).rename(copy)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    if not copy.is_dir():
        raise MLXPError(f"cannot copy the code to {copy}")


def _requirements(copy: Path) -> list[str]:
    file = copy / "requirements.txt"
    if file.is_file():
        return file.read_text(encoding="utf-8").splitlines()
    import importlib.metadata

    installed = {(dist.name, dist.version) for dist in importlib.metadata.distributions()}
    return sorted(f"{name}=={version}" for name, version in installed)


def _has_terminal() -> bool:
    return all(stream is not None and not stream.closed and stream.isatty() for stream in (sys.stdin, sys.stdout))


_READ_BEFORE = "The program goes on with what it has read here: its configuration and the modules it has imported."


@functools.cache  # asked, or warned, once per program
def _offer_to_commit(repository: Path, work_dirs: Path, may_ask: bool) -> None:
    untracked = _untracked(repository, work_dirs)
    if untracked:
        _say("Untracked files, which the copy of the code does not have:", repository, untracked)
        if may_ask:
            added = [name.strip() for name in input("Files to add, separated by commas (Enter for none): ").split(",")]
            if any(added):
                _git("add", "--", *filter(None, added), directory=repository)
    changed = _names(_git("diff", "--name-only", "-z", "HEAD", directory=repository))
    if changed:
        _say("Uncommitted changes, which the copy of the code does not have:", repository, changed)
        if may_ask and input("Commit them now? (y/n): ").strip().lower().startswith("y"):
            _git(
                "commit", "--quiet", "--all", "-m", "Commit before running experiments with MLXP", directory=repository
            )
            return
    if untracked or changed:
        show(_READ_BEFORE, "stderr")


def _names(answer: str) -> list[str]:
    return [name for name in answer.split("\0") if name]


def _untracked(repository: Path, work_dirs: Path) -> list[str]:
    """Return the untracked files, and the folders that hold nothing else; what MLXP itself writes is left out."""
    found = _names(_git("ls-files", "-z", "--others", "--exclude-standard", "--directory", directory=repository))
    return [name for name in found if not _is_output(repository, Path(name), work_dirs)]


def _is_output(repository: Path, name: Path, work_dirs: Path) -> bool:
    paths = [repository / one for one in (name, *name.parents) if one.name]
    return work_dirs in paths or any(map(is_written_by_runs, paths))


def _say(title: str, repository: Path, names: list[str]) -> None:
    imported = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    shown = [f"{name} (imported already)" if str(repository / name) in imported else name for name in names[:_SHOWN]]
    more = [f"… and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    show("\n  ".join([title, *shown, *more]), "stderr")
