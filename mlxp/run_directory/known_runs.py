"""Finds the runs in a directory that have a given configuration, among ten thousand in less than a second.

Only config.yaml of each run is read, once: a file in the cache keeps what it says, and the state that it was in.
Whatever else counts is read for the few runs that have the configuration.
"""

import contextlib
import os
import time
import zlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from mlxp.run_directory import yaml_lines
from mlxp.run_directory.files import LARGEST_FILE
from mlxp.run_directory.identity import Rules, Values, values_of
from mlxp.run_directory.layout import CACHE_DIR, RunDirectory, log_id_of

FILE_NAME = "configurations.json"
_CONFIG = RunDirectory(Path()).config_file.as_posix()

_MANY = 500
"""How many configurations it takes to be worth a file, and not to be worth the memory of what was learned from them."""

_RACY = 2 * 10**9
"""Nanoseconds; a file that is changed again within one tick of its file system's clock keeps its state."""

_State = tuple[int, int, int]


class KnownRuns:
    """The configurations of the runs in one directory.

    Parameters
    ----------
    parent
        The directory of the runs; it may not exist yet.

    Attributes
    ----------
    values
        The configuration of each run by id; a run whose config.yaml is missing or damaged has none.

    Examples
    --------
    >>> known = KnownRuns(Path("tests/data/mlxp-1.0.5-logs/logs"))
    >>> known.refresh()
    >>> known.with_identity(Rules(), Rules().identity(known.values[3]))
    [3]
    """

    def __init__(self, parent: Path) -> None:
        self.parent = parent
        self.values: dict[int, Values] = {}
        self._indexes: dict[Rules, dict[str, list[int]]] = {}
        self._is_first = True

    def refresh(self) -> None:
        """Read the configurations of the runs that were not there before."""
        try:
            names = os.listdir(self.parent)  # noqa: PTH208 - names are all it takes
        except OSError:
            return
        new = [log_id for name in names if (log_id := log_id_of(name)) and log_id not in self.values]
        cached = _cached(self._cache) if self._is_first and CACHE_DIR in names else {}
        self._is_first = False
        found = {log_id: one for log_id in new if (one := self._read(log_id, cached.get(log_id))) is not None}
        self.values |= {log_id: values for log_id, (_, values) in found.items()}
        for rules, index in self._indexes.items():
            self._add(index, rules, found)
        if sum(one is not cached.get(log_id) for log_id, one in found.items()) > _MANY:
            yaml_lines.forget()
            _write(self._cache, found)

    def with_identity(self, rules: Rules, identity: str) -> list[int]:
        """Return the ids of the runs whose configuration has an identity by some rules, in ascending order."""
        if rules not in self._indexes:
            self._indexes[rules] = defaultdict(list)
            self._add(self._indexes[rules], rules, self.values)
        return sorted(self._indexes[rules].get(identity, ()))

    def _add(self, index: dict[str, list[int]], rules: Rules, log_ids: Iterable[int]) -> None:
        for log_id in log_ids:
            index[rules.identity(self.values[log_id])].append(log_id)

    @property
    def _cache(self) -> Path:
        return self.parent / CACHE_DIR / FILE_NAME

    def _read(self, log_id: int, cached: "_Known | None") -> "_Known | None":
        file = f"{self.parent}/{log_id}/{_CONFIG}"
        try:
            if cached is not None and cached[0] == _state(os.stat(file)):  # noqa: PTH116 - a path costs more than the call
                return cached
            state, text = _content(file)
            content = yaml_lines.load(text.decode()) if len(text) <= LARGEST_FILE else None
        except Exception:  # noqa: BLE001 - PyYAML raises errors of many kinds for what it cannot understand
            return None
        return (state, values_of(content)) if isinstance(content, dict) else None


_Known = tuple[_State, Values]


def _state(status: os.stat_result) -> _State:
    return status.st_size, status.st_mtime_ns, status.st_ino


def _content(file: str) -> tuple[_State, bytes]:
    """Return the state of a file and what it holds, by fewer calls of the system than Python's own files make."""
    handle = os.open(file, os.O_RDONLY)
    try:
        status = os.fstat(handle)
        size = min(status.st_size, LARGEST_FILE + 1)
        text = os.read(handle, size)
        while len(text) < size and (more := os.read(handle, size - len(text))):
            text += more
    finally:
        os.close(handle)
    return _state(status), text


def _cached(file: Path) -> dict[int, _Known]:
    import orjson  # most programs never ask which runs are there

    try:
        check, _, content = file.read_bytes().partition(b"\n")
        if int(check) != zlib.crc32(content):
            return {}
        return {log_id: (tuple(state), values) for log_id, state, values in orjson.loads(content)}
    except (OSError, ValueError):
        return {}


def _write(file: Path, known: dict[int, _Known]) -> None:
    """Keep what was read for the next process, if that is possible."""
    import orjson

    old = time.time_ns() - _RACY
    temporary = file.with_name(f".{file.name}-{os.urandom(6).hex()}")
    with contextlib.suppress(OSError, TypeError):  # TypeError: of text that is no UTF-8
        content = orjson.dumps([(log_id, *one) for log_id, one in known.items() if one[0][1] < old])
        file.parent.mkdir(exist_ok=True)
        temporary.write_bytes(b"%d\n%b" % (zlib.crc32(content), content))
        temporary.replace(file)
