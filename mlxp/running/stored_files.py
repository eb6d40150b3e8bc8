"""Chooses which files that git does not track are part of a state of the code: no data, no secrets, no runs."""

import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from mlxp.run_directory.layout import is_written_by_runs
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


def stored_of(top: Path, sizes: Mapping[str, int | None]) -> list[str]:
    """Return which of the untracked files are stored: those that are neither large nor private."""
    stored, total = [], 0
    for size, name in sorted((size, name) for name, size in sizes.items() if size is not None and size <= LARGEST_FILE):
        if not _PRIVATE.fullmatch(Path(name).name) and not _holds_secret(top / name, size):
            total += size
            stored += [name] if total <= _MOST_BYTES else []
    return stored


def written_by_runs(top: Path, names: Iterable[str]) -> set[str]:
    """Return the outermost folders that MLXP wrote, among those that hold untracked files; each ends with a slash.

    Parameters
    ----------
    top
        The directory that all names start at.
    names
        The untracked files; the name of a whole repository ends with a slash.
    """
    known: dict[str, bool] = {}
    found = set()
    for name in names:
        folders = name.split("/")[:-1]
        for depth in range(1, len(folders) + 1):
            folder = "/".join(folders[:depth])
            if folder not in known:
                known[folder] = is_written_by_runs(top / folder)
            if known[folder]:
                found.add(f"{folder}/")
                break
    return found


def _holds_secret(path: Path, size: int) -> bool:
    """Tell whether a small text file holds something that can only be a secret."""
    if not 0 < size <= _MOST_SEARCHED:
        return False
    content = path.read_bytes()
    return b"\0" not in content and has_shape_of_secret(content.decode(errors="replace"))


def size_of(path: Path) -> int | None:
    """Return the size of a file; None if it is neither a file nor a link, or cannot be read."""
    try:
        status = path.lstat()
    except OSError:
        return None
    if stat.S_ISLNK(status.st_mode):
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) and os.access(path, os.R_OK) else None
