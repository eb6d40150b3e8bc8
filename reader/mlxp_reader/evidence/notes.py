"""The note beside a table or a figure: what it was made from, and which runs are behind each number.

The note of ``tables/main.tex`` is ``tables/main.json``. It has an entry for each file of that name, so that a table may
be written in several formats, and in it a part for each thing that was made from a frame. Paths in it are relative to
its directory.
"""

import hashlib
import importlib.metadata
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mlxp.errors import LogDirectoryError
from mlxp.run_directory.files import write_atomically
from mlxp_reader.columns.runs import Runs
from mlxp_reader.evidence.cells import Question, cells_of, frame_origin

_FORMAT = "mlxp_note"
_VERSION = 1


def note_of(file: Path) -> Path:
    """Return where the note of a file is.

    Examples
    --------
    >>> note_of(Path("tables/main.tex")).as_posix()
    'tables/main.json'
    """
    return file.with_suffix(".json")


def part_of(frame: Runs, made_by: str, question: Question, **arguments: Any) -> dict[str, Any] | None:
    """Return what a note says of something that was made from a frame; None if it is not known where that is from.

    Parameters
    ----------
    made_by
        The method that made it.
    arguments
        What else decides what it shows, as JSON holds it.
    """
    origin = frame_origin(frame)
    if not origin or not len(frame):
        return None
    return {
        "made_by": made_by,
        "mlxp": importlib.metadata.version("mlxp"),
        "logs": origin["logs"],
        "query": origin["query"],
        "is_whole_query": len(frame) == origin["count"],
        "question": asdict(question),
        "arguments": arguments,
        "cells": cells_of(frame, question),
    }


def write_note(file: Path, parts: Sequence[dict[str, Any] | None]) -> None:
    """Write or renew what the note of a file says of it; without any part that is known, nothing is written.

    Parameters
    ----------
    parts
        What `part_of` returned.

    Raises
    ------
    LogDirectoryError
        If a file that is no note has the name of the note.
    """
    known = [part for part in parts if part is not None]
    if not known:
        return
    file = file.absolute()
    note = note_of(file)
    empty: dict[str, Any] = {_FORMAT: _VERSION, "files": {}}
    content = _read(note) if note.exists() else empty
    if content is None:
        raise LogDirectoryError(f"{note} is no note of MLXP: rename it, or {file.name}, whose note has that name")
    parts = [{**part, "logs": [_relative(path, note.parent) for path in part["logs"]]} for part in known]
    files = {**content["files"], file.name: {"sha256": fingerprint(file), "parts": parts}}
    write_atomically(note, json.dumps({**content, "files": files}, indent=1, ensure_ascii=False) + "\n")


def _relative(path: str, directory: Path) -> str:
    try:
        return Path(os.path.relpath(path, directory)).as_posix()
    except ValueError:  # on another drive of Windows
        return path


def fingerprint(file: Path) -> str:
    """Return a hash of what a file holds; line ends do not count."""
    return hashlib.sha256(file.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def notes_in(path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield each file that a note below `path` speaks of, and its entry.

    Parameters
    ----------
    path
        A directory, a note, or a file that has one.
    """
    notes = sorted(path.rglob("*.json")) if path.is_dir() else [path if path.suffix == ".json" else note_of(path)]
    for note in notes:
        known = _read(note)
        for name, entry in (known["files"] if known else {}).items():
            if path.is_dir() or path.suffix == ".json" or path.name == name:
                yield note.with_name(name), entry


def _read(note: Path) -> dict[str, Any] | None:
    """Return the content of a note; None if the file is none."""
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_note = isinstance(found, dict) and found.get(_FORMAT) == _VERSION and isinstance(found.get("files"), dict)
    return found if is_note else None
