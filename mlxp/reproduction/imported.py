"""Remembers in the store of a log directory which runs were imported, so that none is added twice."""

from pathlib import Path
from typing import Final

from mlxp.reproduction.exported_run import identity_of, raw_info
from mlxp.run_directory.files import write_atomically
from mlxp.run_directory.layout import STORE_DIR, RunDirectory, log_id_of

_KNOWN: Final = "imported"
"""The folder in the store with a file for each run that was imported, named like its origin."""


def noted(logs: Path, identity: str) -> tuple[int, str] | None:
    """Return the id that an imported run got, and the digest of its content then; None if it is not known."""
    try:
        log_id, digest = _note(logs, identity).read_text(encoding="ascii").split()
        return int(log_id), digest
    except (OSError, ValueError):
        return None


def is_there(logs: Path, log_id: object, identity: str) -> bool:
    """Tell whether the run that has an id, which others may have written, is the one of that identity."""
    here = RunDirectory(logs / str(log_id))
    return (
        log_id_of(str(log_id)) is not None and here.metadata.is_dir() and identity_of(here, raw_info(here)) == identity
    )


def note(logs: Path, identity: str, log_id: int, digest: str) -> None:
    """Record that a run gets an id. To be called before the run is there: whoever is interrupted imports it again."""
    path = _note(logs, identity)
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, f"{log_id} {digest}")


def _note(logs: Path, identity: str) -> Path:
    return logs / STORE_DIR / _KNOWN / identity
