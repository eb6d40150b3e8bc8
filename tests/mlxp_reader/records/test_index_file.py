"""The file of an index is read as it was written, or not at all."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlxp_reader import Reader
from mlxp_reader.records import index_file


def table(columns=3, rows=4):
    """A table whose first column is not the runs'."""
    own = {"log_id": pa.array(range(rows))}
    kinds = [pa.array([f"text {row}" for row in range(rows)]).dictionary_encode(), pa.array([0.5, None] * (rows // 2))]
    fields = {f"config.k{number}": kinds[number % 2] for number in range(columns)}
    return pa.table(own | fields).replace_schema_metadata({"mlxp.index": "x"})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "index.parquet"


@pytest.mark.parametrize("columns", [3, 1100])
def test_a_table_comes_back(path, columns):
    written = table(columns)
    index_file.write(written, path, own=1)
    read = index_file.read(path)
    assert read.equals(written, check_metadata=True)
    assert [found.name for found in path.parent.iterdir()] == ["index.parquet"]


def test_any_reader_of_parquet_reads_it(path):
    index_file.write(table(), path, own=1)
    assert pq.read_table(path).equals(table())


@pytest.mark.parametrize("columns", [3, 1100])
def test_any_flipped_bit_is_noticed(path, columns):
    index_file.write(table(columns), path, own=1)
    content = path.read_bytes()
    step = max(1, len(content) // 700)
    damaged = bytearray(content)
    for at in range(0, len(content), step):
        damaged[at] ^= 1 << (at % 8)
        path.write_bytes(damaged)
        assert index_file.read(path) is None, at
        damaged[at] = content[at]


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 100, -1])
def test_a_cut_file_is_none(path, cut):
    index_file.write(table(), path, own=1)
    path.write_bytes(path.read_bytes()[:cut])
    assert index_file.read(path) is None


def test_a_file_of_another_program_is_none(path):
    pq.write_table(table(), path)
    assert index_file.read(path) is None


def test_a_configuration_of_very_many_keys_is_read_shown_and_read_again(write_run, logs, settle):
    for log_id in (1, 2):
        write_run(log_id, {f"k{number}": number * log_id for number in range(3000)})
    settle(logs)
    first = Reader(logs).filter()
    assert "2999 keys vary" in repr(first)
    again = Reader(logs)
    assert "2 cached" in repr(again)
    assert again.filter("k2999 == 5998")[0] == first[1]
