"""Tracks which runs a run loads something from, such as a checkpoint or an artifact.

Whoever loads something from a run's directory says so here, and a run that is under way records it. Outside a run,
nobody listens.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_listeners: list[dict[str, None]] = []


def note_loaded(file: Path) -> None:
    """Report that a file of some run has been loaded."""
    if not _listeners:
        return
    path = Path(os.path.abspath(file))  # noqa: PTH100 - follow no symbolic links
    run = next((folder for folder in path.parents if (folder / "metadata").is_dir()), None)
    for listener in _listeners if run is not None else ():
        listener[str(run)] = None


@contextlib.contextmanager
def loaded_runs() -> Iterator[dict[str, None]]:
    """Within this context, collect the directories of the runs that something is loaded from, in that order.

    Examples
    --------
    >>> import tempfile
    >>> logs = Path(tempfile.mkdtemp())
    >>> (logs / "3" / "metadata").mkdir(parents=True)
    >>> with loaded_runs() as runs:
    ...     note_loaded(logs / "3" / "artifacts" / "pickle" / "last_ckpt.pkl")
    >>> [Path(run).name for run in runs]
    ['3']
    """
    listener: dict[str, None] = {}
    _listeners.append(listener)
    try:
        yield listener
    finally:
        # By identity: two that heard the same are equal.
        _listeners[:] = [other for other in _listeners if other is not listener]


def seen_from(run: str, own: str | None) -> str:
    """Return the directory of a run as seen from that of another one, which loads something from it.

    Runs beside each other are so by any name: a copy of the code, in which a rerun is executed, has a link to the runs.

    Examples
    --------
    >>> seen_from("/logs/3", "/logs/12"), seen_from("/logs/12", "/logs/12"), seen_from("/logs/3", None)
    ('../3', '.', '/logs/3')
    """
    if own is None:
        return run
    real, here = Path(os.path.realpath(run)), Path(os.path.realpath(own))
    if real.parent == here.parent:
        return "." if real == here else f"../{real.name}"
    return Path(os.path.relpath(run, own)).as_posix()
