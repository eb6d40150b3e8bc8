"""The metric store: the same values from files and from the cache, whatever happened in between."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlxp.run_directory.layout import RunDirectory
from mlxp_reader.store import metric_files, shard_file, shards
from mlxp_reader.store import metric_store as metrics
from mlxp_reader.store.metric_store import MetricStore


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path, 1)


@pytest.fixture
def cache(tmp_path):
    return tmp_path / ".mlxp"


def make_run(folder, log_id):
    run = RunDirectory(folder / str(log_id))
    run.metrics.mkdir(parents=True)
    return run


def append(run, *records, log_name="train"):
    with run.metrics_file(log_name).open("a") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


def read(store, *runs, key="x"):
    column = store.read([run.log_id for run in runs], "train", key)
    return [cell if cell is None else list(cell) for cell in column.cells()]


def files_read(monkeypatch):
    """Return a list that each reading of a file adds to: how many bytes were read of it."""
    sizes = []
    real = metric_files.parse

    def parse(texts):
        sizes.extend(map(len, texts))
        return real(texts)

    monkeypatch.setattr(metric_files, "parse", parse)
    return sizes


def columns_read(monkeypatch):
    """Return a list that each reading of a file of the cache adds to: the keys that were read of it."""
    columns = []
    real = shard_file._columns
    monkeypatch.setattr(shard_file, "_columns", lambda file, keys: columns.extend(keys) or real(file, keys))
    return columns


KINDS = {
    "int": [1, 2],
    "float": [1.0, float("inf")],
    "bool": [True, False],
    "string": ["a", "é"],
    "mixed": [1, 0.5],
    "list": [[1], None],
    "big": [2**70, 1],
}


@pytest.mark.parametrize("kind", KINDS)
def test_values_come_back_equal_from_files_and_from_the_cache(kind, run, cache):
    append(run, *({"x": value} for value in KINDS[kind]))
    for store in (
        MetricStore(run.path.parent, None),
        MetricStore(cache.parent, cache),
        MetricStore(cache.parent, cache),
    ):
        [found] = read(store, run)
        assert found == KINDS[kind]
        assert [isinstance(value, bool | np.bool_) for value in found] == [isinstance(v, bool) for v in KINDS[kind]]


def test_arrays_have_the_type_of_the_runs_own_values(tmp_path, cache):
    runs = [make_run(tmp_path, log_id) for log_id in (1, 2, 3)]
    for run, value in zip(runs, (1, 0.5, True), strict=True):
        append(run, {"x": value})
    for store in (MetricStore(cache.parent, cache), MetricStore(cache.parent, cache)):
        cells = store.read([run.log_id for run in runs], "train", "x").cells()
        assert [cell.dtype for cell in cells] == [np.int64, np.float64, np.bool_]


def test_arrays_cannot_be_changed(run, cache):
    append(run, {"x": 1})
    read(MetricStore(cache.parent, cache), run)
    with pytest.raises(ValueError, match="read-only"):
        MetricStore(cache.parent, cache).read([1], "train", "x").cell(0)[0] = 2


def test_a_run_without_the_key_or_the_file_has_no_values(tmp_path, cache):
    runs = [make_run(tmp_path, log_id) for log_id in (1, 2, 3)]
    append(runs[0], {"x": 1})
    append(runs[1], {"y": 1})
    for _ in range(2):
        column = MetricStore(cache.parent, cache).read([run.log_id for run in runs], "train", "x")
        assert column.present.tolist() == [True, False, False]
        assert column.cells() == [[1], None, None]
        assert column.problems == ()


def test_what_is_cached_is_not_read_again(run, cache, monkeypatch):
    append(run, {"x": 1, "y": 2})
    read(MetricStore(cache.parent, cache), run)
    sizes = files_read(monkeypatch)
    assert read(MetricStore(cache.parent, cache), run, key="y") == [[2]]
    assert sizes == [], "all keys of a file are cached at once"


def test_only_the_runs_asked_for_are_read(tmp_path, cache, monkeypatch):
    runs = [make_run(tmp_path, log_id) for log_id in (1, 2, 3)]
    for run in runs:
        append(run, {"x": run.log_id})
    store = MetricStore(cache.parent, cache)
    assert read(store, runs[1]) == [[2]]
    sizes = files_read(monkeypatch)
    assert read(store, *reversed(runs)) == [[3], [2], [1]]
    assert len(sizes) == 2


def test_runs_that_are_looked_into_one_by_one_are_read_from_a_shard_once(tmp_path, cache, monkeypatch):
    runs = [make_run(tmp_path, log_id) for log_id in range(1, 8)]
    for run in runs:
        append(run, {"x": run.log_id, "y": 0})
    read(MetricStore(tmp_path, cache), *runs)
    columns = columns_read(monkeypatch)
    store = MetricStore(tmp_path, cache)
    assert [read(store, run) for run in (*runs[:3], runs[0])] == [[[1]], [[2]], [[3]], [[1]]]
    assert columns == ["x"]
    assert read(store, runs[4], key="y") == [[0]]
    assert columns == ["x", "x", "y"]


def test_a_file_that_has_grown_is_read_from_where_reading_stopped(run, cache, monkeypatch):
    append(run, {"x": 1, "y": 0})
    read(MetricStore(cache.parent, cache), run)
    append(run, {"x": 2})
    sizes = files_read(monkeypatch)
    store = MetricStore(cache.parent, cache)
    assert read(store, run) == [[1, 2]]
    assert sizes == [len('{"x": 2}\n')]
    assert read(store, run) == [[1, 2]]
    assert len(sizes) == 1


def test_what_is_added_may_be_of_another_type(run, cache):
    append(run, {"x": 1})
    read(MetricStore(cache.parent, cache), run)
    append(run, {"x": 0.5})
    for _ in range(2):
        assert MetricStore(cache.parent, cache).read([1], "train", "x").cell(0) == [1, 0.5]


def test_record_numbers_tell_what_was_logged_together(run, cache):
    append(run, {"x": 1, "y": 1}, {"x": 2})
    assert MetricStore(cache.parent, cache).read([1], "train", "y").record_numbers(0).tolist() == [0]
    append(run, {"x": 3}, {"x": 4, "y": 2})
    for _ in range(2):
        assert MetricStore(cache.parent, cache).read([1], "train", "y").record_numbers(0).tolist() == [0, 3]
        assert MetricStore(cache.parent, cache).read([1], "train", "x").record_numbers(0).tolist() == [0, 1, 2, 3]


def test_a_torn_last_line_is_read_once_it_is_complete(run, cache):
    append(run, {"x": 1})
    with run.metrics_file("train").open("a") as file:
        file.write('{"x": 2')
        file.flush()
        column = MetricStore(cache.parent, cache).read([1], "train", "x")
        assert (column.cell(0).tolist(), column.problems) == ([1], ())
        assert read(MetricStore(cache.parent, cache), run) == [[1]]
        file.write("2}\n")
    assert read(MetricStore(cache.parent, cache), run) == [[1, 22]]


def test_a_file_that_was_written_anew_is_read_anew(run, cache):
    file = run.metrics_file("train")
    append(run, {"x": 1}, {"x": 2})
    read(MetricStore(cache.parent, cache), run)
    for text in ('{"x": 3}\n{"x": 4}\n', '{"x": 5}\n{"x": 6}\n{"x": 7}\n', '{"x": 8}\n'):
        file.write_text(text)
        os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
        expected = [json.loads(line)["x"] for line in text.splitlines()]
        assert read(MetricStore(cache.parent, cache), run) == [expected]
        assert read(MetricStore(cache.parent, cache), run) == [expected]


@pytest.mark.parametrize("line", [0, 150, 299])
def test_a_file_that_was_changed_in_place_and_has_grown_is_read_anew(run, cache, line):
    append(run, *({"x": step} for step in range(1000, 1300)))
    read(MetricStore(cache.parent, cache), run)
    append(run, {"x": 1300})
    read(MetricStore(cache.parent, cache), run)
    with run.metrics_file("train").open("r+") as file:
        file.seek(line * len('{"x": 1000}\n'))
        file.write('{"x": 7000}')
    append(run, {"x": 1301})
    expected = [7000 if step == 1000 + line else step for step in range(1000, 1302)]
    for _ in range(2):
        assert read(MetricStore(cache.parent, cache), run) == [expected]


def test_of_many_keys_each_is_read_with_its_neighbours_and_each_footer_once(run, cache, monkeypatch):
    keys = 2000
    append(run, {f"k{number}": number for number in range(keys)})
    read(MetricStore(cache.parent, cache), run, key="k0")
    footers = []
    real = shard_file.pq.read_metadata
    monkeypatch.setattr(shard_file.pq, "read_metadata", lambda path: footers.append(path) or real(path))
    columns = columns_read(monkeypatch)
    store = MetricStore(cache.parent, cache)
    assert [read(store, run, key=f"k{number}") for number in range(keys)] == [[[number]] for number in range(keys)]
    assert len(footers) == len(set(footers)) == 8
    assert len(columns) == 8 + keys


def test_no_more_columns_are_kept_than_there_is_memory_for(tmp_path, cache, monkeypatch):
    names = ["one", "two", "three"]
    run = make_run(tmp_path, 1)
    for name in names:
        append(run, {"x": 1, "y": 2, "z": 3}, log_name=name)
    blocks, files = shard_file.Blocks(), []
    for name in names:
        MetricStore(tmp_path, cache).read([1], name, "x")
        [path] = (cache / f"metrics-{name}").glob("*.parquet")
        files.append(shard_file.opened(path))
    monkeypatch.setattr(shard_file, "_MOST_IN_BLOCKS", 2 * max(file.size for file in files))
    columns = columns_read(monkeypatch)
    for file in (*files, *files):
        assert shard_file.read(file, ["x"], blocks).keys() == {"x"}
    assert len(columns) == 3 + 3 * 3
    shard_file.read(files[2], ["y"], blocks)
    assert len(columns) == 3 + 3 * 3
    shard_file.read(files[0], ["y"], blocks)
    assert len(columns) == 3 + 3 * 3 + 3
    monkeypatch.setattr(shard_file, "_MOST_IN_BLOCK", 0)
    shard_file.read(files[1], ["y"], blocks)
    assert len(columns) == 3 + 3 * 3 + 3 + 1


def test_bad_lines_are_told_by_the_cache_too(run, cache):
    run.metrics_file("train").write_text('{"x": 1}\noops\n')
    read(MetricStore(cache.parent, cache), run)
    with run.metrics_file("train").open("a") as file:
        file.write('[]\n{"x": 2}\n')
    for _ in range(2):
        column = MetricStore(cache.parent, cache).read([1], "train", "x")
        assert column.cell(0).tolist() == [1, 2]
        assert [(p.log_id, p.file, p.line) for p in column.problems] == [
            (1, os.path.join("metrics", "train.json"), 2),
            (1, os.path.join("metrics", "train.json"), 3),
        ]


def test_a_file_that_cannot_be_read_is_a_problem_of_its_run_only(tmp_path, cache):
    runs = [make_run(tmp_path, log_id) for log_id in (1, 2)]
    runs[0].metrics_file("train").mkdir()
    append(runs[1], {"x": 1})
    column = MetricStore(cache.parent, cache).read([run.log_id for run in runs], "train", "x")
    assert column.cells() == [None, [1]]
    assert [(p.log_id, p.line, p.error) for p in column.problems] == [(1, None, "Is a directory")]


def test_what_is_added_while_a_file_is_looked_at_is_read_once(tmp_path, run, cache, monkeypatch):
    append(run, {"x": 1})
    real = shards.find

    def find(*arguments):
        append(run, {"x": 2})
        return real(*arguments)

    monkeypatch.setattr(shards, "find", find)
    assert read(MetricStore(tmp_path, cache), run) == [[1, 2]]
    monkeypatch.undo()
    assert read(MetricStore(tmp_path, cache), run) == [[1, 2]]


@pytest.mark.parametrize("log_name", ["a/../b", "..", "é.json", "a%2Fb"])
def test_any_name_of_a_file_can_be_cached(log_name, tmp_path, cache):
    run = make_run(tmp_path, 1)
    run.metrics_file(log_name).parent.mkdir(parents=True, exist_ok=True)
    (run.metrics / "a").mkdir(exist_ok=True)
    append(run, {"x": 1}, log_name=log_name)
    for _ in range(2):
        assert MetricStore(cache.parent, cache).read([1], log_name, "x").cell(0).tolist() == [1]
    assert {path.parent for path in tmp_path.rglob("*.parquet")} == set(cache.iterdir())


def damage(path, how):
    data = path.read_bytes()
    path.write_bytes({"emptied": b"", "cut": data[: len(data) // 2], "foreign": b"PAR1" + b"\0" * 100 + b"PAR1"}[how])


@pytest.mark.parametrize("how", ["emptied", "cut", "foreign"])
def test_a_damaged_shard_is_rebuilt(how, run, cache):
    append(run, {"x": 1})
    store = MetricStore(cache.parent, cache)
    read(store, run)
    for path in cache.rglob("*.parquet"):
        damage(path, how)
    assert read(MetricStore(cache.parent, cache), run) == [[1]]
    assert read(store, run) == [[1]], "an open store survives it, too"
    assert read(MetricStore(cache.parent, cache), run) == [[1]]


def test_a_shard_with_any_wrong_byte_gives_no_wrong_value(tmp_path, run, cache):
    append(run, *({"x": step, "y": str(step)} for step in range(20)))
    read(MetricStore(tmp_path, cache), run)
    [path] = cache.rglob("*.parquet")
    data = path.read_bytes()
    for position in range(0, len(data), 23):
        for other in cache.rglob("*.parquet"):
            other.unlink()
        path.write_bytes(data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 :])
        assert read(MetricStore(tmp_path, cache), run) == [list(range(20))], position


def test_a_shard_of_another_version_is_left_alone(run, cache, monkeypatch):
    append(run, {"x": 1})
    monkeypatch.setattr(shard_file, "VERSION", "3")
    read(MetricStore(cache.parent, cache), run)
    monkeypatch.undo()
    assert read(MetricStore(cache.parent, cache), run) == [[1]]
    assert len(list(cache.rglob("*.parquet"))) == 2


def test_the_cache_may_be_deleted_while_a_store_is_open(run, cache):
    append(run, {"x": 1})
    store = MetricStore(cache.parent, cache)
    read(store, run)
    for path in cache.rglob("*.parquet"):
        path.unlink()
    assert read(store, run) == [[1]]


def test_a_cache_that_cannot_be_written_is_done_without(run, tmp_path):
    append(run, {"x": 1})
    (tmp_path / "file").touch()
    store = MetricStore(tmp_path, tmp_path / "file" / "cache")
    assert read(store, run) == [[1]]
    assert read(store, run) == [[1]]


def test_appending_adds_a_shard_and_changes_none(tmp_path, cache):
    runs = [make_run(tmp_path, log_id) for log_id in (1, 2)]
    store = MetricStore(cache.parent, cache)
    append(runs[0], {"x": 1})
    read(store, runs[0])
    before = {path: path.read_bytes() for path in cache.rglob("*.parquet")}
    append(runs[1], {"x": 2})
    read(store, *runs)
    after = {path: path.read_bytes() for path in cache.rglob("*.parquet")}
    assert len(after) == 2
    assert before.items() <= after.items()


@pytest.fixture
def each_end_is_stored(monkeypatch):
    """Store what was added to a file however little it is."""
    monkeypatch.setattr(shards, "SMALL_PIECE", 0)


@pytest.mark.usefixtures("each_end_is_stored")
def test_many_small_shards_are_merged(tmp_path, cache, monkeypatch):
    run, other = make_run(tmp_path, 1), make_run(tmp_path, 2)
    append(other, {"y": "a"}, {"x": 0.5})
    store = MetricStore(cache.parent, cache)
    for step in range(40):
        append(run, {"x": step, "y": None}, {})
        assert read(store, run, other) == [list(range(step + 1)), [0.5]]
        assert len(list(cache.rglob("*.parquet"))) <= shards.MAX_SMALL_SHARDS + 1
    sizes = files_read(monkeypatch)
    column = MetricStore(cache.parent, cache).read([2, 1], "train", "x")
    assert [list(cell) for cell in column.cells()] == [[0.5], list(range(40))]
    assert column.record_numbers(0).tolist() == [1]
    assert column.record_numbers(1).tolist() == list(range(0, 80, 2))
    assert sizes == []


@pytest.mark.usefixtures("each_end_is_stored")
def test_what_a_killed_process_left_is_removed_when_shards_are_merged(run, cache, monkeypatch):
    append(run, {"x": 1})
    read(MetricStore(cache.parent, cache), run)
    [folder] = cache.iterdir()
    (folder / ".old").touch()
    (folder / ".new").touch()
    os.utime(folder / ".old", (0, 0))
    monkeypatch.setattr(shards, "MAX_SMALL_SHARDS", 0)
    append(run, {"x": 2})
    read(MetricStore(cache.parent, cache), run)
    assert not (folder / ".old").exists()
    assert (folder / ".new").exists()


records = st.dictionaries(
    st.sampled_from("xyz"),
    st.one_of(st.integers(-3, 3), st.floats(allow_nan=False), st.booleans(), st.none(), st.text(max_size=2)),
    max_size=2,
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), st.lists(records, max_size=3)), max_size=8), st.data())
def test_reading_while_runs_go_on_gives_what_was_logged(tmp_path_factory, steps, data):
    folder = tmp_path_factory.mktemp("logs")
    runs = [make_run(folder, log_id) for log_id in (1, 2, 3)]
    logged = {run.log_id: [] for run in runs}
    for log_id, new in steps:
        append(runs[log_id - 1], *new)
        logged[log_id] += new
        asked = data.draw(st.permutations(runs))[: data.draw(st.integers(0, 3))]
        key = data.draw(st.sampled_from("xyz"))
        found = MetricStore(folder, folder / ".mlxp").read([run.log_id for run in asked], "train", key)
        expected = [[r[key] for r in logged[run.log_id] if key in r] or None for run in asked]
        assert [cell if cell is None else list(cell) for cell in found.cells()] == expected
        numbers = [[n for n, r in enumerate(logged[run.log_id]) if key in r] for run in asked]
        assert [found.record_numbers(run).tolist() for run in range(len(asked))] == numbers


READ_IN_A_LOOP = """
import sys
from pathlib import Path
from mlxp.run_directory.layout import run_directories
from mlxp_reader.store.metric_store import MetricStore
logs, longest = Path(sys.argv[1]), {}
while not longest or min(longest.values()) < 300:
    runs = list(run_directories(logs))
    column = MetricStore(logs, logs / ".mlxp").read([run.log_id for run in runs], "train", "x")
    assert column.problems == (), column.problems
    for run, cell in zip(runs, column.cells()):
        values = [] if cell is None else cell.tolist()
        assert values == list(range(len(values))) and len(values) >= longest.get(run, 0), values
        longest[run] = len(values)
    print("read once more", flush=True)
