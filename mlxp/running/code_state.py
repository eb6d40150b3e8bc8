"""The state of the code: a tree of all files that git tracks or does not ignore, under a content address.

git works in a directory of ours, made for the purpose and removed afterwards. It writes nothing into the user's
repository and never reads its configuration, so that nothing in it is executed (hooks, filters, monitors). The objects
go to a store beside the logs. The store holds each state whole, so that it can be restored when the repository is gone.
"""

import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mlxp.running.private_git import Git, GitError, text, write
from mlxp.running.secrets import has_shape_of_secret

LARGEST_FILE: Final = 5_000_000
"""Untracked files larger than this many bytes count as data: they are named, not stored."""

_MOST_BYTES: Final = 50_000_000
"""The largest total size of untracked files; beyond it, the largest files are left out."""

_PRIVATE: Final = re.compile(
    r"\.env(\..*)?|\.netrc|\.pypirc|id_(rsa|dsa|ecdsa|ed25519)|.*\.(pem|key|p12|pfx|keystore)|.*\.ppk"
)
"""The names of files that hold secrets; unless git tracks them, they are named, not stored."""

_MOST_SEARCHED: Final = 100_000  # bytes of a text

_MOST_FILES: Final = 2_000
"""The largest number of files beside a program that is in no git repository."""

_NEVER: Final = ("__pycache__/", "*.py[co]", ".ipynb_checkpoints/", ".mypy_cache/", ".pytest_cache/", ".ruff_cache/")
_COMPARED: Final = 20  # earlier states, of which a new one is stored as a difference
_SUBMODULE: Final = "160000"


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
        Whether tracked files differ from the commit.
    left_out
        What is not part of the tree: files that git does not track and that are too large, hold a secret or cannot be
        read.
    """

    top: Path
    tree: str
    commit: str | None = None
    branch: str | None = None
    remote: str | None = None
    dirty: bool = False
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Repository:
    """A user's repository: its work tree, its git directory, and the git directory it shares with other work trees."""

    top: Path
    git: Path
    common: Path


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the index says about a file: a tag (how closely git looks at it), its mode and its content."""

    tag: str
    mode: str
    blob: str


def capture(directory: Path, store: Path, excluded: Sequence[Path] = ()) -> CodeState:
    """Store the state of the code that `directory` belongs to, and return it.

    Parameters
    ----------
    directory
        The directory of the file that defines the task.
    store
        The folder of all states; it is created if needed.
    excluded
        Directories that runs write to and that hold no code.

    Raises
    ------
    GitError
        If git is missing, if it cannot read the files, or if there are too many files outside a repository.
    """
    try:
        repository = _repository_of(directory)
        top = repository.top if repository else directory
        return _snapshot(top, repository, store, excluded)
    except OSError as error:
        raise GitError(str(error)) from error


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


def _snapshot(top: Path, repository: _Repository | None, store: Path, excluded: Sequence[Path]) -> CodeState:
    with tempfile.TemporaryDirectory(prefix="mlxp-code-") as private:
        git, settings = _git_on(top, repository, store, excluded, Path(private))
        state = _state(git, repository, settings, excluded)
        _keep(git, state)
        return state


def _git_on(
    top: Path, repository: _Repository | None, store: Path, excluded: Sequence[Path], private: Path
) -> tuple[Git, dict[str, str]]:
    """Return git with a private directory that has the index and the settings of the user's repository."""
    patterns = _patterns(top, [*excluded, store])
    git = Git(top, private, store)
    git.prepare({})
    if repository is None:
        write(private / "info" / "exclude", patterns)
        return git, {}
    listed = git("config", "-z", "--list", "--file", str(repository.common / "config"), may_fail=True)
    settings = dict(entry.partition("\n")[::2] for entry in listed.split("\0") if entry)
    git.prepare(settings)
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
    """Return what is in `top` but in no state of it: what git ignores, as whole folders, and large files.

    Caches are left out. If `top` is gone, the list is empty.
    """
    if not top.is_dir():
        return []
    repository = _repository_of(top)
    with tempfile.TemporaryDirectory(prefix="mlxp-code-") as private:
        git, _ = _git_on(top, repository, store, [], Path(private))
        listed = git("ls-files", "-z", "-o", "-i", "--exclude-standard", "--directory").split("\0")
        _, others = _files(git)
    caches = {pattern.rstrip("/") for pattern in _NEVER}
    unused = {path.relative_to(top).as_posix() for path in [*excluded, store] if path.is_relative_to(top)}
    ignored = [name.rstrip("/") for name in listed if name]
    ignored = [
        name for name in ignored if Path(name).name not in caches | {".git"} and not name.endswith((".pyc", ".pyo"))
    ]
    large = [name for name in others if (_size(top / name) or 0) > LARGEST_FILE]
    return [name for name in [*ignored, *large] if name not in unused]


