"""The records of a long metric file become arrays chunk by chunk, so that the text need not be in memory.

A chunk is decoded at once, into objects that have a slot for each key. If that fails, its lines are decoded one by one,
and those that hold other keys, a NaN or no record are read with care, as `mlxp_reader.store.json_lines` does. The
values and the bad lines are the same either way.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from mlxp_reader.store.json_lines import BadLine, Kind, Parsed, Problems, Segment, Values, record_in, typed
from mlxp_reader.store.lists import flat, plain_values

CHUNK = 2**18
"""About how many bytes are decoded at once: few enough to stay in a processor's cache."""

_MOST_SLOTS = 10_000
"""A line of more keys than this is read alone: to make the slots would take longer."""

_FEW_SLOTS = 64
_SLOTS_PER_BYTE = 0.5
"""With more slots than this, unless they are few, most would stay empty: a value and its key take some text."""

_FEW_RECORDS = 256
"""Values of fewer records than this wait for more before they become arrays, since each array costs as much as many."""

_MOST_WAITING = 2**18
"""So many values do not wait, however few the records."""


class _Piece(NamedTuple):
    """The values of one key in consecutive records."""

    kind: Kind
    values: Values
    first: int  # the number of the first record
    records: npt.NDArray[np.int64] | None  # the number of each value's record, if not first, first + 1, ...


