"""A file that lists the names in use: the keys of each metrics file, or the artifacts of each type."""

import contextlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlxp.errors import LogDirectoryError
from mlxp.run_directory.files import read_mapping, write_atomically
from mlxp.running.forks import no_fork

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_PATIENCE = 2.0
"""Seconds after which keys are written even if another process seems to be writing; a file system may be wrong."""

_PAUSE = 0.002


class KeysFile:
    """A YAML file that lists, under nested names, every key seen so far; in memory and on disk alike."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content: dict[str, Any] = {}
        self.stamp: tuple[int, int] | None = None

    def add(self, names: tuple[str, ...], keys: list[str]) -> None:
        """Add `keys` to the list under `names`; the file is rewritten only if one of them is new."""
        with no_fork, _alone(self.path.parent):
            self._add(names, keys)

    def _add(self, names: tuple[str, ...], keys: list[str]) -> None:
        self._reread_if_changed()
        content = self.content
        for name in names[:-1]:
            content = content.setdefault(name, {})
        known = content.setdefault(names[-1], {})
        new = [key for key in keys if key not in known]
        if new:
            known.update(dict.fromkeys(new))
            try:
                write_atomically(self.path, "".join(_lines(self.content)))
            except BaseException:
                for key in new:  # they are still to be written: the disk may have place the next time
                    del known[key]
                raise
            self.stamp = self._stamp()

    def read(self) -> dict[str, Any]:
        """Return the keys under their nested names, each key with the value None."""
        with no_fork:
            self._reread_if_changed()
        return self.content

    def _reread_if_changed(self) -> None:
        # The file holds the keys of earlier attempts of the run, and of other processes that log into it.
        stamp = self._stamp()
        if stamp != self.stamp:
            stored = read_mapping(self.path)  # nothing, if it is damaged: the run goes on
            if "" in stored.values():  # MLXP 1 had a file per log, of that log's name
                stored = {self.path.stem: stored}
            _merge(self.content, stored)
            self.stamp = stamp

    def _stamp(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process of this computer at a time read and write in a folder, if the file system supports that.

    Two processes that write at once would each write only their own keys. The workers of a run are mostly on one
    computer.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise LogDirectoryError(f"cannot create {folder}: {error.strerror or error}") from error
    with contextlib.ExitStack() as afterwards:
        if fcntl is not None:
            with contextlib.suppress(OSError):
                descriptor = os.open(folder, os.O_RDONLY)
                afterwards.callback(os.close, descriptor)
                _wait_for(descriptor)
        yield


def _wait_for(descriptor: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE)
        else:
            return


def _merge(content: dict[str, Any], stored: Mapping[Any, Any]) -> None:
    for name, keys in stored.items():
        if isinstance(keys, dict):
            _merge(content.setdefault(str(name), {}), keys)
        elif isinstance(keys, list):
            content.setdefault(str(name), {}).update(dict.fromkeys(map(str, keys)))
        elif keys == "":  # of MLXP 1
            content[str(name)] = None


def _lines(content: Mapping[str, Any], indent: str = "") -> Any:
    """Yield the YAML lines of nested dicts; the innermost dicts, whose values are None, become lists."""
    for name, keys in content.items():
        yield f"{indent}{_scalar(name)}:\n"
        if next(iter(keys.values()), None) is None:
            yield from [f"{indent}- {_scalar(key)}\n" for key in keys]
        else:
            yield from _lines(keys, f"{indent}  ")


_scalars: dict[str, str] = {}
_PLAIN_SCALAR = re.compile(r"[A-Za-z_][A-Za-z0-9_/.-]*", re.ASCII)
_YAML_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def _scalar(text: str) -> str:
    if _PLAIN_SCALAR.fullmatch(text) and text.lower() not in _YAML_WORDS:
        return text
    if text not in _scalars:
        import yaml

        _scalars[text] = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=2**31 - 1).rstrip("\n")
    return _scalars[text]
