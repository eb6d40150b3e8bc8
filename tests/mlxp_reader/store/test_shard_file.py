"""What is stored of metric files comes back as it was, or is told to be damaged."""

import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlxp_reader.store import shard_file
from mlxp_reader.store.json_lines import parse
from mlxp_reader.store.parts import PART
from mlxp_reader.store.shards import Shard, ShardBuilder

FEW = """{"a": 1, "b": 0.5, "c": true, "d": "text", "e": [1]}
{"a": 2, "b": NaN, "d": "é"}
no record
{"b": 3.5}
""".encode()
MANY = ("{" + ", ".join(f'"k{n}": {n}.5, "n{n}": {n}' for n in range(100)) + '}\n{"k0": 1.0}\n').encode()


def written(folder, *texts, types=None):
    """Return a shard in memory, and the files that it was written to."""
    builder = ShardBuilder()
    parsed = parse(texts)
    parts = np.zeros(len(texts), dtype=PART)
    parts["run"] = np.arange(len(texts)) + 1
    parts["records"] = parsed.records
    builder.add(parts, parsed)
    shard = builder.build()
    shard_file.write(folder, shard.parts, shard.problems, shard.all_lists(), types=types)
    return shard, sorted(folder.glob("*.parquet"))


def all_of(*files):
    """Return all lists in files as plain values, and what else they hold."""
    lists = {}
    for file in files:
        lists |= Shard(file.parts, file.problems, file=file).all_lists()
    return plain(lists), files[0].parts.tolist(), files[0].problems


def plain(lists):
    """Return lists as values that can be compared: a NaN is equal to itself."""
    return {
        one: repr([cell if found.present[row] else None for row, cell in enumerate(cells(found))])
        for one, found in lists.items()
    }


def cells(lists):
    return [cell.tolist() if isinstance(cell, np.ndarray) else cell for cell in lists.cells(np.arange(len(lists)))]


@pytest.mark.parametrize("texts", [[FEW], [FEW, FEW, b"", MANY], [MANY, MANY, FEW]])
def test_what_is_written_comes_back(tmp_path, texts):
    shard, paths = written(tmp_path, *texts)
    assert all_of(*map(shard_file.opened, paths)) == (plain(shard.all_lists()), shard.parts.tolist(), shard.problems)


values = st.one_of(
    st.integers(),
    st.integers(2**53 - 2, 2**53 + 2),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(st.characters(exclude_categories=()), max_size=2),
    st.lists(st.integers(), max_size=1),
)
records = st.dictionaries(st.sampled_from(["x", "X", "record", "exact", "", "\ud800", "a\nb"]), values, max_size=3)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(records, max_size=4), min_size=1, max_size=3), st.sampled_from([None, "double", "bool", "string"])
)
def test_any_values_come_back_whatever_the_type_of_their_column(tmp_path_factory, files, kind):
    texts = ["".join(json.dumps(record) + "\n" for record in file).encode() for file in files]
    types = {} if kind is None else dict.fromkeys(["x", "record", "\ud800"], kind)
    shard, paths = written(tmp_path_factory.mktemp("cache"), *texts, types=types)
    assert all_of(*map(shard_file.opened, paths)) == (plain(shard.all_lists()), shard.parts.tolist(), shard.problems)


@pytest.mark.parametrize("texts", [[FEW, FEW], [MANY, FEW]])
def test_with_any_flipped_bit_the_values_are_the_same_or_none(tmp_path, texts):
    _, [path] = written(tmp_path, *texts)
    expected = all_of(shard_file.opened(path))
    content = path.read_bytes()
    damaged = bytearray(content)
    for at in range(0, len(content), max(1, len(content) // 600)):
        damaged[at] ^= 1 << (at % 8)
        path.write_bytes(damaged)
        damaged[at] = content[at]
        file = shard_file.opened(path)
        try:
            assert file is None or all_of(file) == expected, at
        except (OSError, pa.ArrowException):
            continue


def test_a_file_holds_256_keys_and_tells_of_those_up_to_the_next_file(tmp_path):
    text = ("{" + ", ".join(f'"k{n:04}": {n}' for n in range(1, 1001)) + "}\n").encode()
    _, paths = written(tmp_path, text, text)
    files = [shard_file.opened(path) for path in paths]
    assert [len(file.keys) for file in files] == [256, 256, 256, 232]
    for key, tells in {"k0500": [1], "a": [0], "z": [3], "k0256x": [0]}.items():
        assert [number for number, file in enumerate(files) if file.tells_of(key)] == tells
    [(lists, records)] = shard_file.read(files[1], ["k0500"])["k0500"].values()
    assert (cells(lists), records) == ([[500], [500]], None)


def test_any_tool_reads_a_file(tmp_path):
    text = b'{"step": 0, "loss": NaN}\n{"step": 1}\n{"step": 2, "loss": null, "n": 18446744073709551619}\n'
    _, [path] = written(tmp_path, text, text)
    table = pq.read_table(path)
    assert table.schema.names == ["log_id", "record", "loss", "n", "step", "exact"]
    assert table["log_id"].to_pylist() == [1, 1, 1, 2, 2, 2]
    assert table["record"].to_pylist() == [0, 1, 2] * 2
    assert table["step"].to_pylist() == [0.0, 1.0, 2.0] * 2
    nan, *others = table["loss"].to_pylist()[:3]
    assert math.isnan(nan)
    assert others == [None, None]
    assert table["n"].to_pylist() == [None, None, float(2**64)] * 2
    assert table["exact"].to_pylist() == [None, None, '{"loss": null, "n": 18446744073709551619}'] * 2
    about = pq.ParquetFile(path).metadata.row_group(0)
    assert [about.column(at).is_stats_set for at in range(6)] == [True, True, False, False, False, False]


def test_texts_of_other_keys_are_not_parsed_for_a_key_that_its_column_holds(tmp_path, monkeypatch):
    text = b'{"none": null, "loss": 0.5, "step": 9007199254740991, "big": 9007199254740993, "text": "a"}\n'
    [file] = map(shard_file.opened, written(tmp_path, text)[1])
    parsed = []
    real = shard_file.wide_columns.exact_values
    monkeypatch.setattr(shard_file.wide_columns, "exact_values", lambda texts: parsed.append(1) or real(texts))
    expected = {"loss": 0.5, "step": 2**53 - 1, "text": "a", "big": 2**53 + 1, "none": None}
    for key, value in expected.items():
        [(lists, _)] = shard_file.read(file, [key])[key].values()
        assert list(lists.cell(0)) == [value]
        assert bool(parsed) == (key in {"big", "none"})
