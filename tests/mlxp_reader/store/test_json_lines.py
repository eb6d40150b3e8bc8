"""The text of metric files becomes typed values, the same ones by the fast way and the careful one."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlxp_reader.store.json_lines import MAX_PROBLEMS, Parsed, _parse_one_by_one, parse, typed


def contents(parsed):
    """Return for each file its keys, each with the kind, the values and the numbers of their records."""
    files = [{} for _ in parsed.lines]
    for segment in parsed.segments:
        bounds = np.cumsum([0, *segment.counts])
        for file, (start, stop) in enumerate(pairwise(bounds), segment.first):
            values = list(segment.values[start:stop])
            records = list(range(len(values))) if segment.records is None else segment.records.tolist()
            files[file][segment.key] = (segment.kind, values, records)
    return [files[parsed.order.index(file)] for file in range(len(parsed.order))] or files


def values(text, key="x"):
    kind, found, _ = contents(parse([text]))[0][key]
    return kind, found


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        (b'{"x": 1}\n{"x": 2}\n', "int", [1, 2]),
        (b'{"x": 1.0}\n{"x": 1e3}\n', "float", [1.0, 1000.0]),
        (b'{"x": true}\n{"x": false}\n', "bool", [True, False]),
        (b'{"x": "a"}\n{"x": "\\u00e9,\\n"}\n', "string", ["a", "é,\n"]),
        (b'{"x": 1}\n{"x": 0.5}\n', "json", ["1", "0.5"]),
        (b'{"x": null}\n{"x": [1, {"a": 2}]}\n', "json", ["null", '[1, {"a": 2}]']),
        (b'{"x": 1180591620717411303424}\n', "json", ["1180591620717411303424"]),
        (b'{"x": 18446744073709551615}\n', "json", ["18446744073709551615"]),
        (b'{"x": 1}\n{"x": [1180591620717411303424]}\n', "json", ["1", "[1180591620717411303424]"]),
        (b'{"x": "\\ud800"}\n', "json", ['"\\ud800"']),
        (b'{"x": 1e300}\n', "float", [1e300]),
        (b'{"x": -Infinity}\n{"x": 0.5}\n', "float", [-np.inf, 0.5]),
    ],
)
def test_values_keep_their_type(text, kind, expected):
    assert values(text) == (kind, expected)


def test_nan_is_read_and_costs_no_other_value():
    kind, found = values(b'{"x": NaN, "y": 1}\n{"x": 0.25, "y": 2}\n')
    assert kind == "float"
    assert np.isnan(found[0])
    assert found[1] == 0.25


@pytest.mark.parametrize(
    "text",
    [
        b'\xef\xbb\xbf{"x": 1}\n{"x": 2}\n',
        b'{"x": 1}\r\n{"x": 2}\r\n',
        b'{"x": 1}\n\n  \n{"x": 2}\n',
        b'{"x": 1}\n{"x": 2}',
        b'{"x": 1}\n{"x": 2}\n{"x": 3',
        b'{"x": 1}\n{"x": 2}\n{"x": 3, "y',
        b' { "x" : 1 } \n{"x":2}\n',
        b'{"x": 0, "x": 1}\n{"x": 2, "x": 2}\n',
    ],
)
def test_odd_but_harmless_text_is_read(text):
    parsed = parse([text])
    assert contents(parsed)[0]["x"][:2] == ("int", [1, 2])
    assert parsed.problems == [[]]


@pytest.mark.parametrize(
    ("torn", "end"), [(b'{"x": 1}\n{"x": 2', 9), (b'{"x": 1}\n{"x": 2}', 17), (b'{"x"', 0), (b"", 0)]
)
def test_a_torn_last_line_is_not_counted_as_read(torn, end):
    assert parse([torn]).ends == [end]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b'{"x": 1', "delimiter, column 8"),
        (b"[1, 2]", "expected a JSON object, not [1, 2]"),
        (b'{"x": 1}{"x": 2}', "Extra data"),
        (b"\xff\xfe", "utf-8"),
        (b"\0\0\0", "Expecting value"),
        (b"[" * 5000, "recursion"),
    ],
)
def test_a_bad_line_is_told_and_all_others_are_kept(line, error):
    parsed = parse([b'{"x": 1}\n' + line + b'\n{"x": 2}\n'])
    assert contents(parsed)[0]["x"] == ("int", [1, 2], [0, 1])
    [[problem]] = parsed.problems
    assert problem.line == 2
    assert error in problem.error


def test_many_bad_lines_are_summed_up():
    [problems] = parse([b"oops\n" * 1000]).problems
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1] == (MAX_PROBLEMS + 1, f"{1000 - MAX_PROBLEMS} bad lines from here on")


def test_a_key_that_is_not_in_each_record_has_record_numbers():
    text = b'{"x": 1}\n{"y": 5}\noops\n{"x": 2, "y": 6}\n'
    assert contents(parse([text]))[0] == {"x": ("int", [1, 2], [0, 2]), "y": ("int", [5, 6], [1, 2])}


# Lines that follow the first one's template but for one thing.


@pytest.mark.parametrize(
    "line",
    [
        b'{"b": 2, "a": 1}',
        b'{"a": 2}',
        b'{"a": 2, "b": 3, "c": 4}',
        b'{"a": 2, "c": 3}',
        b'{"a": 2,"b":3}',
        b'{"a": [1, 2], "b": 3}',
        b'{"a": ", \\"b\\": ", "b": 3}',
        b'{"a": {"a": 1}, "b": 3}',
        b'{"a": 1, "b": 2}, {"a": 3, "b": 4}',
        b'{"a": 1, "a": 2}',
        b'{"a": , "b": 2}',
        b'{"a": 1 2, "b": 2}',
        b'{"a": 1, "b": 2}}',
        b"",
    ],
)
def test_a_line_that_leaves_the_template_is_read_with_care(line):
    text = b'{"a": 1, "b": 2}\n' + line + b'\n{"a": 5, "b": 6}\n'
    careful = Parsed()
    _parse_one_by_one(text, careful)
    assert contents(parse([text])) == contents(careful)
    assert parse([text]).problems == careful.problems


scalars = st.one_of(
    st.integers(),
    st.integers(-5, 5),
    st.floats(allow_nan=False),
    st.booleans(),
    st.none(),
    st.text(st.characters(exclude_categories=()), max_size=3),
    st.lists(st.integers() | st.text(", \"'{}[]:\n", max_size=3), max_size=2),
)
keys = st.sampled_from(["loss", "a", "", "b c", "é", 'q"', "x,y", "\\", "n" * 40])
alike = st.lists(keys, min_size=1, max_size=3, unique=True).flatmap(
    lambda names: st.lists(st.fixed_dictionaries(dict.fromkeys(names, scalars)), min_size=1, max_size=4)
)
files = alike | st.lists(st.dictionaries(keys, scalars, max_size=3), max_size=4)
separators = st.sampled_from([(", ", ": "), (",", ":")])


@given(st.lists(files, max_size=4), separators, st.booleans())
def test_what_was_written_is_read(written, separators, is_ascii):
    lines = [[json.dumps(record, ensure_ascii=is_ascii, separators=separators) for record in file] for file in written]
    texts = ["".join(f"{line}\n" for line in file).encode("utf-8", "replace") for file in lines]
    expected = [[json.loads(line) for line in text.decode().split("\n")[:-1]] for text in texts]
    for file, records in zip(contents(parse(texts)), expected, strict=True):
        names = list(dict.fromkeys(name for record in records for name in record))
        assert sorted(file) == sorted(names)
        for name in names:
            kind, array = typed([record[name] for record in records if name in record])
            numbers = [number for number, record in enumerate(records) if name in record]
            assert file[name] == (kind, list(array), numbers)
    assert all(problems == [] for problems in parse(texts).problems)
