"""The state of the code: a tree of all files that git tracks or does not ignore, under a content address.

git works in a directory of ours, made for the purpose and removed afterwards. It writes nothing into the user's
repository and never reads its configuration, so that nothing in it is executed (hooks, filters, monitors). The objects
go to a store beside the logs. The store holds each state whole, so that it can be restored when the repository is gone.
"""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from mlxp.running.listed_files import ListedFiles, listed_files, name_in
from mlxp.running.private_git import ANY, Git, GitError, text, write
from mlxp.running.state_store import difference, keep
from mlxp.running.store_use import adding_to
from mlxp.running.stored_files import LARGEST_FILE, size_of, stored_of, written_by_runs

_MOST_FILES: Final = 2_000
"""The largest number of files beside a program that is in no git repository."""

_NEVER: Final = ("__pycache__/", "*.py[co]", ".ipynb_checkpoints/", ".mypy_cache/", ".pytest_cache/", ".ruff_cache/")


@dataclass(frozen=True, slots=True)
class CodeState:
    """The code of a run.

    Attributes
    ----------
    top
        The top directory of the repository; outside of git, the directory of the program.
    tree
        The content address of all files; it is the same for the same files, wherever they are.
    commit, branch, remote
        What git says; None for each that does not exist.
    dirty
        Whether tracked files of the tree differ from the commit.
    left_out
        What is not part of the tree: files that git does not track and that are too large or hold a secret; and files
        that cannot be read.
    head_tree
        The tree of the commit; None if there is none.
    changed
        The tracked files that differ from the commit, as they are in `top`.
    untracked
        The files of the tree that git does not track; the name of a whole repository ends with a slash.
    """

    top: Path
    tree: str
    commit: str | None = None
    branch: str | None = None
    remote: str | None = None
    dirty: bool = False
    left_out: tuple[str, ...] = ()
    head_tree: str | None = None
    changed: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """Return what a run's files say about the state."""
        names = ("commit", "branch", "remote", "dirty")
        own = {"state": self.tree, "top": str(self.top), "left_out": list(self.left_out)}
        return own | {name: getattr(self, name) for name in names}


class Extent(Enum):
    """Which files a state consists of."""

    ALL = "what git tracks, as it is now, and what it does not ignore"
    TRACKED = "what git tracks, as it is now"
    COMMITTED = "what git tracks, as it was committed"


@dataclass(frozen=True, slots=True)
class _Repository:
    """A user's repository: its work tree, its git directory, and the git directory it shares with other work trees."""

    top: Path
    git: Path
    common: Path


def capture(directory: Path, store: Path, excluded: Sequence[Path] = (), extent: Extent = Extent.ALL) -> CodeState:
    """Store the state of the code that `directory` belongs to, and return it.

    Parameters
    ----------
    directory
        The directory of the file that defines the task.
    store
        The folder of all states; it is created if needed.
    excluded
        Directories that runs write to and that hold no code.
    extent
        Which files the state consists of.

    Raises
    ------
    GitError
        If git is missing, if it cannot read the files, or if there are too many files outside a repository.
    """
    try:
        repository = _repository_of(directory)
        top = repository.top if repository else directory
        with adding_to(store), tempfile.TemporaryDirectory(prefix="mlxp-code-") as private:
            git, settings = _git_on(top, repository, store, excluded, Path(private))
            state, new = _state(git, repository, settings, excluded, extent)
            keep(git, state.tree, state.commit, state.head_tree, new)
            return state
    except OSError as error:
        raise GitError(str(error)) from error


def top_of(directory: Path) -> Path:
    """Return the top directory of what a state of `directory` holds: of its repository, or itself."""
    repository = _repository_of(directory)
    return repository.top if repository else directory


def differences(store: Path, first: str, second: str) -> list[str] | None:
    """Return the names of the files in which two states of a store differ; None if the store lacks one of them."""
    with tempfile.TemporaryDirectory(prefix="mlxp-code-") as private:
        git = Git(Path(private), Path(private), store)
        git.prepare({"extensions.objectformat": "sha256"} if len(first) == 64 else {})
        try:
            listed = git("diff-tree", "-r", "--name-only", "-z", first, second)
        except GitError:
            return None
    return [name for name in listed.split("\0") if name]


