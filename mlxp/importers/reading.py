"""Reads the files that other tools write, of which any may be missing, damaged, or only half there."""

import ast
import json
import os
from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from mlxp.importers.foreign_run import ForeignRun, UnreadableRunError
from mlxp.run_directory.budget import Budget, spend_on
from mlxp.run_directory.files import LARGEST_FILE

_LONGEST_VALUE: Final = 10_000  # characters of a value that may be a list


def folders_below(source: Path, is_run: Callable[[Path, set[str]], bool], *, nested: bool = False) -> Iterator[Path]:
    """Yield the folders that `is_run` tells, given their path and the names in them, in natural order.

    No symbolic link is followed. The folder of a run is looked into only if it may have other runs in it.
    """
    for folder, folders, names in os.walk(source):
        if is_run(Path(folder), {*folders, *names}):
            if not nested:
                folders.clear()
            yield Path(folder)
        folders.sort(key=natural)


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts numbers in names by their values.

    Examples
    --------
    >>> sorted(["version_10", "version_9"], key=natural)
    ['version_9', 'version_10']
    """
    parts: list[tuple[int, int, str]] = []
    word = ""
    for sign in [*name, ""]:
        if word and (not sign or (word[-1] in "0123456789") != (sign in "0123456789")):
            parts.append((0, int(word), "") if word[0] in "0123456789" else (1, 0, word))
            word = ""
        word += sign
    return tuple(parts)


def files_in(folder: Path) -> list[Path]:
    """Return all files in a folder, in alphabetical order; no symbolic link is followed."""
    found = [Path(place, name) for place, _, names in os.walk(folder) for name in names]
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


def take_files(run: ForeignRun, folder: Path, leave: Container[str] = (), paths: Iterable[Path] | None = None) -> None:
    """Make artifacts of the files in a folder, except those whose names inside it are in `leave`."""
    for path in files_in(folder) if paths is None else paths:
        name = path.relative_to(folder).as_posix()
        if name not in leave:
            run.artifacts[name] = path
    if any(Path(place, name).is_symlink() for place, inner, names in os.walk(folder) for name in (*inner, *names)):
        run.left_out.add("symbolic links")


def text_of(path: Path) -> str:
    """Return the text in a file; what is no UTF-8 in it is shown by escapes.

    Raises
    ------
    UnreadableRunError
        If it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UnreadableRunError(f"{path}: {error.strerror or error}") from error


def json_at(path: Path) -> dict[str, Any]:
    """Return the mapping in a JSON file, or an empty one if there is no such file.

    Raises
    ------
    UnreadableRunError
        If it is damaged.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(text_of(path))
    except (ValueError, RecursionError) as error:
        raise UnreadableRunError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise UnreadableRunError(f"{path} is damaged: it holds no mapping")
    return content


def yaml_at(path: Path) -> dict[Any, Any]:
    """Return the mapping in a YAML file, or an empty one if there is no such file.

    Objects become what they were made of.

    Raises
    ------
    UnreadableRunError
        If it is damaged.
    """
    if not path.exists():
        return {}
    content = yaml_content(path)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UnreadableRunError(f"{path} is damaged: it holds no mapping")
    return content


def yaml_content(path: Path) -> Any:
    """Return what a YAML file holds.

    Raises
    ------
    UnreadableRunError
        If it is damaged.
    """
    text = text_of(path)
    if len(text) > LARGEST_FILE:
        raise UnreadableRunError(f"{path} is too large for a configuration: {len(text)} characters")
    try:
        spend_on(text, Budget())
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    except Exception as error:  # PyYAML raises errors of many kinds for what it cannot understand
        raise UnreadableRunError(f"{path} is damaged: {' '.join(str(error).split())}") from error


class _Loader(yaml.SafeLoader):
    """Makes plain values of tags that are not known, such as those of Python's objects; a date stays a text."""


def _untagged(loader: Any, _tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)


_Loader.add_multi_constructor("", _untagged)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: str(node.value))


def python_value(text: str) -> Any:
    """Return the value that Python spells in exactly these letters; the text if there is none, so that nothing is lost.

    Examples
    --------
    >>> python_value("1e-05"), python_value("[64, 32]"), python_value("1.10"), python_value("None")
    (1e-05, [64, 32], '1.10', None)
    """
    if len(text) > _LONGEST_VALUE:
        return text
    if text in {"nan", "inf", "-inf"}:
        return float(text)
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    is_plain = isinstance(value, int | float | list | dict | None)
    return value if is_plain and repr(value) == text else text