"""


def test_many_processes_read_while_runs_write(tmp_path):
    runs = [make_run(tmp_path, log_id) for log_id in (1, 2, 3)]
    command = [sys.executable, "-c", READ_IN_A_LOOP, str(tmp_path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    readers = [subprocess.Popen(command, **pipes) for _ in range(3)]
    for step in range(300):
        for run in runs:
            append(run, {"x": step})
        if step % 10 == 0:
            assert {reader.stdout.readline() for reader in readers} == {"read once more\n"}
    for reader in readers:
        assert reader.communicate(timeout=60)[1] == ""
        assert reader.returncode == 0


READ_AND_WRITE_TOGETHER = """
import sys, time
from pathlib import Path
from mlxp_reader.store import shard_file
from mlxp_reader.store.metric_store import MetricStore
logs, log_id = Path(sys.argv[1]), int(sys.argv[2])
write = shard_file.write
def write_together(*arguments):  # both know of no other's type then
    (logs / f"ready-{log_id}").touch()
    while len(list(logs.glob("ready-*"))) < 2:
        time.sleep(0.01)
    write(*arguments)
shard_file.write = write_together
print(MetricStore(logs, logs / ".mlxp").read([log_id], "train", "x").cells())
"""


def test_two_processes_that_store_a_new_key_at_once_give_it_one_type(tmp_path, cache):
    runs = [make_run(tmp_path, log_id) for log_id in (1, 2)]
    append(runs[0], {"x": 0.5, "y": 1})
    append(runs[1], {"x": "text", "y": True})
    command = [sys.executable, "-c", READ_AND_WRITE_TOGETHER, str(tmp_path)]
    readers = [subprocess.Popen([*command, str(run.log_id)], stdout=subprocess.PIPE, text=True) for run in runs]
    assert [reader.communicate(timeout=60)[0] for reader in readers] == ["[array([0.5])]\n", "[['text']]\n"]
    files = [shard_file.opened(path) for path in cache.rglob("*.parquet")]
    for key in "xy":
        assert {file.keys[key].type for file in files} == {"double"}
    assert read(MetricStore(tmp_path, cache), *runs) == [[0.5], ["text"]]
    assert read(MetricStore(tmp_path, cache), *runs, key="y") == [[1], [True]]


def test_reading_metrics_does_not_import_pandas(run, cache):
    append(run, {"x": 1, "y": "a"})
    program = (
        "import sys; from pathlib import Path\n"
        "from mlxp_reader.store.metric_store import MetricStore\n"
        "cache = Path(sys.argv[1])\n"
        "for key in 'xy' * 2: MetricStore(cache.parent, cache).read([1], 'train', key).cells()\n"
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(cache)], check=True)


# Long files, which are read in parts.


@pytest.fixture
def all_are_long(monkeypatch):
    """Read all files as if they were long: in chunks of 64 bytes, in parts of some 300 bytes."""
    monkeypatch.setattr(metric_files, "LONG", 0)
    monkeypatch.setattr(metrics, "LONG", 0)
    monkeypatch.setattr(metric_files, "CHUNK", 64)
    monkeypatch.setattr(metric_files, "MAX_SHARD", 300)


def long_reads(monkeypatch):
    """Return a list that each reading of a long file adds to: the key that is kept, and where reading starts."""
    reads = []
    real = metric_files._in_parts

    def in_parts(job, descriptor, collected):
        reads.append((collected.only, job.start))
        return real(job, descriptor, collected)

    monkeypatch.setattr(metric_files, "_in_parts", in_parts)
    return reads


@pytest.mark.usefixtures("all_are_long")
@pytest.mark.parametrize("kind", KINDS)
def test_values_of_a_long_file_come_back_equal(kind, run, cache):
    expected = [{"x": value, "y": step} for step, value in enumerate(KINDS[kind] * 40)]
    append(run, *expected)
    for store in (MetricStore(cache.parent, cache), MetricStore(cache.parent, cache)):
        for key in "xyz":
            [found] = read(store, run, key=key)
            assert found == ([record[key] for record in expected] if key in expected[0] else None)
    assert len({path.name for path in cache.rglob("*.parquet")}) > 3


@pytest.mark.usefixtures("all_are_long")
def test_of_a_long_file_first_one_key_is_read_and_then_all(run, cache, monkeypatch):
    append(run, *({"x": step, "y": 2 * step, "z": 3 * step} for step in range(50)))
    reads = long_reads(monkeypatch)
    for key, factor in {"x": 1, "y": 2, "z": 3}.items():
        for _ in range(2):
            assert read(MetricStore(cache.parent, cache), run, key=key) == [[factor * step for step in range(50)]]
    assert reads == [("x", 0), (None, 0)]


@pytest.mark.usefixtures("all_are_long")
@pytest.mark.parametrize("key", "xy")
def test_of_a_long_file_that_has_grown_only_the_end_is_read(key, run, cache, monkeypatch):
    append(run, *({"x": step, "y": -step} for step in range(50)))
    read(MetricStore(cache.parent, cache), run)
    read(MetricStore(cache.parent, cache), run, key=key)
    size = run.metrics_file("train").stat().st_size
    append(run, *({"x": step, "y": -step} for step in range(50, 60)))
    reads = long_reads(monkeypatch)
    [found] = read(MetricStore(cache.parent, cache), run, key=key)
    assert [abs(value) for value in found] == list(range(60))
    assert [start for _, start in reads] == [size]


@pytest.mark.usefixtures("all_are_long")
def test_what_a_process_read_before_it_was_killed_is_the_beginning_only(run, cache, monkeypatch):
    append(run, *({"x": step} for step in range(100)))
    read(MetricStore(cache.parent, cache), run, key="y")
    real = shards.ShardFolder.write
    written = []

    def write(folder, shard, **how):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(shard)
        real(folder, shard, **how)

    monkeypatch.setattr(shards.ShardFolder, "write", write)
    with pytest.raises(KeyboardInterrupt):
        read(MetricStore(cache.parent, cache), run)
    monkeypatch.setattr(shards.ShardFolder, "write", real)
    reads = long_reads(monkeypatch)
    assert read(MetricStore(cache.parent, cache), run) == [list(range(100))]
    assert [start for _, start in reads] == [int(written[-1].parts["end"][-1])]


@pytest.mark.usefixtures("all_are_long")
def test_a_long_file_that_is_changed_in_place_is_read_anew(run, cache):
    append(run, *({"x": step} for step in range(1000, 1100)))
    read(MetricStore(cache.parent, cache), run)
    with run.metrics_file("train").open("r+") as file:
        file.seek(50 * len('{"x": 1000}\n'))
        file.write('{"x": 7000}')
    append(run, {"x": 1100})
    expected = [7000 if step == 1050 else step for step in range(1000, 1101)]
    for _ in range(2):
        assert read(MetricStore(cache.parent, cache), run) == [expected]


@pytest.mark.usefixtures("all_are_long")
def test_bad_lines_of_a_long_file_are_told_once_with_their_places(run, cache):
    run.metrics_file("train").write_text(("\ufeff" + '{"x": 1, "y": 2}\n' * 9 + "oops\n") * 8 + '{"x": 1, "y": 2')
    for key in "xyx":
        column = MetricStore(cache.parent, cache).read([1], "train", key)
        assert len(column.cell(0)) == 65
        assert {problem.line for problem in column.problems} >= {10, 20, 30, 40, 50, 60, 70, 80}
        assert len(column.problems) == 15, "what stands at the beginning of a file is a fault elsewhere"


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(1, 3), st.lists(records, max_size=30)), max_size=8), data=st.data())
def test_long_files_are_read_while_runs_go_on(tmp_path_factory, steps, data):
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in (
            (metric_files, "LONG", 100),
            (metrics, "LONG", 100),
            (metric_files, "CHUNK", 64),
            (metric_files, "MAX_SHARD", 300),
        ):
            patch.setattr(module, name, value)
        test_reading_while_runs_go_on_gives_what_was_logged.hypothesis.inner_test(tmp_path_factory, steps, data)


def test_without_a_cache_nothing_is_parsed_twice_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    run = make_run(tmp_path / "logs", 1)
    append(run, {"x": 1, "y": 2})
    sizes = files_read(monkeypatch)
    store = MetricStore(tmp_path / "logs", None)
    assert [read(store, run, key=key) for key in "xyx"] == [[[1]], [[2]], [[1]]]
    assert len(sizes) == 1
    del store
    assert os.listdir(tmp_path) == ["logs"]


def test_a_small_end_of_a_file_is_not_stored_and_read_once_by_a_store(run, cache, monkeypatch):
    append(run, {"x": 0})
    store = MetricStore(cache.parent, cache)
    read(store, run)
    sizes = files_read(monkeypatch)
    for step in range(1, 20):
        append(run, {"x": step})
        for _ in range(2):
            assert read(store, run) == [list(range(step + 1))]
    assert len(sizes) == 19
    assert len(list(cache.rglob("*.parquet"))) <= 4