def untracked(top: Path) -> list[str]:
    """Return what lies in a repository and is neither tracked nor ignored: whole folders, where nothing is tracked.

    Raises
    ------
    GitError
        If git is missing, or cannot read the files.
    """
    with tempfile.TemporaryDirectory(prefix="mlxp-code-") as private:
        git, _ = _git_on(top, _repository_of(top), Path(private), [], Path(private))
        listed = git("ls-files", "-z", "-o", "--exclude-standard", "--directory", "--no-empty-directory")
    return [name for name in listed.split("\0") if name]


def _repository_of(directory: Path) -> _Repository | None:
    """Return the repository whose work tree holds `directory`; None if there is none."""
    for top in (directory, *directory.parents):
        git = top / ".git"
        if git.is_file():  # of a linked work tree, or of a submodule
            git = Path(os.path.normpath(top / text(git).removeprefix("gitdir:").strip()))
        if (git / "HEAD").is_file():
            common = text(git / "commondir").strip() or "."
            return _Repository(top, git, Path(os.path.normpath(git / common)))
    return None


def _git_on(
    top: Path, repository: _Repository | None, store: Path, excluded: Sequence[Path], private: Path
) -> tuple[Git, dict[str, str]]:
    """Return git with a private directory that has the index and the settings of the user's repository."""
    patterns = _patterns(top, [*excluded, store])
    git = Git(top, private, store)
    settings = git.prepare_like(repository.common / "config" if repository else None)
    if repository is None:
        write(private / "info" / "exclude", patterns)
        return git, settings
    git.alternates.append(repository.common / "objects")
    write(private / "info" / "exclude", text(repository.common / "info" / "exclude") + "\n" + patterns)
    write(private / "info" / "attributes", text(repository.common / "info" / "attributes"))
    for file in [repository.git / "index", *repository.git.glob("sharedindex.*")]:
        if file.is_file():  # with its time, by which git knows which files may have changed within one tick
            shutil.copy2(file, private / file.name)
    return git, settings


def _patterns(top: Path, excluded: Iterable[Path]) -> str:
    """Return git patterns for what is not code: caches, environments, and directories that runs write to."""
    environments = [file.parent for name in ("pyvenv.cfg", "conda-meta") for file in top.glob(f"*/{name}")]
    environments += [Path(sys.prefix)]
    inside = [path.relative_to(top) for path in [*excluded, *environments] if path != top and path.is_relative_to(top)]
    return "\n".join([*_NEVER, *(pattern_of(f"{path.as_posix()}/") for path in inside), ""])


def pattern_of(name: str) -> str:
    r"""Return the gitignore pattern that matches one file or folder and nothing else.

    Examples
    --------
    >>> print(pattern_of("my data[1]/"))
    /my\ data\[1\]/
    """
    return "/" + re.sub(r"([\\*?\[\]!# ])", r"\\\1", name)


def not_stored(top: Path, store: Path, excluded: Sequence[Path] = ()) -> list[str]:
    """Return what is in `top` but in no state of it: what git ignores, as whole folders, and what is `left_out`.

    Caches are left out. If `top` is gone, the list is empty.
    """
    if not top.is_dir():
        return []
    with tempfile.TemporaryDirectory(prefix="mlxp-code-") as private:
        names = _not_stored(top, store, excluded, Path(private))
    unused = {path.relative_to(top).as_posix() for path in [*excluded, store] if path.is_relative_to(top)}
    return [name for name in names if name not in unused]


def _not_stored(top: Path, store: Path, excluded: Sequence[Path], private: Path) -> list[str]:
    git, _ = _git_on(top, _repository_of(top), store, [], private)
    listed = git("ls-files", "-z", "-o", "-i", "--exclude-standard", "--directory").split("\0")
    found = listed_files(git)
    ignored = [name.rstrip("/") for name in listed if name]
    outputs = written_by_runs(top, found.others)
    found.others = [name for name in found.others if not name.startswith(tuple(outputs))]
    inside = [name for name in found.others if any((top / name).is_relative_to(path) for path in excluded)]
    files = [name for name in found.others if not name.endswith("/") and name not in inside]
    kept = set(stored_of(top, {name: size_of(top / name) for name in files}))
    names = [name for name in ignored if not _is_cache(name)] + [name for name in files if name not in kept]
    names += sorted(name.rstrip("/") for name in outputs)
    for inner in found.nested():
        repository = _repository_of(top / inner)
        if repository is not None and repository.top == top / inner:
            others = _not_stored(top / inner, store, excluded, Path(tempfile.mkdtemp(dir=private)))
            names += [f"{inner}/{name}" for name in others]
    return names


