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

_VALUE, _SECTION, _ITEM, _OTHER = range(4)
"""What a line is: ``key: value``, ``key:``, ``- value``, or something for PyYAML."""

_Line = tuple[int, Any, Any]

# Line breaks other than \n, tabs and control characters are left to PyYAML, as are anchors, tags, block scalars and
# flow collections: the first character of a value tells.
_SIMPLE = r"[^\s!&*|>%@`\[{?,#][^\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]*"
_KEY_LINE = re.compile(rf"([A-Za-z0-9_][\w.\-/]{{0,200}}):(?: ({_SIMPLE}|\[\]|\{{\}}))?")
_ITEM_LINE = re.compile(rf"- ({_SIMPLE})")

_DECIMAL_INT = re.compile(r"-?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_DECIMAL_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:e[-+][0-9]+)?", re.ASCII)
# No implicit type of YAML 1.1 starts with one of these characters.
_SURELY_TEXT = re.compile(r"[A-EG-MP-SU-XZa-eg-mp-su-xz_/][A-Za-z0-9_./=+@,%-]*", re.ASCII)
_QUOTED_TEXT = re.compile(r"'([ -&(-~]*)'", re.ASCII)

_MOST_LINES_REMEMBERED = 200_000
_LONGEST_LINE_REMEMBERED = 300
_LONGEST_SCALAR = 1000  # longer ones are checked for being an endless number
_EMPTY: dict[str, type[Any]] = {"[]": list, "{}": dict}

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
    indent = 0
    outer: list[tuple[int, Any]] = []  # the collections around the current one, with their indents
    section: Any = None  # the key of the previous line, if that was `key:`
    after_section = False
    for line in text[:-1].split("\n") if text.endswith("\n") else text.split("\n"):
        body = line.lstrip(" ")
        kind, key, value = _remembered.get(body) or _understood(body)
        depth = len(line) - len(body)
        if after_section and (depth > indent or (kind == _ITEM and depth == indent and type(current) is dict)):
            outer.append((indent, current))
            current[section] = current = [] if kind == _ITEM else {}
            indent = depth
        elif depth != indent or (kind == _ITEM) != (type(current) is list):
            indent, current = _collection_at(depth, kind, outer)
        after_section = kind == _SECTION
        if kind == _ITEM:
            current.append(value)
        elif kind == _OTHER:
            raise _NotSimpleError
        else:
            current[key] = value() if type(value) is type else value
            section = key
    return root


def _collection_at(depth: int, kind: int, outer: list[tuple[int, Any]]) -> tuple[int, Any]:
    """Return the enclosing collection that a line with indent `depth` belongs to."""
    while outer:
        indent, collection = outer.pop()
        if indent < depth:
            break
        if indent == depth and (kind == _ITEM) == (type(collection) is list):
            return indent, collection
    raise _NotSimpleError


def _understood(body: str) -> _Line:
    if len(_remembered) > _MOST_LINES_REMEMBERED:
        _remembered.clear()
    line = _parsed(body)
    if len(body) <= _LONGEST_LINE_REMEMBERED:
        _remembered[body] = line
    return line


def _parsed(body: str) -> _Line:
    try:
        if match := _KEY_LINE.fullmatch(body):
            key, value = match.groups()
            if value is None:
                return _SECTION, _key(key), None
            return _VALUE, _key(key), _EMPTY.get(value) or _scalar(value)
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
