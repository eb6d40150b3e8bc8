"""The directory of runs that a command is given by ``--logs``."""

from pathlib import Path

from mlxp.errors import LogDirectoryError
from mlxp.run_directory.archive import is_archive, unpacked


def check_directory(logs: Path) -> None:
    """Raise an error if there is no such directory.

    Raises
    ------
    LogDirectoryError
        If there is none.
    """
    if not logs.is_dir():
        raise LogDirectoryError(f"there is no directory {logs}; name the runs' directory with --logs")


def readable(logs: Path) -> Path:
    """Return the directory of the runs, for commands that only read; that of an archive is in the user's cache.

    Raises
    ------
    LogDirectoryError
        If the archive is not safe to unpack.
    """
    return unpacked(logs) if is_archive(logs) else logs