def _is_cache(name: str) -> bool:
    caches = {pattern.rstrip("/") for pattern in _NEVER} | {".git"}
    return Path(name).name in caches or name.endswith((".pyc", ".pyo"))


def _state(
    git: Git, repository: _Repository | None, settings: dict[str, str], excluded: Sequence[Path], extent: Extent
) -> tuple[CodeState, set[str] | None]:
    """Return the state, and the objects of it that the commit has not; None if they are not known."""
    files = listed_files(git)
    outputs = tuple(written_by_runs(git.top, files.others))
    files.others = [name for name in files.others if extent is Extent.ALL and not name.startswith(outputs)]
    if repository is None and len(files.others) > _MOST_FILES:
        raise GitError(f"more than {_MOST_FILES} files lie in {git.top}, which is in no git repository")
    sizes = {name: size_of(git.top / name) for name in files.others if not name.endswith("/")}
    small = stored_of(git.top, sizes)
    commit, branch, head_tree = _head(git, repository)
    was_hidden = _show_all_edits(git, files)
    unchanged = _keep_as_it_is(git, files, settings)
    # What lies behind a link that has replaced a folder is not seen as edited before.
    may_hide = was_hidden or extent is not Extent.ALL or any((git.top / name).is_symlink() for name in sizes)
    _stage(git, files.edited, small, may_hide=may_hide)
    tree = git("write-tree", "--missing-ok").strip()
    if head_tree:
        found = difference(git, head_tree, tree)
        changed, new = (found.edited | (found.added - set(small))) - unchanged, found.objects
    else:
        changed, new = set(map(name_in, files.known())), None
    if extent is Extent.COMMITTED and head_tree:
        _set_back(git, changed, head_tree)
    nested = {name: _take_in(git, name, excluded, extent) for name in files.nested()}
    inner = {name: state for name, state in nested.items() if state}
    if nested or (extent is Extent.COMMITTED and changed):
        tree, new = git("write-tree", "--missing-ok").strip(), None
    left_out = [
        *(sizes.keys() - set(small)),
        *(name for name in files.edited if not _may_be_read(git.top / name)),
        *(f"{name}/{one}" for name, state in inner.items() for one in state.left_out),
    ]
    changed |= {f"{name}/" for name in files.submodules() if name in inner and inner[name].changed}
    state = CodeState(
        git.top,
        tree,
        commit,
        branch,
        settings.get("remote.origin.url"),
        bool(changed) and extent is not Extent.COMMITTED,
        tuple(sorted(left_out)),
        head_tree,
        tuple(sorted(changed)),
        tuple(sorted([*small, *(name for name in files.others if name.rstrip("/") in inner)])),
    )
    return state, new


def _stage(git: Git, edited: set[str], others: list[str], *, may_hide: bool) -> None:
    """Put into the index what was edited or removed, and other files; leave out those that cannot be read."""
    names = [*sorted(edited), *others]
    try:
        if names and not may_hide:
            git("update-index", "--add", "--remove", "--replace", "-z", "--stdin", names=names)
    except GitError:  # one of them cannot be read, or a folder of it has become a link
        _add_edited(git, edited)
        _add(git, others)
    if may_hide:
        _add_edited(git, None)
        _add(git, others)


def _add_edited(git: Git, names: Iterable[str] | None) -> None:
    """Add what was edited or removed to the index; None for all that git finds, which looks at each file again."""
    try:
        if names is not None:
            _add(git, sorted(names), "-u")
            return
    except GitError:  # a folder of it has become a link that git ignores
        pass
    git("add", "-u", "--ignore-errors", "--", ":/", accepted=(0, 1))


def _set_back(git: Git, changed: set[str], head_tree: str) -> None:
    """Put files into the index as they were committed."""
    if changed:
        listed = git("ls-tree", "-r", "-z", "--full-tree", head_tree).split("\0")
        entries = [re.sub(" (blob|commit) ", " ", line, count=1) for line in listed if name_in(line) in changed]
        git("update-index", "--force-remove", "-z", "--stdin", names=sorted(changed))
        git("update-index", "-z", "--index-info", names=entries)


def _add(git: Git, names: Iterable[str], *options: str) -> None:
    """Add files to the index; leave out those that cannot be read."""
    names = list(names)
    if names:
        words = ("--ignore-errors", *options, "--pathspec-from-file=-", "--pathspec-file-nul")
        git("--literal-pathspecs", "add", *words, names=names, accepted=(0, 1))


