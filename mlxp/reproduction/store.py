"""Takes states of the code out of one store and into another, and tells how large a store is.

What comes from others is not believed: the content address of each object is computed again, and a state counts as
stored only if all of it is there.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mlxp.running.copies import COPIES, has_object
from mlxp.running.environment import ENVIRONMENTS
from mlxp.running.private_git import Git, GitError
from mlxp.running.state_store import TREES


def is_state(name: str) -> bool:
    """Tell whether a text is the content address of a state.

    Examples
    --------
    >>> is_state("ba503a05f06dc82da22e505c8c8d3f93cefa8111"), is_state("../ba503a05")
    (True, False)
    """
    return len(name) in (40, 64) and not set(name) - set("0123456789abcdef")


@contextlib.contextmanager
def reading_git(store: Path, state: str) -> Iterator[Git]:
    """Yield git on a store, without any work tree, for states of the same kind of address as `state`."""
    with tempfile.TemporaryDirectory(prefix="mlxp-code-") as private:
        git = Git(Path(private), Path(private), store.absolute())
        git.prepare({"extensions.objectformat": "sha256"} if len(state) == 64 else {})
        yield git


def packed(store: Path, states: Iterable[str], folder: Path, commits: Iterable[str] = ()) -> list[Path]:
    """Write packs of all files of some states into `folder`, and return their paths; the same states, the same bytes.

    Parameters
    ----------
    store
        The store that holds the states.
    states
        Their content addresses.
    folder
        Where to write.
    commits
        Commits to add without their history; those that the store does not have are left out.

    Raises
    ------
    GitError
        If the store does not hold one of them.
    """
    packs = []
    for length in (40, 64):
        some = sorted(state for state in set(states) if len(state) == length)
        if some:
            with reading_git(store, some[0]) as git:
                known = sorted({commit for commit in commits if len(commit) == length and has_object(git, commit)})
                wanted = "".join(f"{line}\n" for line in [*(f"--shallow {one}" for one in known), *known, *some])
                # What is there may be compressed in another way, from elsewhere.
                words = ("--revs", "-q", "--threads=1", "--no-reuse-delta", "--no-reuse-object", "--missing=allow-any")
                setting = ("-c", "pack.writeReverseIndex=false")
                name = git(*setting, "pack-objects", *words, str(folder.absolute() / "pack"), given=wanted).strip()
                packs += [folder / f"pack-{name}.pack"]
    return packs


def missing_states(store: Path, states: Iterable[str]) -> list[str]:
    """Return those of the states that the store does not hold whole."""
    missing = []
    for state in states:
        with reading_git(store, state) as git:
            try:
                git("rev-list", "--objects", "--quiet", state)
            except GitError:
                missing.append(state)
    return missing


def take_in(source: Path, store: Path) -> list[str]:
    """Add the states of another store, and return those that could not be added since they are damaged."""
    states = sorted(file.name for file in (source / TREES).glob("*") if is_state(file.name))
    new = [state for state in states if not (store / TREES / state).exists()]
    damaged = set(missing_states(source, new))
    new = [state for state in new if state not in damaged]
    with tempfile.TemporaryDirectory(prefix=".taking-", dir=store) as folder:
        for kind in {len(state): state for state in new}.values():
            for pack in packed(source, [one for one in new if len(one) == len(kind)], Path(folder)):
                _add_pack(store, pack, kind)
    damaged |= set(missing_states(store, new))
    (store / TREES).mkdir(exist_ok=True)
    for state in set(new) - damaged:
        (store / TREES / state).touch()
    return sorted(damaged)


def _add_pack(store: Path, pack: Path, state: str) -> None:
    pack.with_suffix(".idx").unlink()  # which has the addresses that the other store claims
    with reading_git(store, state) as git:
        git("-c", "pack.writeReverseIndex=false", "index-pack", str(pack.absolute()))
    (store / "objects" / "pack").mkdir(parents=True, exist_ok=True)
    for suffix in (".pack", ".idx"):  # git looks for the second
        shutil.move(pack.with_suffix(suffix), store / "objects" / "pack" / f"{pack.stem}{suffix}")


@dataclass(frozen=True, slots=True)
class StoreSize:
    """How much a store holds: bytes and number of states, and the same of the copies."""

    states: int
    state_bytes: int
    copies: int
    copy_bytes: int

    def __str__(self) -> str:
        told = [f"{self.states} state{'s' * (self.states != 1)} of the code, {megabytes(self.state_bytes)}"]
        told += [f"{self.copies} cop{'ies' if self.copies != 1 else 'y'}, {megabytes(self.copy_bytes)}"] * bool(
            self.copies
        )
        return "; ".join(told)


def megabytes(count: float) -> str:
    """Return a number of bytes as people read it.

    Examples
    --------
    >>> megabytes(0), megabytes(2_345_678), megabytes(12_345_678_900)
    ('0.0 MB', '2.3 MB', '12,345.7 MB')
    """
    return f"{count / 1e6:,.1f} MB"


def size_of(store: Path) -> StoreSize:
    """Return how large a store is."""
    copies = [one for one in (store / COPIES).glob("[!.]*") if one.is_dir()]
    return StoreSize(
        sum(is_state(file.name) for file in (store / TREES).glob("*")),
        sum(bytes_in(store / name) for name in ("objects", TREES, ENVIRONMENTS)),
        len(copies),
        bytes_in(store / COPIES),
    )


def bytes_in(folder: Path) -> int:
    """Return how many bytes the files in a folder have; links are not followed."""
    total, folders = 0, [os.fspath(folder)]
    while folders:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total
