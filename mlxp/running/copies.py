"""Copies of the code as it was: one per state, however many runs start from it.

A copy is made beside its place and then renamed, so that it is whole or not there. It is a git repository of its own,
which uses the objects of the store: programs that ask git inside the copy see the code as it was. What the state leaves
out, such as data that git ignores, is reached by links to where it was.
"""

import contextlib
import os
import sys
import tempfile
import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mlxp.errors import MLXPError
from mlxp.run_directory.locks import locked
from mlxp.running.code_state import CodeState, Extent, capture, not_stored, pattern_of
from mlxp.running.private_git import Git, GitError, text, write

COPIES = "copies"
"""The folder of the copies inside the store."""

COPY: Final = "MLXP_COPY"
"""Environment variable that holds the copy that the program is to run in."""

COPY_OF: Final = "MLXP_COPY_OF"
"""Environment variable that holds the directory in whose copy the program is to run."""

DIRTY: Final = {"include": Extent.ALL, "leave": Extent.COMMITTED, "refuse": Extent.ALL}
"""What becomes of uncommitted changes and untracked files in a copy, as the setting of that name says."""

_SHOWN = 5
"""The largest number of file names in a sentence."""

_PATIENCE = 600.0
"""Seconds to wait for another process that makes the same copy; it takes a second for 5,000 files."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of the code.

    Attributes
    ----------
    of
        The directory that was copied.
    path
        Its copy.
    """

    of: Path
    path: Path

    @classmethod
    def known(cls, facts: Any) -> "Copy | None":
        """Return the copy that is named in what is recorded about the code of a run; None if it has none."""
        of, path = (facts.get("top"), facts.get("copy")) if isinstance(facts, dict) else (None, None)
        return cls(Path(of), Path(path)) if isinstance(of, str) and isinstance(path, str) else None

    def holds(self, path: Path) -> bool:
        """Tell whether a path leads into the copy, also through a symbolic link to a directory above it."""
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.path))

    def moved(self, path: str) -> str:
        """Return an absolute path inside the original as the same path inside the copy; anything else as it is."""
        return _moved(path, self.of, self.path, but_not_in=self.path)

    def original(self, path: Path) -> Path:
        """Return a path inside the copy as the same path inside the original; anything else as it is."""
        return Path(_moved(str(path), self.path, self.of))

    def directory(self, path: str) -> str:
        """Return the directory inside the copy that stands for `path`; `path` itself if there is none."""
        moved = self.moved(path)
        return moved if Path(moved).is_dir() or not self.path.exists() else path

    def program(self, word: str, directory: str) -> str:
        """Return the path of a program, given in `directory`, so that it leads into the copy from the moved directory.

        A directory that the copy only links to is outside of it, and so is what lies above it.
        """
        here = os.path.realpath(os.path.join(self.directory(directory), word))  # noqa: PTH118 - `word` may be anything
        if self.holds(Path(here)):
            return word
        moved = self.moved(os.path.abspath(os.path.join(directory, word)))  # noqa: PTH100, PTH118 - not resolved
        return moved if Path(moved).exists() or not self.path.exists() else word

    def variables(self, python_path: Iterable[str]) -> dict[str, str]:
        """Return the variables that make a program run in the copy.

        Parameters
        ----------
        python_path
            Where the program imports the original's modules from.
        """
        moved = [self.moved(entry) for entry in python_path]
        given = [self.moved(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
        return {
            COPY: str(self.path),
            COPY_OF: str(self.of),
            "PYTHONPATH": os.pathsep.join(dict.fromkeys([*moved, *given])),
            **self.variables_of_uv(),
        }

    def variables_of_uv(self) -> dict[str, str]:
        """Return variables that keep uv from turning the linked environment into one of the copy."""
        return {"UV_NO_SYNC": "1", "UV_PROJECT": str(self.of)}


def _moved(path: str, of: Path, to: Path, but_not_in: Path | None = None) -> str:
    if not os.path.isabs(path):  # noqa: PTH117 - any text
        return path
    for spelled, top in ((path, str(of)), (os.path.realpath(path), os.path.realpath(of))):
        one = Path(os.path.normpath(spelled))
        if one.is_relative_to(top) and not (but_not_in and one.is_relative_to(os.path.realpath(but_not_in))):
            return str(to / one.relative_to(top))
    return path


def current_copy() -> Copy | None:
    """Return the copy that this process is to run in; None if there is none."""
    of, path = os.environ.get(COPY_OF), os.environ.get(COPY)
    return Copy(Path(of), Path(path)) if of and path else None


def original_of(directory: Path) -> Path:
    """Return the directory that relative settings start from: in a copy, the original directory."""
    copy = current_copy()
    return copy.original(directory) if copy is not None else directory


def check_is_from_copy(left_out: Collection[str]) -> list[str]:
    """Check that the code of a run in a copy comes from there, and return the modules that cannot: git ignores them.

    Parameters
    ----------
    left_out
        The files that git does not track and that the copy lacks, since they are large or look like secrets.

    Returns
    -------
    list of str
        The imported files that are generated, such as ``_version.py``, and are reached by a link.

    Raises
    ------
    MLXPError
        If another part of the code comes from elsewhere.
    """
    copy = current_copy()
    if copy is None:
        return []
    found = _modules_beside(copy)
    linked = {module: name for module, file in found.items() if (name := _name_in(copy, file)) is not None}
    beside = sorted(found.keys() - linked.keys())
    if beside:
        raise MLXPError(
            f"these modules come from {copy.of} instead of the copy of the code in {copy.path}: "
            f"{', '.join(beside)}; install the project in another way, or start Python without -I and -E"
        )
    refused = sorted(set(left_out).intersection(linked.values()))
    if refused:
        raise MLXPError(f"the run needs {not_stored_since(refused)}")
    return sorted(linked.values())


def not_stored_since(files: Sequence[str]) -> str:
    """Return why files with code are not part of its state, and what to do about it; for messages.

    Examples
    --------
    >>> not_stored_since(["keys.py"])[:50]
    'files that are not stored with the code: keys.py; '
    """
    return (
        f"files that are not stored with the code: {names_of(files)}; git does not track them, and they are large or "
        "look like they hold a secret: `git add` them, or take the secret out"
    )


def _name_in(copy: Copy, file: Path) -> str | None:
    """Return the name of a file inside a copy, where links are not followed; None if it is not inside."""
    for top in (copy.path, Path(os.path.realpath(copy.path))):
        if file.is_relative_to(top):
            return file.relative_to(top).as_posix()
    return None


def _modules_beside(copy: Copy) -> dict[str, Path]:
    """Return the imported modules that come from the original of a copy, and their files as they were found.

    Python was told to look in the copy first. Some installations, and ``python -I``, ignore that.
    """
    files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    found = {name: Path(os.path.abspath(file)) for name, file in files.items() if isinstance(file, str)}  # noqa: PTH100
    top, path = os.path.realpath(copy.of), os.path.realpath(copy.path)
    real = {name: Path(os.path.realpath(file)) for name, file in found.items()}
    return {name: found[name] for name, file in real.items() if _is_of(file, top) and not file.is_relative_to(path)}


def _is_of(file: Path, top: str) -> bool:
    """Tell whether a file is code of a repository, and neither installed nor of the environment inside it."""
    is_installed = {"site-packages", "dist-packages"} & set(file.parts)
    return file.is_relative_to(top) and not is_installed and not file.is_relative_to(os.path.realpath(sys.prefix))


def python_path_inside(top: Path) -> list[str]:
    """Return where this process imports modules of a repository from."""
    real = os.path.realpath(top)
    entries = [entry for entry in [*sys.path, *_editable_roots()] if entry]
    return list(dict.fromkeys(entry for entry in entries if _is_of(Path(os.path.realpath(entry)), real)))


def _editable_roots() -> Iterable[str]:
    """Yield the folders of packages whose editable installation maps their names to these folders."""
    for module in list(sys.modules.values()):
        mapping = getattr(module, "MAPPING", None)
        if getattr(module, "__name__", "").startswith("__editable__") and isinstance(mapping, dict):
            yield from (str(Path(path).parent) for name, path in mapping.items() if Path(path).name == name)


def captured(directory: Path, store: Path, excluded: Sequence[Path], dirty: str) -> CodeState:
    """Return the state of the code that is to be copied; see `DIRTY` and `capture`.

    Raises
    ------
    MLXPError
        If the code cannot be stored.
    """
    try:
        return capture(directory, store, excluded, DIRTY[dirty])
    except GitError as error:
        raise MLXPError(f"the code in {directory} cannot be copied: {error}") from error


def refuse_changes(state: CodeState, dirty: str) -> None:
    """Refuse a state that differs from its commit, if the setting ``dirty`` says so."""
    changes = [*state.changed, *state.untracked, *state.left_out]
    if dirty == "refuse" and changes:
        raise MLXPError(
            f"the code in {state.top} differs from its commit: {names_of(changes)}; commit that, let git ignore it, or "
            "set mlxp.version_manager.dirty to include or leave"
        )


def names_of(files: Sequence[str]) -> str:
    """Return the first names of some files, and how many more there are.

    Examples
    --------
    >>> names_of(["a.py", "b.py", "c.py", "d.py", "e.py", "f.py"])
    'a.py, b.py, c.py, d.py, e.py and 1 more'
    """
    more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    return ", ".join(files[:_SHOWN]) + more


def place_of(store: Path, state: CodeState) -> Path:
    """Return where the copy of a state goes in the store; two places with the same files have different data."""
    return store / COPIES / f"{state.tree[:20]}-{zlib.crc32(os.fsencode(state.top)):08x}"


def copy_of(store: Path, state: CodeState, excluded: Sequence[Path] = (), place: Path | None = None) -> Path:
    """Return the top directory of a copy of the code, after making the copy if it is missing or was changed.

    Parameters
    ----------
    store
        The folder of all states.
    state
        The state. If its directory still exists, the copy has links to what the state leaves out.
    excluded
        Directories that runs write to. The copy has links to them, too.
    place
        Where the copy goes; by default, into the store.

    Raises
    ------
    MLXPError
        If the store does not hold that state, or if the copy cannot be written.
    """
    copy = place or place_of(store, state)
    try:
        if _is_unchanged(store, copy):
            with contextlib.suppress(PermissionError):
                os.utime(copy)  # so that it counts as new until a run has named it
        else:
            copy.parent.mkdir(parents=True, exist_ok=True)
            _put(store, state, copy)
        _link_others(copy, store, state, excluded)
    except GitError as error:
        raise MLXPError(f"the code of state {state.tree[:12]} is not in {store}: {error}") from error
    except OSError as error:
        raise MLXPError(f"the code of state {state.tree[:12]} cannot be copied to {copy}: {error}") from error
    return copy


def _put(store: Path, state: CodeState, copy: Path) -> None:
    """Put a copy in its place, once, while others that need it wait."""
    does = f"puts {copy.name} in its place"
    with locked([copy.with_name(f".{copy.name}.lock")], does, wait=_PATIENCE):
        if _is_unchanged(store, copy) or _is_mended(store, copy):
            return
        with tempfile.TemporaryDirectory(prefix=".making-", dir=copy.parent) as temporary:
            made = Path(temporary, "copy")
            _make(store, state, made, relative_to=copy)
            with contextlib.suppress(FileNotFoundError):
                copy.rename(Path(temporary, "broken"))
            made.rename(copy)


def _is_mended(store: Path, copy: Path) -> bool:
    """Restore the files of a copy that were changed, in their place, since other runs may be using it."""
    if not (copy / ".git" / "index").is_file():
        return False
    with contextlib.suppress(GitError):
        Git(copy, copy / ".git", store)("checkout-index", "--all", "--force", "--quiet", "--index")
    return _is_unchanged(store, copy)


def _make(store: Path, state: CodeState, made: Path, relative_to: Path) -> None:
    made.mkdir()
    git = Git(made, made / ".git", store)
    git.prepare({"extensions.objectformat": "sha256"} if len(state.tree) == 64 else {})
    write(git.private / "info" / "attributes", "* -filter -ident -text -eol -working-tree-encoding\n")
    (git.private / "objects" / "info").mkdir()
    # Relative, so that it stays valid wherever the store and the copy are moved together.
    alternate = os.path.relpath(os.path.realpath(store / "objects"), os.path.realpath(relative_to / ".git" / "objects"))
    write(git.private / "objects" / "info" / "alternates", f"{alternate}\n")
    if state.commit is not None and has_object(git, state.commit):  # an export has no commits, which name their authors
        write(git.private / "HEAD", f"{state.commit}\n")
        write(git.private / "shallow", f"{state.commit}\n")
    git("read-tree", state.tree)
    git("checkout-index", "--all", "--quiet", "--index")
    write(git.private / "info" / "exclude", "__pycache__\n")


def has_object(git: Git, address: str) -> bool:
    """Tell whether a store has an object, such as a commit."""
    return not git("cat-file", "--batch-check", given=f"{address}\n").endswith(" missing\n")


def _link_others(copy: Path, store: Path, state: CodeState, excluded: Sequence[Path]) -> None:
    """Make links to what the state leaves out, as far as it exists by now."""
    beside = [path.relative_to(state.top).as_posix() for path in excluded if path.is_relative_to(state.top)]
    names = [*not_stored(state.top, store, excluded), *(name for name in beside if name != ".")]
    linked = [name for name in names if _link(state.top / name, copy / name)]
    if linked:
        exclude = copy / ".git" / "info" / "exclude"
        write(exclude, text(exclude) + "".join(f"{pattern_of(name)}\n" for name in linked))


def _link(source: Path, target: Path) -> bool:
    """Make a link, unless the state has something there or the file is gone."""
    if os.path.lexists(target) or not os.path.lexists(source):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):  # another process makes it
        target.symlink_to(source)
        return True
    return False


def _is_unchanged(store: Path, copy: Path) -> bool:
    """Say whether a copy is there and has what was put into it, while others may be putting it there."""
    if not (copy / ".git" / "index").is_file():
        return False
    try:
        return not Git(copy, copy / ".git", store)("diff-files", "--name-only", "-z")
    except GitError:
        return False
