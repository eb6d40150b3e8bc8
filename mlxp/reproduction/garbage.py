"""Removes from the store what no run needs: copies, states of the code, lists of packages.

What a run needs is what any of its files about itself names; they are read as texts, so that no key is forgotten, now
or later. Whatever is new stays, since a run that is about to name it may be starting.
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mlxp.errors import LogDirectoryError, MLXPError
from mlxp.reproduction.store import bytes_in, is_state, reading_git
from mlxp.run_directory.layout import STORE_DIR, SWEEPS_DIR, RunDirectory, run_directories
from mlxp.run_directory.locks import server_time
from mlxp.running.copies import COPIES
from mlxp.running.environment import ENVIRONMENTS
from mlxp.running.private_git import Git, GitError
from mlxp.running.state_store import TREES, held_with, name_held
from mlxp.running.store_use import removing_from

_NEW: Final = 30.0
"""Seconds for which what was just made or handed out stays, since who asked for it has not named it yet."""

_STARTING: Final = 3600.0
"""Seconds for which a run that does not say yet what it needs may still do so."""

_NAME: Final = re.compile(rb"(?<![0-9a-f])[0-9a-f]{20,64}(?:-[0-9a-f]{8})?(?![0-9a-f])")
_SAID: Final = re.compile(rb"^(?:code:|status: '?(?:COMPLETE|FAILED|KILLED|LOST|REFUSED)\b)", re.MULTILINE)
_PIECE: Final = 2**22
_WORTH_WHILE: Final = 1_000_000  # bytes


@dataclass
class Garbage:
    """What no run needs.

    Attributes
    ----------
    copies, states, environments
        Their paths in the store.
    copy_bytes, object_bytes
        The size of the copies, and of all objects of git that belong to no state that stays.
    new
        How many copies, states and lists no run needs, but are too new to be removed.
    """

    copies: list[Path] = field(default_factory=list)
    states: list[Path] = field(default_factory=list)
    environments: list[Path] = field(default_factory=list)
    copy_bytes: int = 0
    object_bytes: int = 0
    new: int = 0


def collect(logs: Path, *, dry_run: bool = False) -> Garbage:
    """Remove what no run in `logs` needs, and return it; with `dry_run`, remove nothing.

    Raises
    ------
    MLXPError
        If a run is starting, if somebody else does the same, or if a run's files cannot be read.
    """
    logs = logs.absolute()
    store = logs / STORE_DIR
    if not store.is_dir():
        return Garbage()
    try:
        with contextlib.nullcontext() if dry_run else removing_from(store):
            found, kept, named = _found(logs, store)
            if not dry_run:
                _remove_files(found, store)
            _collect_objects(store, kept, named, found, dry_run=dry_run)
    except GitError as error:
        raise LogDirectoryError(f"the states of the code in {store} cannot be read: {error}") from error
    except OSError as error:
        raise LogDirectoryError(f"cannot remove what no run needs: {error.strerror}: {error.filename}") from error
    return found


def _found(logs: Path, store: Path) -> tuple[Garbage, list[str], set[str]]:
    """Return what no run needs, the states that stay, and all names that runs use."""
    now = server_time(store)
    named = _names_in_runs(logs, now)
    copies = [one for one in (store / COPIES).glob("[!.]*") if one.is_dir()]
    states = [file for file in (store / TREES).glob("*") if is_state(file.name)]
    found = Garbage()
    found.copies = [one for one in copies if one.name not in named and _is_old(one, now, found)]
    found.copies += [one for one in (store / COPIES).glob(".gone-*") if one.is_dir()]
    started = {one.name.partition("-")[0] for one in copies if one not in found.copies}
    unused = [file for file in states if file.name not in named and file.name[:20] not in started]
    found.states = [file for file in unused if _is_old(file, now, found)]
    lists = [file for file in (store / ENVIRONMENTS).glob("*.yaml") if file.stem not in named]
    found.environments = [file for file in lists if _is_old(file, now, found)]
    found.copy_bytes = sum(bytes_in(one) for one in found.copies)
    return found, [file.name for file in states if file not in found.states], named


def _is_old(path: Path, now: float, found: Garbage) -> bool:
    is_old = now - path.stat().st_mtime > _NEW
    found.new += not is_old
    return is_old


def _names_in_runs(logs: Path, now: float) -> set[str]:
    """Return all names of states, copies and lists of packages that runs use.

    Raises
    ------
    MLXPError
        If a run has not said yet what it needs.
    """
    names: set[str] = set()
    for run in run_directories(logs):
        _refuse_if_starting(run, now)
        for file in _files_about(run):
            names |= _names_in(file)
    for folder, _, files in os.walk(logs / SWEEPS_DIR):
        for name in files:
            names |= _names_in(Path(folder, name))
    return names | {name.partition("-")[0] for name in names}


def _refuse_if_starting(run: RunDirectory, now: float) -> None:
    if run.script.exists() or now - run.path.stat().st_mtime > _STARTING:
        return
    try:
        said = run.info_file.read_bytes()
    except FileNotFoundError:
        said = b""
    if not _SAID.search(said):
        raise MLXPError(f"run {run.log_id} is starting, and has not said yet what it needs; try again later")


def _files_about(run: RunDirectory) -> Iterator[Path]:
    for folder, _, names in os.walk(run.metadata):
        yield from (Path(folder, name) for name in names)
    yield from run.path.glob("script.sh*")
    yield from run.artifact_types_file.parent.glob("*.yaml")  # whose loaders may lie in a copy


def _names_in(file: Path) -> set[str]:
    names: set[str] = set()
    end = b""
    try:
        with file.open("rb") as opened:
            while piece := opened.read(_PIECE):
                names |= {name.decode() for name in _NAME.findall(end + piece)}
                end = piece[-100:]
    except FileNotFoundError:  # replaced at this moment, by a file that is read, too
        pass
    return names


def _remove_files(found: Garbage, store: Path) -> None:
    for copy in found.copies:
        if server_time(store) - copy.stat().st_mtime <= _NEW:  # it was handed out meanwhile
            continue
        gone = copy if copy.name.startswith(".gone-") else copy.with_name(f".gone-{copy.name}")
        if gone != copy:
            copy.rename(gone)  # at once, so that nobody starts in half a copy
        shutil.rmtree(gone)
    for file in [*found.states, *found.environments]:
        file.unlink()


def _collect_objects(store: Path, kept: list[str], named: set[str], found: Garbage, *, dry_run: bool) -> None:
    """Remove the objects that belong to no state that stays."""
    kinds = {len(state) for state in [*kept, *(file.name for file in found.states)]}
    if len(kinds) != 1 or not (store / "objects").is_dir():  # none, or of two repositories that differ in kind
        return
    state = next(iter([*kept, *(file.name for file in found.states)]))
    with reading_git(store, state) as git:
        sizes = _sizes(git)
        needed = _needed(git, kept, named & sizes.keys())
        unused = sum(size for name, size in sizes.items() if name not in needed)
        # Finding out the state of the code leaves some small ones, for which it is not worth while.
        if not found.states and unused < _WORTH_WHILE:
            return
        found.object_bytes = unused
        if not dry_run:
            _forget_others([store / TREES / one for one in kept], needed)
            _repack(git, store, needed & sizes.keys())


def _sizes(git: Git) -> dict[str, int]:
    """Return how many bytes each object takes in the store."""
    words = ("--batch-all-objects", "--unordered", "--batch-check=%(objectname) %(objectsize:disk)")
    return {name: int(size) for name, size in (line.split() for line in git("cat-file", *words).splitlines())}


def _needed(git: Git, states: Iterable[str], named: set[str]) -> set[str]:
    """Return the objects of some states, and the commits that are named, with their files but without history."""
    asked = "".join(f"{name}\n" for name in sorted(named))
    kinds = git("cat-file", "--batch-check=%(objectname) %(objecttype)", given=asked).splitlines()
    commits = [line.split()[0] for line in kinds if line.endswith(" commit")]
    wanted = "".join(f"{one}\n" for one in [*states, *(f"{commit}^{{tree}}" for commit in commits)])
    words = ("--objects", "--no-object-names", "--missing=allow-any", "--stdin")
    return {*git("rev-list", *words, given=wanted).split(), *commits} if wanted else set()


def _forget_others(marks: Iterable[Path], needed: set[str]) -> None:
    """Make states that stay no longer name what is about to be removed; they are as old as they were."""
    for mark in marks:
        named = held_with(mark)
        if not needed.issuperset(named):
            known = mark.stat()
            name_held(mark, needed.intersection(named))
            os.utime(mark, ns=(known.st_atime_ns, known.st_mtime_ns))


def _repack(git: Git, store: Path, needed: set[str]) -> None:
    """Put the objects that are needed into one pack, and remove all others."""
    packs = store / "objects" / "pack"
    packs.mkdir(exist_ok=True)
    old = [file for file in (store / "objects").rglob("*") if file.is_file() and file.parent.name != "info"]
    new: set[str] = set()
    with tempfile.TemporaryDirectory(prefix=".packing-", dir=packs.parent) as folder:
        if needed:
            given = "".join(f"{name}\n" for name in sorted(needed))
            git(
                "-c", "pack.writeReverseIndex=false", "pack-objects", "-q", "--threads=1", f"{folder}/pack", given=given
            )
        for suffix in (".pack", ".idx"):  # git looks for the second
            for file in Path(folder).glob(f"*{suffix}"):
                new.add(file.name)
                file.rename(packs / file.name)
    for file in sorted(old, key=lambda file: file.suffix != ".idx"):
        if file.name not in new:
            file.unlink(missing_ok=True)
