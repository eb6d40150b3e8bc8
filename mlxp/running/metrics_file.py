"""One metrics file: records become lines of JSON, and each is appended by one write."""

import json
import math
import os
import re
import time
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn

import orjson

from mlxp.errors import InvalidKeyError, LogDirectoryError
from mlxp.run_directory.layout import RESERVED_LOG_NAMES

_CHECK_INTERVAL = 0.1
"""Seconds between two looks at whether a metrics file that is being written still exists."""


class MetricsFile:
    """One metrics file, kept open for appending."""

    __slots__ = ("checked_at", "descriptor", "keys", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keys: set[str] = set()
        self.checked_at = time.monotonic()
        try:
            _drop_torn_line(path)
            self.descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        except OSError as error:
            raise LogDirectoryError(f"cannot open {path}: {error.strerror or error}") from error

    def append(self, line: bytes) -> None:
        """Append one line; the operating system has it when this returns."""
        try:
            written = os.write(self.descriptor, line)
        except OSError as error:
            self.fail(error)
        if written < len(line):
            self.finish(line[written:])
        now = time.monotonic()
        if now - self.checked_at > _CHECK_INTERVAL:
            self.checked_at = now
            if self.is_gone():
                raise LogDirectoryError(f"{self.path} has been removed while the run was writing it")

    def finish(self, rest: bytes) -> None:
        """Write the rest of a line, or take the line back."""
        # A write is cut short when a disk becomes full; what follows says why.
        try:
            while rest:
                rest = rest[os.write(self.descriptor, rest) :]
        except OSError as error:
            _drop_torn_line(self.path)
            self.fail(error)

    def fail(self, error: OSError) -> NoReturn:
        """Raise what tells the user why a record was not written."""
        raise LogDirectoryError(
            f"cannot write to {self.path}: {error.strerror or error}; the records before this one are there"
        ) from error

    def is_gone(self) -> bool:
        """Tell whether the file has been removed."""
        return os.fstat(self.descriptor).st_nlink == 0


def _drop_torn_line(path: Path) -> None:
    """Cut off a last line that a killed process, or a full disk, left without its end."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return
    with path.open("rb+") as file:
        start = size
        while start > 0:
            start = max(0, start - 4096)
            file.seek(start)
            end_of_line = file.read(4096).rfind(b"\n")
            if end_of_line >= 0:
                start += end_of_line + 1
                break
        if start < size:
            file.truncate(start)


_PLAIN = frozenset({str, int, bool, type(None)})
_to_json = json.JSONEncoder().encode


def encoded(metrics: Mapping[str, Any]) -> bytes:
    """Return a record as one line of JSON, with NaN and infinities spelled as the json module does."""
    if not isinstance(metrics, Mapping):
        raise TypeError(f"log_metrics takes a dict of values by name, not {type(metrics).__name__}")
    isfinite = math.isfinite
    for value in metrics.values():
        kind = type(value)
        if not (isfinite(value) if kind is float else kind in _PLAIN):
            break
    else:
        try:
            return orjson.dumps(metrics, option=orjson.OPT_APPEND_NEWLINE)
        except TypeError:  # a key that is no string, an int beyond 64 bits, half of a surrogate pair
            pass
    return _encoded_slowly(metrics)


def _encoded_slowly(metrics: Mapping[str, Any]) -> bytes:
    plain = {}
    for key, value in metrics.items():
        if not isinstance(key, str):
            raise TypeError(f"the name of a metric is a str, not {key!r}")
        plain[key] = _plain_value(value, key)
    return (_to_json(plain) + "\n").encode("ascii")


def _plain_value(value: Any, key: str) -> Any:
    if type(value) in _PLAIN or type(value) is float:
        return value
    if isinstance(value, list | tuple):
        return [_plain_value(item, key) for item in value]
    if isinstance(value, Enum):
        value = value.value
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # numpy scalars, tensors of any library
        value = value.item()
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if type(value).__name__ == "longdouble":
        return float(value)
    raise TypeError(
        f"the metric {key!r} is {_described(value)}; a value is an int, float, bool, str or None, "
        "a numpy scalar or 0-d tensor, or a list of such"
    )


def _described(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"of type {type(value).__name__}" + (f" and shape {tuple(shape)}" if shape else "")


def check_log_name(name: object) -> None:
    """Raise InvalidKeyError if no metrics file can have that name."""
    if not isinstance(name, str):
        raise InvalidKeyError(f"a log name is a str, not {name!r}")
    if name in RESERVED_LOG_NAMES:
        raise InvalidKeyError(f"the log name '{name}' is reserved; the reserved names are {sorted(RESERVED_LOG_NAMES)}")
    if not name or name.startswith(".") or re.search(r"[/\\\0]", name):
        raise InvalidKeyError(f"a log name is a plain file name that does not start with a dot, not {name!r}")