def _state(git: Git, repository: _Repository | None, settings: dict[str, str], excluded: Sequence[Path]) -> CodeState:
    known, others = _files(git)
    if repository is None and len(others) > _MOST_FILES:
        raise GitError(f"more than {_MOST_FILES} files lie in {git.top}, which is in no git repository")
    sizes = {name: _size(git.top / name) for name in others if not name.endswith("/")}
    small = _stored(git.top, sizes)
    commit, branch, head_tree = _head(git, repository)
    _see_all_edits(git, known)
    unchanged = _keep_as_it_is(git, known, small)
    git("add", "-u", "--ignore-errors", "--", ":/", may_fail=True)
    differing = (
        set(git("diff-index", "--cached", "--name-only", "-z", head_tree).split("\0")) if head_tree else known.keys()
    )
    dirty = bool(differing - unchanged - {""})
    _add(git, small)
    modules = [name for name, entry in known.items() if entry.mode == _SUBMODULE]
    nested = {
        name: _take_in(git, name, excluded) for name in [*modules, *(one[:-1] for one in others if one.endswith("/"))]
    }
    left_out = [
        *(sizes.keys() - set(small)),
        *(f"{name}/{one}" for name, state in nested.items() if state for one in state.left_out),
    ]
    return CodeState(
        git.top,
        git("write-tree", "--missing-ok").strip(),
        commit,
        branch,
        settings.get("remote.origin.url"),
        dirty or any(state.dirty for name, state in nested.items() if state and name in modules),
        tuple(sorted(left_out)),
    )


def _add(git: Git, names: Iterable[str], *options: str) -> None:
    """Add files to the index; leave out those that cannot be read."""
    names = list(names)
    if names:
        words = ("--ignore-errors", *options, "--pathspec-from-file=-", "--pathspec-file-nul")
        git("--literal-pathspecs", "add", *words, names=names, may_fail=True)


def _take_in(git: Git, name: str, excluded: Sequence[Path]) -> CodeState | None:
    """Put the files of a nested repository, submodule or not, into the tree; return None if it is not there."""
    top = git.top / name
    repository = _repository_of(top)
    if repository is None or repository.top != top:
        return None
    inner, settings = _git_on(top, repository, git.store, excluded, Path(tempfile.mkdtemp(dir=git.private)))
    state = _state(inner, repository, settings, excluded)
    git.alternates += inner.alternates
    git("update-index", "--force-remove", "-z", "--stdin", names=[name])
    git("read-tree", f"--prefix={name}/", state.tree)
    return state


def _files(git: Git) -> tuple[dict[str, _Entry], list[str]]:
    """Return what the index lists, by name, and all other files not ignored; names of repositories end with a slash."""
    known: dict[str, _Entry] = {}
    others: list[str] = []
    for line in git("ls-files", "-z", "-v", "-s", "-c", "-o", "--exclude-standard").split("\0"):
        if line.startswith("? "):
            others.append(line[2:])
        elif line:
            description, _, name = line.partition("\t")
            tag, mode, blob, _ = description.split(" ")
            known[name] = _Entry(tag, mode, blob)
    return known, others


def _stored(top: Path, sizes: Mapping[str, int | None]) -> list[str]:
    """Return which of the untracked files are stored: those that are neither large nor private."""
    stored, total = [], 0
    for size, name in sorted((size, name) for name, size in sizes.items() if size is not None and size <= LARGEST_FILE):
        if not _PRIVATE.fullmatch(Path(name).name) and not _holds_secret(top / name, size):
            total += size
            stored += [name] if total <= _MOST_BYTES else []
    return stored


def _holds_secret(path: Path, size: int) -> bool:
    """Tell whether a small text file holds something that can only be a secret."""
    if not 0 < size <= _MOST_SEARCHED:
        return False
    content = path.read_bytes()
    return b"\0" not in content and has_shape_of_secret(content.decode(errors="replace"))