def _take_in(git: Git, name: str, excluded: Sequence[Path], extent: Extent) -> CodeState | None:
    """Put the files of a nested repository, submodule or not, into the tree; return None if it is not there."""
    top = git.top / name
    repository = _repository_of(top)
    if repository is None or repository.top != top:
        return None
    inner, settings = _git_on(top, repository, git.store, excluded, Path(tempfile.mkdtemp(dir=git.private)))
    state, _ = _state(inner, repository, settings, excluded, extent)
    git.alternates += inner.alternates
    git("update-index", "--force-remove", "-z", "--stdin", names=[name])
    git("read-tree", f"--prefix={name}/", state.tree)
    return state


def _head(git: Git, repository: _Repository | None) -> tuple[str | None, str | None, str | None]:
    """Return the commit, branch and tree that are checked out; None for each that does not exist."""
    if repository is None:
        return None, None, None
    head = text(repository.git / "HEAD").strip()
    branch = head.removeprefix("ref: refs/heads/") if head.startswith("ref: refs/heads/") else None
    # The user's repository is asked, since the private one has no references; nothing in it is executed for that.
    asked = ("--git-dir", str(repository.git), "rev-parse", "HEAD", "HEAD^{tree}")
    commit, tree = (*git(*asked, accepted=ANY).split(), "", "")[:2]
    return (commit, branch, tree) if re.fullmatch("[0-9a-f]{40,64}", tree) else (None, branch, None)


def _may_be_read(path: Path) -> bool:
    return not path.is_file() or os.access(path, os.R_OK)


def _show_all_edits(git: Git, files: ListedFiles) -> bool:
    """Make git also look at files that the user told it to assume unchanged; return whether there are any."""
    assumed = files.tagged("hms")
    skipped = [name for name in files.tagged("Ss") if os.path.lexists(git.top / name)]
    for option, names in (("--no-assume-unchanged", assumed), ("--no-skip-worktree", skipped)):
        if names:
            git("update-index", option, "-z", "--stdin", names=names)
    return bool(assumed or skipped)


def _keep_as_it_is(git: Git, files: ListedFiles, settings: Mapping[str, str]) -> set[str]:
    """Have every file stored byte for byte; return the unchanged ones whose content differs in the index.

    git may convert line endings, or apply filters such as that of LFS. What it holds for an unchanged file is then not
    what the program reads.
    """
    attributes = git.private / "info" / "attributes"
    by_default = settings.get("core.autocrlf", "false") != "false"
    may_convert = (
        by_default
        or text(attributes).strip()
        or _attributes_for_all(settings).exists()
        or ".gitattributes" in files.text
    )
    converted = _converted(git, files.blobs(), by_default=by_default) if may_convert else []
    write(attributes, "* -filter -ident -text -eol -working-tree-encoding\n")
    if converted:
        git("update-index", "--force-remove", "-z", "--stdin", names=converted)
        _add(git, [name for name in converted if os.path.lexists(git.top / name)], "--force")
    return set(converted) - files.edited


def _attributes_for_all(settings: Mapping[str, str]) -> Path:
    """Return the file of the attributes that the user has set for all repositories."""
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(settings.get("core.attributesfile", f"{home}/git/attributes")).expanduser()


def _converted(git: Git, blobs: Mapping[str, str], *, by_default: bool) -> list[str]:
    """Return the files that the index does not hold byte for byte; large ones stay the pointers that git holds."""
    asked = ("check-attr", "-z", "--stdin", "filter", "ident", "working-tree-encoding", "text", "eol")
    answer = git(*asked, names=blobs).split("\0")
    given: dict[str, set[str]] = {name: set() for name in blobs} if by_default else {}
    for name, attribute, value in zip(answer[::3], answer[1::3], answer[2::3], strict=False):
        if value not in ("unspecified", "unset"):
            given.setdefault(name, set()).add(attribute)
    sizes = {name: size_of(git.top / name) for name in given}
    # Converted line endings change the size, which is quicker to read than the content.
    asked_for = "".join(f"{blobs[name]}\n" for name in given)
    held = git("cat-file", "--batch-check=%(objectsize)", given=asked_for).splitlines()
    return [
        name
        for (name, found), size_held in zip(given.items(), held, strict=True)
        if (size := sizes[name]) is not None
        and size <= LARGEST_FILE
        and (found - {"text", "eol"} or str(size) != size_held)
    ]
