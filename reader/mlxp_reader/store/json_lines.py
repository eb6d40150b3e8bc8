"""From the text of metric files to typed values: one JSON object per line in, one array per key out.

Nearly every metric file repeats the same keys in the same order on each line. The fast way reads such text
without making a dictionary per line: it verifies that the keys, and nothing else, are there, and overwrites them with
blanks, which leaves one flat JSON list. The careful way reads any other text line by line. Both give equal values and
types; the careful way reports the lines that it cannot read.
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby, pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

Kind = Literal["int", "float", "bool", "string", "json"]
"""The type of all values of a key in one file; ``json`` stands for mixed types, ``None``, lists and big integers."""

Values = npt.NDArray[Any] | list[str]
"""An array, or for the kinds ``string`` and ``json`` a list, in which a JSON value is its text."""

MAX_PROBLEMS = 20
"""How many bad lines of one file are reported one by one; the rest are only counted."""

BOM = b"\xef\xbb\xbf"
"""What some programs write at the beginning of a file; it is no part of the first line."""


class BadLine(NamedTuple):
    """A line that holds no JSON object; lines count from 1."""

    line: int
    error: str


@dataclass(frozen=True, slots=True)
class Segment:
    """The values of one key in some consecutive files, all of one kind."""

    key: str
    kind: Kind
    first: int  # the first of these files
    counts: npt.NDArray[np.int64]  # how many values each of them has
    values: Values  # the values of all these files, one after the other
    records: npt.NDArray[np.int64] | None = None  # the record that holds each value, where not simply 0, 1, 2, ...


@dataclass(slots=True)
class Parsed:
    """What some files hold; each list has one entry per file."""

    order: list[int] = field(default_factory=list)  # the position of each entry's file; similar files are together
    ends: list[int] = field(default_factory=list)  # how many bytes were read: all but a torn last line
    lines: list[int] = field(default_factory=list)
    records: list[int] = field(default_factory=list)
    problems: list[list[BadLine]] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)


def parse(texts: Sequence[bytes]) -> Parsed:
    r"""Return the values in each of `texts`, the contents of metric files.

    A last line without a line break is no error; it is read only if it is complete.

    Examples
    --------
    >>> parsed = parse([b'{"loss": 0.5, "epoch": 0}\n{"loss": 0.25, "epoch": 1}\n{"loss"'])
    >>> [(segment.key, segment.kind, segment.values.tolist()) for segment in parsed.segments]
    [('loss', 'float', [0.5, 0.25]), ('epoch', 'int', [0, 1])]
    """
    parsed = Parsed()
    whole = [_whole_lines(text) for text in texts]
    templates = [_template_of(text) for text in whole]
    parsed.order = sorted(range(len(texts)), key=lambda file: _keys(templates[file]))
    parsed.ends = [min(len(whole[file]), len(texts[file])) for file in parsed.order]
    for template, group in groupby(parsed.order, key=templates.__getitem__):
        _parse_group([whole[file] for file in group], template, parsed)
    return parsed


def _parse_group(texts: list[bytes], template: "_Template | None", parsed: Parsed) -> None:
    if template is None:
        for text in texts:
            _parse_one_by_one(text, parsed)
    elif not _parse_alike(texts, template, parsed):
        for text in texts:
            if len(texts) == 1 or not _parse_alike([text], template, parsed):
                _parse_one_by_one(text, parsed)


class Problems:
    """The bad lines of one file, the first of them one by one."""

    def __init__(self) -> None:
        self._listed: list[BadLine] = []
        self._more = 0

    def add(self, problem: BadLine) -> None:
        """Add a bad line."""
        if len(self._listed) <= MAX_PROBLEMS:
            self._listed.append(problem)
        self._more += len(self._listed) > MAX_PROBLEMS

    def listed(self) -> list[BadLine]:
        """Return the bad lines, with one more that stands for those beyond the first ones."""
        if not self._more:
            return self._listed
        line = self._listed[MAX_PROBLEMS].line
        return [*self._listed[:MAX_PROBLEMS], BadLine(line, f"{self._more} bad lines from here on")]


def typed(values: list[Any], types: set[type] | None = None) -> tuple[Kind, Values]:
    """Return the kind of the non-empty list `values`, and the values in the form of that kind.

    Parameters
    ----------
    types
        The types of the values, if they are known already.

    Examples
    --------
    >>> typed([1, 2])
    ('int', array([1, 2]))
    >>> typed([1, 0.5, None])
    ('json', ['1', '0.5', 'null'])
    """
    types = types or set(map(type, values))
    if types == {float}:
        return "float", np.fromiter(values, np.float64, len(values))
    if types == {int}:
        with contextlib.suppress(OverflowError):
            return "int", np.fromiter(values, np.int64, len(values))
    if types == {bool}:
        return "bool", np.fromiter(values, np.bool_, len(values))
    if types == {str} and _is_encodable(values):
        return "string", values
    return "json", [json.dumps(value) for value in values]


def _is_encodable(texts: list[str]) -> bool:
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:  # half of a surrogate pair is valid JSON, but not valid text
        return False
    return True


def _whole_lines(text: bytes) -> bytes:
    end = text.rfind(b"\n") + 1
    if end == len(text):
        return text
    return text + b"\n" if is_complete(text[end:]) else text[:end]


def is_complete(line: bytes) -> bool:
    """Tell whether a last line without a line break holds a record, not only the beginning of one."""
    return isinstance(_loaded_slowly(line), dict)


# The fast way. A template is the text that all lines of a file share, around the values.


@dataclass(frozen=True, slots=True)
class _Template:
    keys: tuple[str, ...]
    start: bytes  # of a line
    separators: tuple[bytes, ...]  # each begins with the comma before its key


def _keys(template: _Template | None) -> tuple[str, ...]:
    return () if template is None else template.keys


def _template_of(text: bytes) -> _Template | None:
    line = text[: text.find(b"\n") + 1]
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        record = _loaded_slowly(line)
    if not isinstance(record, dict) or not record:
        return None
    return _template(tuple(record), b'": ' in line)


def _loaded_slowly(text: bytes | bytearray) -> Any:
    try:
        return loads_exactly(text)
    except (ValueError, RecursionError):
        return None


def loads_exactly(text: bytes | bytearray) -> Any:
    """Return the value that a JSON text stands for; its integers may be of any size."""
    # Given bytes, json would guess their encoding.
    return json.loads(text.decode())


@lru_cache(maxsize=256)
def _template(keys: tuple[str, ...], is_spaced: bool) -> _Template | None:
    if not all(key.isascii() and key.isprintable() and not set(key) & set(',"\\') for key in keys):
        return None  # may be written in several ways, or hold what separates the values
    comma, colon = (", ", ": ") if is_spaced else (",", ":")
    start, *others = (f'"{key}"{colon}' for key in keys)
    return _Template(keys, f"{{{start}".encode(), tuple(f"{comma}{other}".encode() for other in others))


def _parse_alike(texts: list[bytes], template: _Template, parsed: Parsed) -> bool:
    """Add the values in `texts` to `parsed` if every line follows `template`; tell whether they do."""
    buffer = bytearray(b"".join(texts))
    ends = _blank_keys(buffer, template)
    if ends is None:
        return False
    values = _flat_values(buffer, may_be_slow=len(texts) == 1)
    if values is None or len(values) != len(ends) * len(template.keys):
        return False
    bounds = np.searchsorted(ends, np.cumsum([len(text) for text in texts]))
    counts = np.diff(bounds, prepend=0)
    columns = [values[position :: len(template.keys)] for position in range(len(template.keys))]
    segments = [
        segment
        for key, column in zip(template.keys, columns, strict=True)
        for segment in _typed_segments(key, column, len(parsed.lines), counts)
    ]
    if _may_be_rounded(segments) and _BIG_INTEGER.search(buffer):
        return False
    parsed.segments += segments
    parsed.lines += counts.tolist()
    parsed.records += counts.tolist()
    parsed.problems += [[] for _ in texts]
    return True


def _blank_keys(buffer: bytearray, template: _Template) -> npt.NDArray[np.int64] | None:
    """Make `buffer` one flat JSON list, and return where its lines ended; None if a line does not follow `template`.

    Each line has as many commas as there are separators, each comma begins the separator expected there, and the line
    begins and ends as it should. Hence exactly one value lies between adjacent separators, provided that the list can
    be read and is long enough.
    """
    chars = np.frombuffer(buffer, np.uint8)
    found = np.flatnonzero((chars == ord(",")) | (chars == ord("\n")))
    width = len(template.keys)
    if len(found) == 0 or len(found) % width:
        return None
    marks = found.reshape(-1, width)
    ends = marks[:, -1]
    starts = np.concatenate([[0], ends[:-1] + 1])
    is_alike = (
        bool((chars[ends] == ord("\n")).all())
        and _replace(buffer, ends - 1, b"}", b",")
        and _replace(buffer, starts, template.start, b" " * len(template.start))
        and all(
            _replace(buffer, marks[:, place], separator, b"," + b" " * (len(separator) - 1))
            for place, separator in enumerate(template.separators)
        )
    )
    buffer[0], buffer[ends[-1] - 1] = b"[]"
    return ends if is_alike else None


def _replace(buffer: bytearray, positions: npt.NDArray[np.int64], old: bytes, new: bytes) -> bool:
    """Replace `old`, which should be at each of the ascending `positions`, by `new` of equal length; tell if it was."""
    if positions[0] < 0 or positions[-1] + len(old) > len(buffer):
        return False
    # Element i of this array is the bytes from i on.
    windows = np.ndarray(len(buffer) - len(old) + 1, dtype=f"V{len(old)}", buffer=buffer, strides=(1,))
    if windows[positions].tobytes() != old * len(positions):
        return False
    windows[positions] = np.void(new)
    return True


def _flat_values(buffer: bytearray, *, may_be_slow: bool) -> list[Any] | None:
    try:
        values: list[Any] = orjson.loads(buffer)
    except orjson.JSONDecodeError:
        # The fast parser refuses NaN and infinities. Of several files, few have any: those are read alone.
        return _loaded_slowly(buffer) if may_be_slow else None
    return values


def _typed_segments(key: str, values: list[Any], first: int, counts: npt.NDArray[np.int64]) -> Iterator[Segment]:
    kind, array = typed(values)
    if kind != "json" or len(counts) == 1:
        yield Segment(key, kind, first, counts, array)
        return
    bounds = [0, *np.cumsum(counts).tolist()]
    for number, (start, stop) in enumerate(pairwise(bounds)):
        yield from _typed_segments(key, values[start:stop], first + number, counts[number : number + 1])


# The careful way.


def _parse_one_by_one(text: bytes, parsed: Parsed) -> None:
    """Add the values in `text` to `parsed`, and its bad lines."""
    lines = text.removeprefix(BOM).split(b"\n")[:-1]
    records, problems = _records(lines, _loads)
    segments = _segments(records, len(parsed.lines))
    if _may_be_rounded(segments) and _BIG_INTEGER.search(text):
        records, problems = _records(lines, loads_exactly)
        segments = _segments(records, len(parsed.lines))
    parsed.segments += segments
    parsed.lines.append(len(lines))
    parsed.records.append(len(records))
    parsed.problems.append(problems)


def _records(lines: list[bytes], loads: Callable[[bytes], Any]) -> tuple[list[dict[str, Any]], list[BadLine]]:
    records: list[dict[str, Any]] = []
    problems = Problems()
    for number, line in enumerate(lines, 1):
        record = record_in(line, loads)
        if isinstance(record, dict):
            records.append(record)
        elif record is not None:
            problems.add(BadLine(number, record))
    return records, problems.listed()


def _loads(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return loads_exactly(line)


def record_in(line: bytes, loads: Callable[[bytes], Any] = loads_exactly) -> dict[str, Any] | str | None:
    """Return the record in a line, or what is wrong with the line, or None for a blank line."""
    try:
        record = loads(line)
    except (ValueError, RecursionError) as error:
        return _sentence(error) if line.strip() else None
    return record if isinstance(record, dict) else f"expected a JSON object, not {_shortened(line)}"


def _sentence(error: Exception) -> str:
    # Without the line number that json reports, which is always 1.
    return f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)


def _shortened(line: bytes) -> str:
    text = line.decode("utf-8", "replace").strip()
    return text if len(text) <= 30 else f"{text[:27]}..."


def _segments(records: list[dict[str, Any]], file: int) -> list[Segment]:
    columns: dict[str, tuple[list[Any], list[int]]] = {}
    for number, record in enumerate(records):
        for key, value in record.items():
            values, numbers = columns.setdefault(key, ([], []))
            values.append(value)
            numbers.append(number)
    return [_segment(key, file, *column) for key, column in columns.items()]


def _segment(key: str, file: int, values: list[Any], numbers: list[int]) -> Segment:
    kind, array = typed(values)
    is_in_each = numbers[-1] == len(numbers) - 1
    counts = np.array([len(values)], dtype=np.int64)
    return Segment(key, kind, file, counts, array, None if is_in_each else np.array(numbers, dtype=np.int64))


_BIG_INTEGER = re.compile(rb"(?<![.\d])\d{19}")


def _may_be_rounded(segments: list[Segment]) -> bool:
    # The fast parser turns an integer that needs more than 64 bits into a float.
    return any(
        segment.kind == "json" or (segment.kind == "float" and bool((np.abs(segment.values) >= 2.0**63).any()))
        for segment in segments
    )
