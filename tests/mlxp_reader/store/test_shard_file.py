"""What is stored of metric files comes back as it was, or is told to be damaged."""

import numpy as np
import pyarrow as pa
import pytest

from mlxp_reader.store import shard_file
from mlxp_reader.store.json_lines import parse
from mlxp_reader.store.parts import PART
from mlxp_reader.store.shards import ShardBuilder

FEW = """{"a": 1, "b": 0.5, "c": true, "d": "text", "e": [1]}
{"a": 2, "b": NaN, "d": "é"}
no record
{"b": 3.5}
""".encode()
MANY = ("{" + ", ".join(f'"k{n}": {n}.5, "n{n}": {n}' for n in range(100)) + '}\n{"k0": 1.0}\n').encode()


def written(folder, *texts):
    """Return a shard in memory, and the file that it was written to."""
    builder = ShardBuilder()
    parsed = parse(texts)
    parts = np.zeros(len(texts), dtype=PART)
    parts["run"] = np.arange(len(texts)) + 1
    builder.add(parts, parsed)
    shard = builder.build()
    shard_file.write(folder, shard.parts, shard.problems, shard.all_lists())
    [path] = folder.glob("*.parquet")
    return shard, path


def all_of(file):
    """Return all lists in a file as plain values, and what else it holds."""
    found = shard_file.read(file, list(file.columns))
    return plain(found), file.parts.tolist(), file.problems


def plain(lists):
    """Return lists as values that can be compared: a NaN is equal to itself."""
    return {
        one: repr([cell if found.present[row] else None for row, cell in enumerate(cells(found))])
        for one, found in lists.items()
    }


def cells(lists):
    return [np.asarray(cell).tolist() for cell in lists.cells(np.arange(len(lists)))]


@pytest.mark.parametrize("texts", [[FEW], [FEW, FEW, b"", MANY], [MANY, MANY, FEW]])
def test_what_is_written_comes_back(tmp_path, texts):
    shard, path = written(tmp_path, *texts)
    file = shard_file.opened(path)
    assert all_of(file) == (plain(shard.all_lists()), shard.parts.tolist(), shard.problems)
    assert len(file.columns) <= shard_file.MOST_COLUMNS + 10


@pytest.mark.parametrize("texts", [[FEW, FEW], [MANY, FEW]])
def test_with_any_flipped_bit_the_values_are_the_same_or_none(tmp_path, texts):
    _, path = written(tmp_path, *texts)
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


def test_many_keys_share_columns_and_each_is_read_with_few_others(tmp_path):
    text = ("{" + ", ".join(f'"k{n}": {n}' for n in range(1000)) + "}\n").encode()
    _, path = written(tmp_path, text, text)
    file = shard_file.opened(path)
    assert len(file.columns) <= shard_file.MOST_COLUMNS
    [name] = [name for name, column in file.columns.items() if shard_file.ListsOf("k500", "int") in column.holds]
    found = shard_file.read(file, [name])
    assert len(found) <= 1000 // shard_file.MOST_COLUMNS + 1
    assert cells(found[shard_file.ListsOf("k500", "int")]) == [[500], [500]]
