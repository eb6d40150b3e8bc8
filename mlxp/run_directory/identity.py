"""What makes two runs the same: their program and their configuration, minus what the user says does not matter.

It is computed from config.yaml and info.yaml and stored nowhere, so that any directory of runs can be asked, also one
of MLXP 1. Values are compared as values: 1 and 1.0 are the same number; 1, true and '1' are three values; and null is
not the same as a key that is not there.
"""

import fnmatch
import functools
import hashlib
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

Values = dict[str, str]
"""The values of a configuration as `spelled`, by their full names."""


_SPELL_THEMSELVES = {str, int}
_SCALARS = {str, int, float, bool, type(None)}
"""Types of most values, which are told apart faster by name than as kinds: there may be a million of them."""


def spelled(value: Any) -> str:
    """Return a text that two values share if they are the same value.

    Examples
    --------
    >>> spelled(1) == spelled(1.0), spelled(1) == spelled(True), spelled(1) == spelled("1")
    (True, False, False)
    >>> spelled({"b": [1, None], "a": 0.5})
    "{'a': 0.5, 'b': [1, null]}"
    """
    if type(value) in _SPELL_THEMSELVES:
        return repr(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return repr(int(value)) if math.isfinite(value) and value.is_integer() else repr(value)
    if isinstance(value, Mapping):
        items = sorted((repr(str(key)), spelled(inner)) for key, inner in value.items())
        return f"{{{', '.join(f'{key}: {inner}' for key, inner in items)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(spelled, value))}]"
    return repr(value) if isinstance(value, int) else repr(str(value))


def values_of(config: Mapping[Any, Any]) -> Values:
    """Return the values of a configuration by their full names; a group without keys counts as none.

    Examples
    --------
    >>> values_of({"model": {"units": 16, "layers": [2, 3]}, "data": {}})
    {'model.units': '16', 'model.layers': '[2, 3]'}
    """
    found: Values = {}
    _add_named(found, config, "")
    return found


def _add_named(found: Values, config: Mapping[Any, Any], prefix: str) -> None:
    for key, value in config.items():
        kind = type(value)
        if kind in _SPELL_THEMSELVES:  # most do, and a call for each of them takes as long as reading their files
            found[f"{prefix}{key}"] = repr(value)
        elif kind not in _SCALARS and isinstance(value, Mapping):
            _add_named(found, value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = spelled(value)


def differing(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> list[str]:
    """Return the names of the values of one configuration that are not those of another.

    Examples
    --------
    >>> differing({"lr": 1, "db": {"password": "s3cret"}}, {"lr": 1.0, "db": {"password": "<masked>"}})
    ['db.password']
    """
    others = values_of(other)
    return [name for name, value in values_of(one).items() if others.get(name) != value]


@dataclass(frozen=True)
class Rules:
    """What does not matter when two configurations are compared.

    Attributes
    ----------
    exclude
        Patterns of the keys that do not matter, such as ``"data.cache*"``; a group stands for all that is in it.
    assume
        Names and spelled values of keys that some runs are too old to have.
    """

    exclude: frozenset[str] = frozenset()
    assume: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, exclude: Iterable[str] = (), assume: Mapping[str, Any] | None = None) -> "Rules":
        """Return the rules that a user has declared; names may begin with ``config.``.

        Examples
        --------
        >>> rules = Rules.of(exclude=["num_workers"], assume={"dropout": 0})
        >>> rules.identity(values_of({"lr": 1, "num_workers": 4})) == rules.identity(
        ...     values_of({"lr": 1.0, "dropout": 0})
        ... )
        True
        """
        names = frozenset(pattern.removeprefix("config.") for pattern in exclude)
        values = {name.removeprefix("config."): value for name, value in values_of(assume or {}).items()}
        return cls(names, tuple(sorted(values.items())))

    def without(self, keys: Iterable[str]) -> "Rules":
        """Return these rules with more keys that do not matter."""
        return Rules(self.exclude | frozenset(map(_literal, keys)), self.assume)

    def identity(self, values: Values) -> str:
        """Return a text that two configurations share if they are the same by these rules."""
        complete = {**dict(self.assume), **values} if self.assume else values
        return "\n".join([f"{name}={complete[name]}" for name in _that_matter(tuple(complete), self.exclude)])


def _literal(name: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in name)


@functools.lru_cache(maxsize=1000)  # the runs of a sweep have the same keys
def _that_matter(names: tuple[str, ...], patterns: frozenset[str]) -> tuple[str, ...]:
    return tuple(name for name in sorted(names) if not _matches(name, patterns))


def _matches(name: str, patterns: frozenset[str]) -> bool:
    parts = name.split(".")
    groups = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
    return any(fnmatch.fnmatchcase(group, pattern) for pattern in patterns for group in groups)


def digest(*parts: str) -> str:
    """Return a short name for what the `parts` say together."""
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:32]


def program_names(info: Mapping[str, Any], submission: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of a run's program, of which two runs of one program share at least one.

    They are the path of the file that defines the task, and its path from the directory of the runs, which stays as it
    is when a project is moved. A copy of the code goes by the path of the original. There is none if nothing is known.
    """
    file = info.get("current_file_path")
    if not isinstance(file, str) or not file:
        return frozenset(filter(None, [submission.get("program")]))
    logger = info.get("logger")
    log_dir = logger.get("log_dir") if isinstance(logger, Mapping) else None
    parent = os.path.dirname(log_dir) if isinstance(log_dir, str) else None  # noqa: PTH120 - a str, and no path of here
    return names_of_program(_original(file, info), parent)


def names_of_program(file: str, parent_log_dir: str | None) -> frozenset[str]:
    """Return the names of a program; see `program_names`.

    Examples
    --------
    >>> sorted(names_of_program("/home/me/project/main.py", "/home/me/project/logs"))
    ['../main.py', '/home/me/project/main.py']
    """
    if parent_log_dir is None or not os.path.isabs(file):  # noqa: PTH117 - as above
        return frozenset({file})
    return frozenset({file, relative_name(file, parent_log_dir)})


def relative_name(file: str, parent_log_dir: str) -> str:
    """Return the path of a program's file from the directory of its runs."""
    return PurePath(os.path.relpath(file, parent_log_dir)).as_posix()


def shortest_name(names: frozenset[str]) -> str:
    """Return the name of a program that most of its runs share: the path from the directory of the runs, if known."""
    return min(names, key=lambda name: (name.startswith("/"), name), default="")


def is_same_program(one: frozenset[str], other: frozenset[str]) -> bool:
    """Tell whether two runs may have the same program, from the names of both; what is unknown may be the same."""
    return not one or not other or bool(one & other)


def _original(file: str, info: Mapping[str, Any]) -> str:
    """Return the path of the file that was copied, if the run was executed in a copy of the code."""
    code, manager = info.get("code") or {}, info.get("version_manager") or {}
    if isinstance(code, Mapping) and code.get("copy") and code.get("top"):
        return _moved(file, str(code["copy"]), str(code["top"]))
    if isinstance(manager, Mapping) and manager.get("repo_path") and manager.get("commit_hash"):
        repository = str(manager["repo_path"])
        copy = f"/{PurePath(repository).name}/{manager['commit_hash']}/"
        before, found, rest = file.partition(copy)
        return f"{repository}/{rest}" if found and before else file
    return file


def _moved(file: str, copy: str, top: str) -> str:
    path = PurePath(file)
    return str(PurePath(top) / path.relative_to(copy)) if path.is_relative_to(copy) else file


def version_of(info: Mapping[str, Any], submission: Mapping[str, Any]) -> str:
    """Return the version of the code that a run was declared to have, as `spelled`."""
    declared = info.get("identity") or submission.get("identity") or {}
    return spelled(declared.get("version") if isinstance(declared, Mapping) else None)
