"""Loads YAML with exactly the types of PyYAML's safe loader, but many times faster for files that a dumper wrote.

The files of one sweep differ in a few lines. Each distinct line in plain block style is parsed once and remembered. A
file with any line, or arrangement of lines, that is not of this simple kind goes to PyYAML as a whole.
"""

import re
from functools import lru_cache
from typing import Any

import yaml

from mlxp.run_directory.budget import Budget, spend_on

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_VALUE, _EMPTY, _SECTION, _ITEM, _OTHER = range(5)
"""What a line is: ``key: value``, ``key: []`` or ``key: {}``, ``key:``, ``- value``, or something for PyYAML."""

_Line = tuple[int, int, Any, Any]
"""The place of a line, what it is, its key and its value.

Lines at the same place belong to the same kind of collection: twice the indent for those of a mapping, and one more
for the items of a list. What is nested deeper in a mapping has a larger place than the mapping.
"""

# Line breaks other than \n, tabs and control characters are left to PyYAML, as are anchors, tags, block scalars and
# flow collections: the first character of a value tells.
_SIMPLE = r"[^\s!&*|>%@`\[{?,#][^\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]*"
_KEY_LINE = re.compile(rf"([A-Za-z0-9_][\w.\-/]{{0,200}}):(?: ({_SIMPLE}|\[\]|\{{\}}))?")
_ITEM_LINE = re.compile(rf"- ({_SIMPLE})")

# No implicit type of YAML 1.1 starts with one of these characters.
_TEXT = r"[A-EG-MP-SU-XZa-eg-mp-su-xz_/][A-Za-z0-9_./=+@,%-]*"
_INT = r"-?(?:0|[1-9][0-9]{0,17})"
_SURELY_TEXT = re.compile(_TEXT)
_QUOTED_TEXT = re.compile(r"'([ -&(-~]*)'")
_DECIMAL_INT = re.compile(_INT)
_DECIMAL_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:e[-+][0-9]+)?")
# Most of the lines in which each run differs from all others, such as its id and its directories.
_FREQUENT_LINE = re.compile(rf"([A-Za-z0-9_][\w.\-/]{{0,200}}): (?:({_TEXT})|({_INT}))")

_MOST_LINES_REMEMBERED = 200_000
_LONGEST_LINE_REMEMBERED = 300
_LONGEST_SCALAR = 1000  # longer ones are checked for being an endless number
_COLLECTIONS: dict[str, type[Any]] = {"[]": list, "{}": dict}

_remembered: dict[str, _Line] = {}


def load(text: str, budget: Budget | None = None) -> Any:
    r"""Return what ``yaml.safe_load(text)`` returns.

    Parameters
    ----------
    text
        The content of a YAML file.
    budget
        How much the text may stand for; what it does stand for is deducted from this. By default, it is as much as the
        files of one run may stand for.

    Raises
    ------
    yaml.YAMLError
        If `text` is not valid YAML, or stands for more than `budget` has left.

    Examples
    --------
    >>> load("lr: 1e-3\nlayers:\n- 64\n- 0o7\n")
    {'lr': '1e-3', 'layers': [64, '0o7']}
    """
    budget = budget or Budget()
    try:
        content = _load_lines(text)
    except _NotSimpleError:
        spend_on(text, budget)
        return yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader
    budget.spend(text.count("\n"), len(text))  # no line of the simple kind holds two values
    return content


def forget() -> None:
    """Forget all lines: after many files, they take more memory than the files' contents."""
    _remembered.clear()


class _NotSimpleError(Exception):
    """The text is not of the simple kind that is understood line by line."""


def _load_lines(text: str) -> Any:
    root: dict[Any, Any] = {}
    current: Any = root
    here = 0  # the place of the lines of the current collection
    outer: list[tuple[int, Any]] = []  # the mappings around the current collection, with their places
    section: Any = None  # the key of the previous line, if that was `key:`
    after_section = False
    for line in text[:-1].split("\n") if text.endswith("\n") else text.split("\n"):
        place, kind, key, value = _remembered.get(line) or _understood(line)
        if after_section:
            after_section = False
            if place > here:
                outer.append((here, current))
                current[section] = current = [] if kind == _ITEM else {}
                here = place
        if place != here:
            here, current = _mapping_at(place, outer)
        if kind == _VALUE:
            current[key] = value
        elif kind == _ITEM:
            current.append(value)
        elif kind == _SECTION:
            current[key] = None
            section, after_section = key, True
        elif kind == _EMPTY:
            current[key] = value()  # each file gets a collection of its own
        else:
            raise _NotSimpleError
    return root


def _mapping_at(place: int, outer: list[tuple[int, Any]]) -> tuple[int, Any]:
    """Return the enclosing mapping that a line at `place` belongs to."""
    while outer and outer[-1][0] >= place:
        found = outer.pop()
        if found[0] == place:
            return found
    raise _NotSimpleError


def _understood(line: str) -> _Line:
    if len(_remembered) > _MOST_LINES_REMEMBERED:
        _remembered.clear()
    body = line.lstrip(" ")
    kind, key, value = _parsed(body)
    understood = 2 * (len(line) - len(body)) + (kind == _ITEM), kind, key, value
    if len(line) <= _LONGEST_LINE_REMEMBERED:
        _remembered[line] = understood
    return understood


def _parsed(body: str) -> tuple[int, Any, Any]:
    try:
        if match := _FREQUENT_LINE.fullmatch(body):
            key, text, number = match.groups()
            return _VALUE, _key(key), int(number) if text is None else text
        if match := _KEY_LINE.fullmatch(body):
            key, value = match.groups()
            if value is None:
                return _SECTION, _key(key), None
            if value in _COLLECTIONS:
                return _EMPTY, _key(key), _COLLECTIONS[value]
            return _VALUE, _key(key), _scalar(value)
        if match := _ITEM_LINE.fullmatch(body):
            return _ITEM, None, _scalar(match[1])
    except (yaml.YAMLError, _NotSimpleError, ValueError):
        pass  # PyYAML judges the whole file and says where it is wrong
    return _OTHER, None, None


def _scalar(text: str) -> Any:
    if _SURELY_TEXT.fullmatch(text):
        return text
    if quoted := _QUOTED_TEXT.fullmatch(text):
        return quoted[1]
    if _DECIMAL_INT.fullmatch(text):
        return int(text)
    if _DECIMAL_FLOAT.fullmatch(text):
        return float(text)
    if text.startswith("- ") or len(text) > _LONGEST_SCALAR:
        raise _NotSimpleError
    # As an item, since a text such as --- means something else at the start of a document.
    (value,) = yaml.load(f"- {text}", Loader=_LOADER)  # noqa: S506 - a safe loader
    if isinstance(value, dict | list | set | bytes):
        raise _NotSimpleError
    return value


_key = lru_cache(maxsize=10_000)(_scalar)