class LongText:
    r"""The records of one file, to which its text is added chunk by chunk.

    Parameters
    ----------
    only
        The only key whose values are kept; None keeps all.
    keys
        Keys that are likely to be met.

    Examples
    --------
    >>> text = LongText()
    >>> text.add(b'{"loss": 0.5}\n{"loss": NaN, "lr": 1}\n')
    >>> [(segment.key, segment.values.tolist()) for segment in text.parsed(38).segments]
    [('loss', [0.5, nan]), ('lr', [1])]
    """

    def __init__(self, only: str | None = None, keys: Iterable[str] = ()) -> None:
        self.values = 0
        """How many values are kept."""
        self._only = only
        self._keys = tuple(key for key in (keys if only is None else [only]) if _may_have_slot(key))
        self._met: dict[str, None] = {}  # keys without a slot
        self._problems = Problems()
        self._lines = self._records = 0
        self._waiting: list[Any] = []  # the latest records, as objects
        self._first = 0  # the number of the first of them
        self._others: dict[str, tuple[list[Any], list[int]]] = {}  # their values of keys without a slot, with numbers
        self._pieces: dict[str, list[_Piece]] = {}

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the latest records."""
        return self._keys

    def add(self, chunk: bytes) -> None:
        """Add lines, each with its line break."""
        if self._only is None:
            self._choose_keys(chunk)
        self._add(chunk, is_text=_is_text(chunk))
        others = sum(len(values) for values, _ in self._others.values()) if self._others else 0
        if len(self._waiting) >= _FEW_RECORDS or len(self._waiting) * len(self._keys) + others >= _MOST_WAITING:
            self._put_away()

    def _choose_keys(self, chunk: bytes) -> None:
        keys = (*self._keys, *self._met)
        if not keys or (len(keys) > _FEW_SLOTS and len(keys) * chunk.count(b"\n") > _SLOTS_PER_BYTE * len(chunk)):
            record = record_in(chunk[: chunk.index(b"\n")])
            keys = tuple(filter(_may_have_slot, record)) if isinstance(record, dict) else ()
        if len(keys) > _MOST_SLOTS:
            keys = ()
        if keys != self._keys:
            self._put_away()
            self._keys = keys
        self._met.clear()

    def _add(self, chunk: bytes, *, is_text: bool) -> None:
        slots = _slots(self._keys, is_strict=self._only is None) if self._keys and is_text else None
        records = None if slots is None else _decoded(slots, chunk)
        if records is not None:
            self._waiting += records
            self._lines += len(records)
            self._records += len(records)
            return
        for line in chunk.split(b"\n")[:-1]:
            self._lines += 1
            try:
                if slots is not None:
                    self._waiting.append(slots.decode_line(line))
                    self._records += 1
                    continue
            except _CANNOT:
                pass
            self._add_with_care(line)

    def _add_with_care(self, line: bytes) -> None:
        record = record_in(line)
        if isinstance(record, dict):
            self._add_record(record)
        elif record is not None:
            self._problems.add(BadLine(self._lines, record))

    def _add_record(self, record: dict[str, Any]) -> None:
        if self._keys:
            slots = _slots(self._keys, is_strict=self._only is None)
            self._waiting.append(slots.make(*[record.pop(key, UNSET) for key in self._keys]))
        if self._only is not None:
            record = {self._only: record[self._only]} if self._only in record else {}
        for key, value in record.items():
            if _may_have_slot(key):
                self._met[key] = None
            values, numbers = self._others.setdefault(key, ([], []))
            values.append(value)
            numbers.append(self._records)
        self._records += 1

    def _put_away(self) -> None:
        """Make arrays of what waits."""
        if self._waiting:
            for key, values_of in zip(self._keys, _slots(self._keys, is_strict=self._only is None).get, strict=True):
                self._add_piece(key, list(map(values_of, self._waiting)), None)
            self._waiting.clear()
        for key, (values, numbers) in self._others.items():
            self._add_piece(key, values, numbers)
        self._others.clear()
        self._first = self._records

    def _add_piece(self, key: str, values: list[Any], numbers: list[int] | None) -> None:
        types = set(map(type, values))
        if type(UNSET) in types:
            numbers = [number for number, value in enumerate(values, self._first) if value is not UNSET]
            values = [value for value in values if value is not UNSET]
            types.discard(type(UNSET))
        if values:
            records = None if numbers is None else np.array(numbers, dtype=np.int64)
            self._pieces.setdefault(key, []).append(_Piece(*typed(values, types), self._first, records))
            self.values += len(values)

    def parsed(self, end: int) -> Parsed:
        """Return all that was added, which ends at the byte `end` of the file."""
        self._put_away()
        segments = [_joined(key, pieces) for key, pieces in self._pieces.items()]
        return Parsed([0], [end], [self._lines], [self._records], [self._problems.listed()], segments)


class _Slots(NamedTuple):
    """How records with certain keys are decoded."""

    make: Callable[..., Any]
    decode: Callable[[bytes], list[Any]]
    decode_line: Callable[[bytes], Any]
    get: list[Callable[[Any], Any]]


@lru_cache(maxsize=64)
def _slots(keys: tuple[str, ...], *, is_strict: bool) -> _Slots:
    names = [f"f{number}" for number in range(len(keys))]
    kind = msgspec.defstruct(
        "Record",
        [(name, Any, UNSET) for name in names],
        rename=dict(zip(names, keys, strict=True)),
        forbid_unknown_fields=is_strict,
        gc=False,  # what JSON can say has no cycles
    )
    decoder = msgspec.json.Decoder(kind)
    return _Slots(kind, decoder.decode_lines, decoder.decode, [attrgetter(name) for name in names])


def _may_have_slot(key: str) -> bool:
    return key.isprintable() and '"' not in key and "\\" not in key


_LINE_BREAK = ord("\n")

_CANNOT = (msgspec.DecodeError, RecursionError, ValueError)


def _decoded(slots: _Slots, chunk: bytes) -> list[Any] | None:
    """Return the records in `chunk` if there is one in each line, and nothing else."""
    try:
        records = slots.decode(chunk)
    except _CANNOT:
        return None
    # For the decoder, a record may also be followed by another one in its line, or go over several lines.
    chars = np.frombuffer(chunk, np.uint8)
    ends = np.flatnonzero(chars == _LINE_BREAK)  # in half the time of chunk.count(b"}\n{")
    is_one_in_each = (
        len(ends) == len(records)
        and chars[0] == ord("{")
        and bool((chars[ends - 1] == ord("}")).all())
        and bool((chars[ends[:-1] + 1] == ord("{")).all())
    )
    return records if is_one_in_each else None


def _is_text(chunk: bytes) -> bool:
    # The decoder does not look into texts that it need not return.
    if chunk.isascii():
        return True
    try:
        chunk.decode()
    except UnicodeDecodeError:
        return False
    return True


def _joined(key: str, pieces: list[_Piece]) -> Segment:
    kinds = {piece.kind for piece in pieces}
    kind, values = pieces[0].kind, pieces[0].values
    if len(kinds) > 1:
        kind, values = typed(list(chain.from_iterable(plain_values(one.kind, one.values) for one in pieces)))
    elif len(pieces) > 1:
        values = flat(kind, [piece.values for piece in pieces])
    is_in_each = _last_number(pieces[-1]) == len(values) - 1
    numbers = None if is_in_each else np.concatenate([_numbers(piece) for piece in pieces])
    return Segment(key, kind, 0, np.array([len(values)], dtype=np.int64), values, numbers)


def _last_number(piece: _Piece) -> int:
    return piece.first + len(piece.values) - 1 if piece.records is None else int(piece.records[-1])


def _numbers(piece: _Piece) -> npt.NDArray[np.int64]:
    if piece.records is not None:
        return piece.records
    return np.arange(piece.first, piece.first + len(piece.values))
