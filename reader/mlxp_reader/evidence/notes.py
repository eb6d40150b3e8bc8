"""The note beside a table or a figure: what it was made from, and which runs are behind each number.

The note of ``tables/main.tex`` is ``tables/main.json``. It has an entry for each file of that name, so that a table may
be written in several formats, and in it a part for each thing that was made from a frame. Paths in it are relative to
its directory.
"""

import hashlib
import importlib.metadata
import json
import os
import re
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
    if not isinstance(content, dict):
        told = content or "is not a note of MLXP"
        raise LogDirectoryError(f"{note} {told}: rename it, or {file.name}, whose note has that name")
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


def notes_in(path: Path) -> Iterator[tuple[Path, dict[str, Any] | str]]:
    """Yield each file that a note below `path` speaks of, and its entry; or a note, and why it cannot be read.

    Parameters
    ----------
    path
        A directory, a note, or a file that has one.
    """
    notes = sorted(path.rglob("*.json")) if path.is_dir() else [path if path.suffix == ".json" else note_of(path)]
    for note in notes:
        known = _read(note)
        if isinstance(known, str):
            yield note, known
        for name, entry in (known["files"] if isinstance(known, dict) else {}).items():
            if path.is_dir() or path.suffix == ".json" or path.name == name:
                yield note.with_name(name), entry


def _read(note: Path) -> dict[str, Any] | str | None:
    """Return the content of a note, or why it cannot be read; None if the file is no note."""
    try:
        text = note.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    if f'"{_FORMAT}"' not in text[:1000]:  # it is the first key
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return "is a damaged note"
    if not isinstance(found, dict) or _FORMAT not in found:
        return None
    if found[_FORMAT] != _VERSION:
        return f"is a note of another version of MLXP, of format {found[_FORMAT]!r}; this one reads {_VERSION}"
    return found if _fits(found.get("files"), {_NAME: _ENTRY}) else "is a damaged note"


_NAME = re.compile(r"(?!\.\.?$)[^/\\\0]+")
_ENTRY: Any = {
    "sha256": str,
    "parts": [
        {
            "logs": [str],
            "query": str,
            "is_whole_query": bool,
            "question": {"values": [str], "by": ([str], type(None)), "over": [str], "exclude": [str]},
            "cells": [{"value": str, "setting": dict, "runs": {re.compile(".*"): dict}}],
        }
    ],
}
"""What verification takes from an entry."""


def _fits(value: Any, shape: Any) -> bool:
    """Tell whether a value is of a type, a list of such, a dict with these keys, or any of several."""
    if isinstance(shape, tuple):
        return any(_fits(value, one) for one in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(one, shape[0]) for one in value)
    if not isinstance(shape, dict):
        return isinstance(value, shape)
    if not isinstance(value, dict):
        return False
    pattern, of_each = next(iter(shape.items()))
    if isinstance(pattern, re.Pattern):
        return all(pattern.fullmatch(name) and _fits(one, of_each) for name, one in value.items())
    return all(name in value and _fits(value[name], one) for name, one in shape.items())