def _size(path: Path) -> int | None:
    """Return the size of a file; None if it is neither a file nor a link, or cannot be read."""
    try:
        status = path.lstat()
    except OSError:
        return None
    if stat.S_ISLNK(status.st_mode):
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) and os.access(path, os.R_OK) else None


def _head(git: Git, repository: _Repository | None) -> tuple[str | None, str | None, str | None]:
    """Return the commit, branch and tree that are checked out; None for each that does not exist."""
    if repository is None:
        return None, None, None
    head = text(repository.git / "HEAD").strip()
    branch = head.removeprefix("ref: refs/heads/") if head.startswith("ref: refs/heads/") else None
    # The user's repository is asked, since the private one has no references; nothing in it is executed for that.
    asked = ("--git-dir", str(repository.git), "rev-parse", "-q", "--verify")
    commit = git(*asked, "HEAD", may_fail=True).strip()
    tree = git(*asked, "HEAD^{tree}", may_fail=True).strip() if commit else ""
    return commit or None, branch, tree or None


def _see_all_edits(git: Git, known: dict[str, _Entry]) -> None:
    """Make git also look at files that the user told it to assume unchanged."""
    assumed = [name for name, entry in known.items() if entry.tag.islower()]
    skipped = [name for name, entry in known.items() if entry.tag in "Ss" and os.path.lexists(git.top / name)]
    for option, names in (("--no-assume-unchanged", assumed), ("--no-skip-worktree", skipped)):
        if names:
            git("update-index", option, "-z", "--stdin", names=names)


def _keep_as_it_is(git: Git, known: dict[str, _Entry], small: list[str]) -> set[str]:
    """Have every file stored byte for byte; return the unchanged ones whose content differs in the index.

    git may convert line endings, or apply filters such as that of LFS. What it holds for an unchanged file is then not
    what the program reads.
    """
    attributes = git.private / "info" / "attributes"
    has_attributes = any(name.endswith(".gitattributes") for name in [*known, *small]) or text(attributes).strip()
    converted = _converted(git, known) if has_attributes else []
    touched = set(git("diff-files", "--name-only", "-z").split("\0")) if converted else set()
    write(attributes, "* -filter -ident -text -eol -working-tree-encoding\n")
    if converted:
        git("update-index", "--force-remove", "-z", "--stdin", names=converted)
        _add(git, [name for name in converted if os.path.lexists(git.top / name)], "--force")
    return set(converted) - touched


def _converted(git: Git, known: dict[str, _Entry]) -> list[str]:
    """Return the files that the index does not hold byte for byte; large ones stay the pointers that git holds."""
    asked = ("check-attr", "-z", "--stdin", "filter", "ident", "working-tree-encoding", "text", "eol")
    answer = git(*asked, names=known).split("\0")
    given: dict[str, set[str]] = {}
    for name, attribute, value in zip(answer[::3], answer[1::3], answer[2::3], strict=False):
        if value not in ("unspecified", "unset"):
            given.setdefault(name, set()).add(attribute)
    sizes = {name: _size(git.top / name) for name in given}
    # Converted line endings change the size, which is quicker to read than the content.
    blobs = [known[name].blob for name in given]
    held = git("cat-file", "--batch-check=%(objectsize)", given="".join(f"{blob}\n" for blob in blobs)).splitlines()
    return [
        name
        for (name, found), size_held in zip(given.items(), held, strict=False)
        if (sizes[name] or 0) <= LARGEST_FILE and (found - {"text", "eol"} or str(sizes[name]) != size_held)
    ]


def _keep(git: Git, state: CodeState) -> None:
    """Make the store hold a state whole, so that it can be restored when the repository is gone."""
    tree = state.tree
    kept = git.store / "trees"
    if (kept / tree).exists():
        return
    kept.mkdir(exist_ok=True)
    others = sorted(kept.iterdir(), key=lambda file: file.stat().st_mtime)[-_COMPARED:]
    # Keep the commit without its history, so that git can say in a copy what differs from it.
    head = f"--shallow {state.commit}\n{state.commit}\n" if state.commit else ""
    wanted = "".join([head, f"{tree}\n", *(f"^{other.name}\n" for other in others)])
    pack = str(git.store / "objects" / "pack" / "pack")
    git("pack-objects", "--revs", "-q", "--threads=1", "--window=0", "--missing=allow-any", pack, given=wanted)
    (kept / tree).touch()
