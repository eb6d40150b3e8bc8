"""The records of long files become the same values as those of short ones, whatever is in their lines."""

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlxp_reader.store import long_text
from mlxp_reader.store.json_lines import Parsed, _parse_one_by_one, typed
from mlxp_reader.store.long_text import LongText


def contents(parsed):
    """Return what was read of one file, in a form in which a NaN is equal to itself."""
    found = {}
    for one in parsed.segments:
        numbers = np.arange(len(one.values)) if one.records is None else one.records
        found[one.key] = repr((one.kind, list(one.values), numbers.tolist()))
    return found, parsed.records, parsed.lines, parsed.problems


def read(lines, *, only=None, at_once=7):
    text = LongText(only)
    for start in range(0, len(lines), at_once):
        text.add(b"".join(line + b"\n" for line in lines[start : start + at_once]))
    return text.parsed(0)


def by_json(lines):
    """Return what Python's json says about lines that are all records."""
    records = [json.loads(line.decode()) for line in lines]
    found = {}
    for key in dict.fromkeys(key for record in records for key in record):
        numbers = [number for number, record in enumerate(records) if key in record]
        kind, values = typed([records[number][key] for number in numbers])
        found[key] = repr((kind, list(values), numbers))
    return found


values = st.one_of(
    st.integers(),
    st.integers(2**53 - 3, 2**53 + 3),
    st.integers(2**63 - 2, 2**64 + 2),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(st.characters(exclude_categories=()), max_size=3),
    st.lists(st.integers() | st.text(", \"'{}[]:\n", max_size=3), max_size=2),
    st.dictionaries(st.sampled_from(["a", "b"]), st.integers(), max_size=2),
)
keys = st.sampled_from(["loss", "a", "b", "", "é", 'q"', "\\", "f0", "self", "\ud800"])
records = st.dictionaries(keys, values, max_size=4)


@st.composite
def written(draw):
    """Return a record as a line, with keys that may be there twice."""
    record = draw(records)
    comma, colon = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " : ")]))
    pairs = [*record.items(), *draw(st.lists(st.tuples(keys, values), max_size=1))]
    ascii_only = draw(st.booleans())
    texts = [(json.dumps(key), json.dumps(value, ensure_ascii=ascii_only)) for key, value in pairs]
    line = "{" + comma.join(f"{key}{colon}{value}" for key, value in texts) + "}"
    return (line + draw(st.sampled_from(["", "\r", " "]))).encode("utf-8", "replace")


@settings(max_examples=200, deadline=None)
@given(st.lists(written(), max_size=80), st.integers(1, 80))
def test_what_is_read_is_what_json_reads(lines, at_once):
    assert contents(read(lines, at_once=at_once))[0] == by_json(lines)


@settings(max_examples=100, deadline=None)
@given(st.lists(written(), max_size=80), keys)
def test_of_one_key_the_same_is_read_as_of_all(lines, key):
    one, all_keys = contents(read(lines, only=key)), contents(read(lines))
    assert one[0] == {name: found for name, found in all_keys[0].items() if name == key}
    assert one[1:] == all_keys[1:]


GOOD = b'{"a": 1, "b": 0.5, "text": "x, \\" y"}'
HARMLESS = rb"""

{"a": NaN, "b": 1}
{"a": 1e400}
{"a": 18446744073709551619}
{"\ud800": "\udc00"}""".split(b"\n")
PIECES = rb"""{ } [ ] , : " ' \ \u12 0 01 +1 1. .5 - 1e nan inf Infinity tru True null // {}""".split()
PIECES += [b"\0", b"\xff", b"\xc3", b"\t", b"\r", b"\xe2\x80\xa8"]


def spoiled():
    """Return lines that differ from a good one by a piece that is put in or takes a place."""
    for at in range(0, len(GOOD) + 1, 5):
        for piece in PIECES:
            yield GOOD[:at] + piece + GOOD[at:]
            yield GOOD[:at] + piece + GOOD[at + len(piece) :]
    yield from (GOOD[:at] for at in range(len(GOOD)))
    yield from (GOOD + GOOD, GOOD + b" " + GOOD, b"[" * 5000, b"1", b'"text"', b"null", b"[]", b"[1]")


@pytest.mark.parametrize("only", [None, "a"])
def test_bad_lines_among_good_ones_are_told_as_they_are_of_short_files(only):
    chance = random.Random(0)
    lines = [*spoiled(), *HARMLESS]
    for start in range(0, len(lines), 15):
        some = lines[start : start + 15] + [GOOD] * 60
        chance.shuffle(some)
        careful = Parsed()
        _parse_one_by_one(b"".join(line + b"\n" for line in some), careful)
        found, *rest = contents(careful)
        expected = {key: values for key, values in found.items() if only in (None, key)}
        assert contents(read(some, only=only, at_once=40)) == (expected, *rest)


def test_a_record_that_goes_over_two_lines_is_none():
    parsed = read([GOOD] * 3 + [b'{"a":', b"1}"] + [b'{"a": 2}{"a": 3}', b""])
    assert parsed.records == [3]
    assert [problem.line for problem in parsed.problems[0]] == [4, 5, 6]


@pytest.mark.parametrize("only", [None, "a"])
def test_a_record_with_a_line_break_is_none_where_all_others_are_fine(only):
    parsed = read([b'{"a":1}', b"{", b'"a":2}'], only=only)
    assert parsed.records == [1]
    assert [problem.line for problem in parsed.problems[0]] == [2, 3]


def test_keys_that_come_later_get_slots_too(monkeypatch):
    alone = []
    real = LongText._add_with_care
    monkeypatch.setattr(LongText, "_add_with_care", lambda self, line: (alone.append(line), real(self, line)))
    lines = [json.dumps({"a": n} | ({"b": n} if n % 10 == 0 else {})).encode() for n in range(1000)]
    found = read(lines, at_once=100)
    assert contents(found)[0] == by_json(lines)
    assert len(alone) <= 10, "those of the first chunk"


@pytest.mark.parametrize("only", [None, "k7"])
@pytest.mark.parametrize("shape", ["one line of many keys", "each line its own key", "many keys, then few"])
def test_many_keys_are_read_in_a_time_that_their_text_bounds(shape, only, monkeypatch):
    lines = {
        "one line of many keys": [json.dumps({f"k{n}": n for n in range(20_000)}).encode()] * 2,
        "each line its own key": [f'{{"k{n}": {n}}}'.encode() for n in range(3000)],
        "many keys, then few": [json.dumps({f"k{n}": n for n in range(2000)}).encode()] + [b'{"k7": 1}'] * 3000,
    }[shape]
    long_text._slots.cache_clear()
    made = []
    real = long_text.msgspec.defstruct

    def defstruct(name, fields, **how):
        made.append(len(fields))
        return real(name, fields, **how)

    monkeypatch.setattr(long_text.msgspec, "defstruct", defstruct)
    found = contents(read(lines, only=only, at_once=100))[0]
    assert found == {key: values for key, values in by_json(lines).items() if only in (None, key)}
    assert sum(made) <= sum(map(len, lines)), "no more slots were made than there is text"


def test_many_bad_lines_are_summed_up():
    [problems] = read([b"oops"] * 1000).problems
    assert len(problems) == 21
    assert problems[-1] == (21, "980 bad lines from here on")
