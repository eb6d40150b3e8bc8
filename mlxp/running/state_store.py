"""The store of states of the code: whatever a state needs is in it, so that it outlives the user's repository.

git keeps each object in a file of its own, until it packs many into one. A file is taken over by a link, which copies
nothing: neither of the two repositories ever changes an object. All other objects are packed, as git sends them to
another repository.
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from mlxp.running.private_git import Git

_COMPARED: Final = 20  # earlier states, whose objects need not be looked for again


def keep(git: Git, tree: str, commit: str | None = None, head_tree: str | None = None) -> None:
    """Make the store hold a state whole.

    Parameters
    ----------
    git
        Which finds the objects of the state.
    tree
        The address of the state.
    commit, head_tree
        The commit that was checked out, and its tree; both are kept without history, so that git can say in a copy what
        differs.
    """
    kept = git.store / "trees"
    with contextlib.suppress(FileNotFoundError, PermissionError):
        os.utime(kept / tree)  # so that it counts as new: nobody removes it before the run has named it
    if (kept / tree).exists():
        return
    kept.mkdir(exist_ok=True)
    earlier = sorted(kept.iterdir(), key=lambda file: file.stat().st_mtime)[-_COMPARED:]
    wanted = "".join(f"{line}\n" for line in (tree, head_tree or "", *(f"^{file.name}" for file in earlier)) if line)
    # What a partial clone has not fetched is not missed: it is not in the work tree either.
    listed = git("rev-list", "--objects", "--no-object-names", "--missing=allow-any", "--stdin", given=wanted).split()
    objects = git.store / "objects"
    lacking = {*listed, *filter(None, [commit])}
    lacking -= _in_own_file(objects, lacking)
    for other in git.alternates:
        lacking -= _linked(other, objects, _in_own_file(other, lacking))
    if lacking:
        options = ("-q", "--threads=1", "--window=0")
        given = "".join(f"{name}\n" for name in sorted(lacking))
        git("-c", "pack.compression=1", "pack-objects", *options, str(objects / "pack" / "pack"), given=given)
    (kept / tree).touch()


def _in_own_file(objects: Path, names: Iterable[str]) -> set[str]:
    """Return which of the objects have a file of their own in a folder of objects."""
    wanted = set(names)
    folders = {name[:2] for name in wanted} & _names_in(objects)
    return {folder + name for folder in folders for name in _names_in(objects / folder)} & wanted


def _names_in(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))  # noqa: PTH208 - of 256 folders, at the start of a run
    except OSError:
        return set()


def _linked(source: Path, target: Path, names: set[str]) -> set[str]:
    """Link objects from one folder of objects into another; return those that are there, and no others."""
    done = set()
    for folder in sorted({name[:2] for name in names}):
        (target / folder).mkdir(exist_ok=True)
    for name in sorted(names):
        path = f"/{name[:2]}/{name[2:]}"
        try:
            os.link(f"{source}{path}", f"{target}{path}")
        except FileExistsError:  # another run has been quicker
            pass
        except OSError:  # the two are on different disks, or the file is another user's
            break
        done.add(name)
    return done
