"""The metrics files of a run: each record becomes a line of JSON, which is appended by one write."""

import contextlib
import errno
import itertools
import json
import math
import os
import random
import re
import sys
import time
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import orjson

from mlxp.errors import InvalidKeyError, LogDirectoryError
from mlxp.run_directory.files import is_writable_text
from mlxp.run_directory.layout import RESERVED_LOG_NAMES, RunDirectory
from mlxp.running.forks import Locked
from mlxp.running.keys_file import KeysFile
from mlxp.running.record_times import note_time

fcntl: Any
resource: Any
try:
    import fcntl
    import resource
except ImportError:  # Windows
    fcntl = resource = None

_CHECK_INTERVAL = 0.1
"""Seconds between two checks of whether a metrics file that is being written still exists."""


class MetricsFile(Locked):
    """One metrics file, kept open for appending.

    An open file is a number, which the system gives to another file once this one is closed: by `close` while another
    thread is about to write, or by somebody's ``os.closerange``. So only one thread at a time writes or closes, and it
    first makes sure that the number is still this file's: the file's position is at a mark that no other file has.
    (A file that is appended to has no other use for its position, and reading it costs a fourth of what ``os.fstat``
    costs.)
    """

    def __init__(self, path: Path, times_file: Path, started_at: float) -> None:
        super().__init__()
        self.path = path
        self.keys: set[str] = set()
        self._times_file, self._started_at = times_file, started_at
        self._checked_at = -math.inf
        self._is_closed = False
        self._identity: _Identity | None = None
        self._mark = 2**32 + random.getrandbits(39)
        try:
            _drop_line_left_torn(path)
            self._open(os.O_CREAT)
        except OSError as error:
            raise LogDirectoryError(f"cannot open {path}: {error.strerror or error}") from error

    def append(self, line: bytes) -> None:
        """Append one line; the operating system has it when this returns.

        After `close`, the file is opened just for this line.

        Raises
        ------
        LogDirectoryError
            If the line cannot be written as a whole.
        """
        with self.lock:
            try:
                is_ours = os.lseek(self._descriptor, 0, os.SEEK_CUR) == self._mark
            except OSError:
                is_ours = False
            if not is_ours:
                self._make_sure()
            keeps_mark = is_ours and _PWRITE_APPENDS
            try:
                if keeps_mark:
                    written = os.pwrite(self._descriptor, line, self._mark)
                else:
                    written = os.write(self._descriptor, line)
            except OSError as error:
                written = self._written_again(line, error)
            if written < len(line):
                self._finish(line[written:])
            if not keeps_mark:
                self._set_mark()
            if not is_ours and self._is_closed:
                self.close()
        if time.monotonic() - self._checked_at > _CHECK_INTERVAL:
            self._checked_at = time.monotonic()
            if self.is_gone():
                raise self._removed()
            note_time(self._times_file, self.path, self._started_at)

    def _written_again(self, line: bytes, error: OSError) -> int:
        if error.errno != errno.EBADF:
            raise self._failed(error) from error
        self._make_sure()  # it was closed after it had been made sure of
        try:
            return os.write(self._descriptor, line)
        except OSError as again:
            raise self._failed(again) from again

    def _set_mark(self) -> None:
        # A file without positions, or with smaller ones only, gets no mark: `_make_sure` is then called at each write.
        with contextlib.suppress(OSError):
            os.lseek(self._descriptor, self._mark, os.SEEK_SET)

    def _finish(self, rest: bytes) -> None:
        # A write is cut short when a disk becomes full; writing the rest shows the reason.
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            _drop_torn_line(self.path)
            raise self._failed(error) from error

    def _make_sure(self) -> None:
        """Open the file again if its number is now unused, or is that of another file."""
        if self._is_open():
            return
        self._descriptor = -1  # whosever it is, it is not ours to close
        try:
            self._open()
        except FileNotFoundError as error:
            raise self._removed() from error
        except OSError as error:
            raise self._failed(error) from error

    def _open(self, flags: int = 0) -> None:
        descriptor = _high_number(os.open(self.path, os.O_WRONLY | os.O_APPEND | _O_BINARY | flags, 0o666))
        identity = _identity(descriptor)
        if self._identity not in (None, identity):
            os.close(descriptor)
            raise self._removed()
        self._descriptor, self._identity = descriptor, identity

    def _is_open(self) -> bool:
        return self._descriptor >= 0 and _identity(self._descriptor) == self._identity

    def close(self) -> None:
        """Close the file, unless somebody else has closed it."""
        with self.lock:
            self._is_closed = True
            is_open, descriptor, self._descriptor = self._is_open(), self._descriptor, -1
            if is_open:
                try:
                    os.close(descriptor)
                except OSError as error:  # a file system may say only now that there was no place
                    raise self._failed(error) from error

    def is_gone(self) -> bool:
        """Tell whether the file has been removed."""
        with self.lock:
            return os.fstat(self._descriptor).st_nlink == 0 if self._is_open() else not self.path.exists()

    def _removed(self) -> LogDirectoryError:
        return LogDirectoryError(f"{self.path} has been removed while the run was writing it")

    def _failed(self, error: OSError) -> LogDirectoryError:
        return LogDirectoryError(
            f"cannot write to {self.path}: {error.strerror or error}; the records before this one are there"
        )


_PWRITE_APPENDS = sys.platform == "linux"
"""Whether ``os.pwrite`` appends to a file that is open for appending, and leaves its position where it is.

Elsewhere, it writes at the position that it is given, as POSIX says, so that ``os.write`` appends and moves the mark.
"""

_O_BINARY = getattr(os, "O_BINARY", 0)  # Windows would write two characters for the end of a line

