"""The store of states of the code: whatever a state needs is in it, so that it outlives the user's repository.

git keeps each object in a file of its own, until it packs many into one. A file is taken over by a link, which copies
nothing: neither of the two repositories ever changes an object. All other objects are packed, as git sends them to
another repository. A file in ``trees`` says of each state that all its objects are there. It names what else is there
whole: the commits that were checked out with this state, and their trees.
"""

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mlxp.run_directory.files import write_atomically
from mlxp.running.private_git import Git, text

TREES: Final = "trees"
"""The folder of the store with a file for each state, named like it."""

_COMPARED: Final = 20  # earlier states, whose objects need not be looked for again

_ABSENT, _FOLDER, _SUBMODULE = "000000", "040000", "160000"
"""Modes of files, as git writes them."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How one tree differs from another: the files added to it, those edited or removed, and the objects it adds."""

    added: set[str]
    edited: set[str]
    objects: set[str]


def difference(git: Git, first: str, second: str) -> Difference:
    """Return how the second tree differs from the first; only folders that differ are looked into."""
    found = Difference(set(), set(), set())
    if first == second:
        return found
    listed = git("diff-tree", "-r", "-t", "-z", first, second).split("\0")
    found.objects.add(second)
    for facts, name in zip(listed[::2], listed[1::2], strict=False):
        mode_before, mode, _, address, _ = facts.removeprefix(":").split()
        if mode not in (_ABSENT, _SUBMODULE):
            found.objects.add(address)
        if _FOLDER not in (mode_before, mode):
            (found.added if mode_before == _ABSENT else found.edited).add(name)
    return found


def keep(git: Git, tree: str, commit: str | None, head_tree: str | None, new: set[str] | None) -> None:
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
    new
        The objects of the state that are not in `head_tree`; None if they are not known.
    """
    mark = git.store / TREES / tree
    with contextlib.suppress(FileNotFoundError, PermissionError):
        os.utime(mark)  # so that it counts as new: nobody removes it before the run has named it
    head = [name for name in (commit, head_tree) if name]
    if mark.exists() and set(head) <= set(held_with(mark)):
        return
    mark.parent.mkdir(exist_ok=True)
    earlier = sorted(mark.parent.glob("[!.]*"), key=lambda file: file.stat().st_mtime)[-_COMPARED:]
    whole = {name for file in earlier for name in (file.name, *held_with(file))}
    listed = new if new is not None and head_tree in whole else _objects_of(git, [tree, head_tree or ""], earlier)
    objects = git.store / "objects"
    lacking = {*listed, *head[:1]} - whole
    lacking -= _in_own_file(objects, lacking)
    for other in git.alternates:
        lacking -= _linked(other, objects, _in_own_file(other, lacking))
    if lacking:
        options = ("-q", "--threads=1", "--window=0")
        given = "".join(f"{name}\n" for name in sorted(lacking))
        git("-c", "pack.compression=1", "pack-objects", *options, str(objects / "pack" / "pack"), given=given)
    name_held(mark, {*held_with(mark), *head})


def held_with(mark: Path) -> list[str]:
    """Return the commits and trees that the store holds whole beside a state."""
    return text(mark).split()


def name_held(mark: Path, names: Iterable[str]) -> None:
    """Say which commits and trees the store holds whole beside a state."""
    write_atomically(mark, "".join(f"{name}\n" for name in sorted(names)))


def _objects_of(git: Git, trees: Iterable[str], earlier: Iterable[Path]) -> list[str]:
    """Return the objects of some trees that are in none of the earlier states."""
    wanted = "".join(f"{line}\n" for line in (*trees, *(f"^{file.name}" for file in earlier)) if line)
    # What a partial clone has not fetched is not missed: it is not in the work tree either.
    words = ("--objects", "--no-object-names", "--missing=allow-any", "--stdin")
    return git("rev-list", *words, given=wanted).split()


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
