"""Archives of runs: zip files that hold a log directory, as ``mlxp export`` writes them. Nothing in one is trusted.

Every name, size and kind of an archive is checked before the first byte is unpacked, so that no archive can write
outside of its folder, point elsewhere by a link, or fill the disk.
"""

import contextlib
import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mlxp.errors import LogDirectoryError
from mlxp.run_directory.layout import CACHE_DIR, STORE_DIR

_LARGEST_RATIO: Final = 200
_HARMLESS_SIZE: Final = 200_000_000
"""An archive that unpacks to more bytes than this, and to more than so many times its own size, is a trap."""

_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_RUN: Final = re.compile(r"(?P<logs>(?:[^/]+/)*?)[1-9][0-9]{0,17}/metadata/.+")
_COPIES: Final = f"{STORE_DIR}/copies/"
_ENCRYPTED: Final = 0x1
_DATA_ERRORS: Final = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError)


def is_archive(path: Path) -> bool:
    """Tell whether a path is a zip file."""
    return path.is_file() and zipfile.is_zipfile(path)


class RunArchive:
    """The runs in a zip file, whose names and sizes have been checked.

    Attributes
    ----------
    members
        What the log directory in the archive holds: the entry of each file, by its path in that directory.
    """

    def __init__(self, path: Path, file: zipfile.ZipFile) -> None:
        self.path = path
        self._file = file
        entries = file.infolist()
        _check(entries, path)
        runs = (found for entry in entries if (found := _RUN.fullmatch(entry.filename)))
        prefixes = sorted({found["logs"] for found in runs}, key=lambda prefix: (prefix.count("/"), prefix))
        if not prefixes:
            raise LogDirectoryError(f"{path} holds no runs; mlxp export writes archives of runs")
        inside = [entry for entry in entries if entry.filename.startswith(prefixes[0]) and not _is_left(entry)]
        named = {entry.filename.removeprefix(prefixes[0]): entry for entry in inside}
        # An index would be believed, and is made again.
        self.members = {name: entry for name, entry in named.items() if not name.startswith(f"{CACHE_DIR}/")}

    @property
    def address(self) -> str:
        """What distinguishes the content of this archive from that of any other."""
        listed = sorted((name, entry.CRC, entry.file_size) for name, entry in self.members.items())
        return hashlib.sha256(repr(listed).encode(errors="surrogatepass")).hexdigest()[:20]

    def unpack(self, folder: Path) -> None:
        """Write the files of the log directory into `folder`, with the times that the archive gives them.

        Raises
        ------
        LogDirectoryError
            If the archive is damaged, or if there is no room for it.
        """
        size = sum(entry.file_size for entry in self.members.values())
        if size > shutil.disk_usage(folder).free:
            raise LogDirectoryError(
                f"{self.path} needs {size / 1e6:,.0f} MB, and the disk of {folder} has less than that left"
            )
        try:
            for name, entry in self.members.items():
                self._write(entry, folder / name)
        except _DATA_ERRORS as error:
            raise _damaged(self.path, error) from error

    def _write(self, entry: zipfile.ZipInfo, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open(entry) as packed, target.open("xb") as file:
            shutil.copyfileobj(packed, file, 2**20)
        seconds = time.mktime((*entry.date_time, 0, 0, -1))
        os.utime(target, (seconds, seconds))


@contextlib.contextmanager
def opened(path: Path) -> Iterator[RunArchive]:
    """Open an archive of runs after checking it.

    Raises
    ------
    LogDirectoryError
        If it is no zip file, if it holds no runs, or if what it holds is not safe to unpack.
    """
    try:
        file = zipfile.ZipFile(path)
    except _DATA_ERRORS as error:
        raise _damaged(path, error) from error
    with file:
        yield RunArchive(path, file)


def _damaged(path: Path, error: Exception) -> LogDirectoryError:
    return LogDirectoryError(f"{path} cannot be read as a zip file: {getattr(error, 'strerror', None) or error}")


def _check(entries: list[zipfile.ZipInfo], path: Path) -> None:
    """Refuse an archive that is not safe to unpack."""
    names = {entry.filename for entry in entries}
    for entry in entries:
        if problem := _problem_of(entry, names):
            raise LogDirectoryError(f"{path} is not unpacked, since its entry {entry.filename!r} {problem}")
    if len(names) < len(entries):
        raise LogDirectoryError(f"{path} is not unpacked, since it has several entries of one name")
    size = path.stat().st_size
    # Entries that share their bytes are another way to make a small file large.
    if sum(entry.compress_size for entry in entries) > size:
        raise LogDirectoryError(f"{path} is not unpacked, since its entries overlap")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > max(_HARMLESS_SIZE, _LARGEST_RATIO * size):
        raise LogDirectoryError(
            f"{path} is not unpacked, since its {size / 1e6:,.1f} MB would become {unpacked / 1e6:,.0f} MB"
        )


def _is_left(entry: zipfile.ZipInfo) -> bool:
    """Tell whether an entry is not unpacked: a folder, or a part of a copy of code, which can be made again."""
    return entry.is_dir() or _COPIES in entry.filename


def _problem_of(entry: zipfile.ZipInfo, names: set[str]) -> str | None:
    name = entry.filename
    parts = name.rstrip("/").split("/")
    if name.startswith("/") or "\\" in name or re.match(r"[A-Za-z]:", name) or {"..", ".", ""} & set(parts):
        return "is not a path inside it"
    if any("/".join(parts[:at]) in names for at in range(1, len(parts))):
        return "is inside a file"
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) and not _is_left(entry):
        return "is a link, or no file"
    if entry.flag_bits & _ENCRYPTED:
        return "is encrypted"
    return None if entry.compress_type in _METHODS else "is compressed in a way that is not known here"


def unpacked(path: Path) -> Path:
    """Return a directory with the runs of an archive, in the user's cache; it is unpacked once.

    Raises
    ------
    LogDirectoryError
        If the archive cannot be read, or is not safe to unpack.
    """
    import platformdirs

    with opened(path) as archive:
        folder = platformdirs.user_cache_path("mlxp", appauthor=False) / "archives" / archive.address
        if folder.is_dir():
            return folder
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=folder.parent) as temporary:
                inside = Path(temporary, "logs")
                inside.mkdir()
                archive.unpack(inside)
                inside.rename(folder)
        except LogDirectoryError:
            raise
        except OSError as error:
            if not folder.is_dir():  # else another process was first
                raise LogDirectoryError(f"{path} cannot be unpacked to {folder}: {error.strerror or error}") from error
    return folder
