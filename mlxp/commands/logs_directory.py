"""The directory of runs that a command is given by ``--logs``."""

from pathlib import Path

from mlxp.errors import LogDirectoryError


def check_directory(logs: Path) -> None:
    """Raise an error if there is no such directory.

    Raises
    ------
    LogDirectoryError
        If there is none.
    """
    if not logs.is_dir():
        raise LogDirectoryError(f"there is no directory {logs}; name the runs' directory with --logs")