_FOR_APPENDING = getattr(os, "O_ACCMODE", 0) | os.O_APPEND

_Identity = tuple[int, int, int]


_HIGHEST = 1000
_turns = itertools.count()


def _high_number(descriptor: int) -> int:
    """Give an open file a number that no other file gets soon, since the system gives out the lowest free number.

    If somebody writes to it without knowing that it was closed, that is then an error.
    """
    if fcntl is None:
        return descriptor
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    half = (min(limit, _HIGHEST) if limit > 1 else _HIGHEST) // 2  # there may be no limit, which is -1
    try:
        high = int(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, half + next(_turns) % half))
    except OSError:  # all above are taken
        return descriptor
    os.close(descriptor)
    return high


def _identity(descriptor: int) -> _Identity | None:
    """Return which file is open under a number, and in which mode; None if there is none."""
    try:
        status = os.fstat(descriptor)
        return status.st_dev, status.st_ino, fcntl.fcntl(descriptor, fcntl.F_GETFL) & _FOR_APPENDING if fcntl else 0
    except OSError:
        return None


class MetricsFiles(Locked):
    """The metrics files of one run, by name, and the list of their keys."""

    def __init__(self, run: RunDirectory) -> None:
        super().__init__()
        self.by_name: dict[str, MetricsFile] = {}
        self._run = run
        self._keys = KeysFile(run.metrics_keys_file)
        self._started_at = time.time()
        self._is_closed = False

    def opened(self, log_name: str) -> MetricsFile:
        """Return the file of that name, after creating it if needed."""
        check_log_name(log_name)
        with self.lock:
            file = self.by_name.get(log_name)
            if file is None:
                file = self.by_name[log_name] = self._new_file(log_name)
                if self._is_closed:
                    file.close()
            return file

    def _new_file(self, log_name: str) -> MetricsFile:
        with contextlib.suppress(OSError):
            self._run.record_times.mkdir(exist_ok=True)
        return MetricsFile(self._run.metrics_file(log_name), self._run.record_times_file(log_name), self._started_at)

    def list_keys(self, log_name: str, keys: list[str]) -> None:
        """Record the keys of a file where readers look for them."""
        with self.lock:
            self._keys.add((log_name,), keys)
            self.by_name[log_name].keys.update(keys)

    def removed(self) -> list[Path]:
        """Return the open files that somebody has removed."""
        with self.lock:
            return [file.path for file in self.by_name.values() if not self._is_closed and file.is_gone()]

    def close(self) -> None:
        """Close all files; what threads log afterwards is still written."""
        with self.lock, contextlib.ExitStack() as files:  # each is closed, whatever becomes of the others
            self._is_closed = True
            for file in self.by_name.values():
                files.callback(file.close)


def _drop_torn_line(path: Path) -> None:
    """Cut off a last line that a killed process or a full disk left incomplete."""
    torn = _torn_line(path)
    if torn is not None:
        os.truncate(path, torn.start)


def _drop_line_left_torn(path: Path) -> None:
    """Cut it off at the start, when another process of the run may be about to write the end of that line."""
    torn = _torn_line(path)
    if torn is not None:
        time.sleep(_TIME_TO_WRITE)
        if _torn_line(path) == torn:
            os.truncate(path, torn.start)


_TIME_TO_WRITE = 0.05


def _torn_line(path: Path) -> range | None:
    """Return where in the file an incomplete last line is; None if there is none."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return None
    start = size
    with path.open("rb") as file:
        while start > 0:
            start = max(0, start - 4096)
            file.seek(start)
            end_of_line = file.read(4096).rfind(b"\n")
            if end_of_line >= 0:
                start += end_of_line + 1
                break
    return range(start, size) if start < size else None


_PLAIN = frozenset({str, int, bool, type(None)})
_to_json = json.JSONEncoder(separators=(",", ":")).encode  # as orjson does: files whose lines are alike read faster


def encoded(metrics: Mapping[str, Any]) -> bytes:
    """Return a record as one line of JSON, with NaN and infinities spelled as the json module does."""
    if type(metrics) is not dict and not isinstance(metrics, Mapping):  # the first costs a third of the second
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
            hint = f"write '{key}': " if isinstance(key, int) else ""
            raise TypeError(f"{hint}the name of a metric is a str, not {key!r}")
        if not is_writable_text(key):
            raise InvalidKeyError(f"the name of a metric is a text that UTF-8 can hold, not {key!r}")
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
        f"a numpy scalar or 0-d tensor, or a list of such{_hint(value, key)}"
    )


def _hint(value: Any, key: str) -> str:
    if isinstance(value, Mapping):
        inner = next(iter(value), "name")
        return f"; give each value in the dict a name of its own, such as {f'{key}.{inner}'!r}"
    return "; write its values as a list: .tolist()" if hasattr(value, "tolist") else ""


def _described(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"of type {type(value).__name__}" + (f" and shape {tuple(shape)}" if shape else "")


def check_log_name(name: object) -> None:
    """Raise InvalidKeyError if no metrics file can have that name."""
    if not isinstance(name, str):
        raise InvalidKeyError(f"a log name is a str, not {name!r}")
    if name in RESERVED_LOG_NAMES:
        raise InvalidKeyError(f"the log name '{name}' is reserved; the reserved names are {sorted(RESERVED_LOG_NAMES)}")
    if not is_writable_text(name):
        raise InvalidKeyError(f"a log name is a text that UTF-8 can hold, not {name!r}")
    if not name or name.startswith(".") or re.search(r"[/\\\0]", name):
        raise InvalidKeyError(f"a log name is a plain file name that does not start with a dot, not {name!r}")
