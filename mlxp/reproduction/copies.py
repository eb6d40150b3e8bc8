"""Copies of the code as it was: one per state, however many runs start from it.

A copy is made beside its place and then renamed, so that it is whole or not there. It is a git repository of its own,
which uses the objects of the store: programs that ask git inside the copy see the code as it was. What the state leaves
out, such as data that git ignores, is reached by links to where it was.
"""

import contextlib
import os
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from mlxp.errors import MLXPError
from mlxp.run_directory.locks import locked
from mlxp.running.code_state import CodeState, not_stored, pattern_of
from mlxp.running.private_git import Git, GitError, write

COPIES = "copies"
"""The folder of the copies inside the store."""

_PATIENCE = 600.0
"""Seconds to wait for others that put the same copy in its place, each in milliseconds."""


def copy_of(store: Path, state: CodeState, excluded: Sequence[Path] = ()) -> Path:
    """Return the top directory of a copy of the code, after making the copy if it is missing or was changed.

    Parameters
    ----------
    store
        The folder of all states.
    state
        The state. If its directory still exists, the copy has links to what the state leaves out.
    excluded
        Directories that runs write to and that need no link.

    Raises
    ------
    MLXPError
        If the store does not hold that state, or if the copy cannot be written.
    """
    copy = store / COPIES / f"{state.tree[:20]}-{zlib.crc32(os.fsencode(state.top)):08x}"
    try:
        if _is_unchanged(store, copy):
            with contextlib.suppress(PermissionError):
                os.utime(copy)  # so that it counts as new until a run has named it
            return copy
        copy.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=copy.parent) as temporary:
            _make(store, state, Path(temporary, "copy"), excluded)
            with locked([copy.with_name(f".{copy.name}.lock")], f"puts {copy.name} in its place", wait=_PATIENCE):
                if not _is_unchanged(store, copy):
                    with contextlib.suppress(FileNotFoundError):
                        copy.rename(Path(temporary, "changed"))
                    Path(temporary, "copy").rename(copy)
    except GitError as error:
        raise MLXPError(f"the code of state {state.tree[:12]} is not in {store}: {error}") from error
    except OSError as error:
        raise MLXPError(f"the code of state {state.tree[:12]} cannot be copied to {copy}: {error}") from error
    return copy


def _make(store: Path, state: CodeState, copy: Path, excluded: Sequence[Path]) -> None:
    copy.mkdir()
    git = Git(copy, copy / ".git", store)
    git.prepare({"extensions.objectformat": "sha256"} if len(state.tree) == 64 else {})
    write(git.private / "info" / "attributes", "* -filter -ident -text -eol -working-tree-encoding\n")
    (git.private / "objects" / "info").mkdir()
    # Relative, so that it stays valid wherever the store is moved.
    write(git.private / "objects" / "info" / "alternates", "../../../../objects\n")
    if state.commit is not None and has_object(git, state.commit):  # an export has no commits, which name their authors
        write(git.private / "HEAD", f"{state.commit}\n")
        write(git.private / "shallow", f"{state.commit}\n")
    git("read-tree", state.tree)
    git("checkout-index", "--all", "--quiet", "--index")
    links = [name for name in not_stored(state.top, store, excluded) if _link(state.top / name, copy / name)]
    write(git.private / "info" / "exclude", "".join(f"{pattern_of(name)}\n" for name in [*links, "__pycache__"]))


def has_object(git: Git, address: str) -> bool:
    """Tell whether a store has an object, such as a commit."""
    return not git("cat-file", "--batch-check", given=f"{address}\n").endswith(" missing\n")


def _link(source: Path, target: Path) -> bool:
    """Make a link, unless the state has something there or the file is gone."""
    if os.path.lexists(target) or not os.path.lexists(source):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(source)
    return True


def _is_unchanged(store: Path, copy: Path) -> bool:
    """Say whether a copy is there and has what was put into it, while others may be putting it there."""
    if not (copy / ".git" / "index").is_file():
        return False
    try:
        return not Git(copy, copy / ".git", store)("diff-files", "--name-only", "-z")
    except GitError:
        return False
