"""A scan gives every engine the same records, whatever the cache held before."""

import importlib
import json
import sys

import pandas as pd
import pytest

from mlxp import DefaultLogger
from mlxp.errors import InvalidKeyError, MLXPError
from mlxp.run_directory.files import write_yaml
from mlxp.run_directory.layout import RunDirectory
from mlxp_reader import Reader
from mlxp_reader.engines import pieces
from mlxp_reader.store import metric_files, shard_file

ENGINES = ["polars", "duckdb", "arrow", "pandas", "dask"]
NEEDS = {"polars": "polars", "duckdb": "duckdb", "dask": "dask.dataframe"}


def rows(scan, engine):
    """Return the records of a scan as lists of plain values, in order of runs and records."""
    if engine in NEEDS:
        pytest.importorskip(NEEDS[engine])
    if engine == "polars":
        table = scan.to_polars().collect().to_arrow()
    elif engine == "duckdb":
        table = scan.to_duckdb().to_arrow_table()
    elif engine == "arrow":
        table = scan.to_arrow().read_all()
    else:
        frame = scan.to_pandas() if engine == "pandas" else scan.to_dask().compute()
        found = [[None if pd.isna(value) else value for value in row] for row in frame.to_numpy(dtype=object).tolist()]
        return list(frame.columns), sorted(found, key=in_order(frame.columns))
    found = [list(row.values()) for row in table.to_pylist()]
    return table.schema.names, sorted(found, key=in_order(table.schema.names))


def in_order(names):
    places = [list(names).index(name) for name in ("source", "log_id", "record")]
    return lambda row: [str(row[place]) if place == 1 else row[place] for place in places]


@pytest.fixture
def three(write_run, logs):
    """Three runs with different keys, of which one has no metrics of this name."""
    write_run(1, {"lr": 0.1}, metrics={"train": [{"loss": 1.0, "step": 0}, {"loss": 0.5, "step": 10}]})
    write_run(2, {"lr": 1}, metrics={"train": [{"loss": 2, "epoch": 3, "acc": 1}, {"acc": 2}]})
    write_run(3, {"lr": 10}, metrics={"test": [{"loss": 9.0}]})
    return logs


@pytest.mark.parametrize("engine", ENGINES)
def test_each_engine_gets_the_records_of_the_runs_asked_for(three, engine):
    reader = Reader(three)
    names, found = rows(reader.scan("train.loss", "train.acc", query="lr < 5"), engine)
    assert names == ["log_id", "source", "attempt", "step", "time", "record", "train.loss", "train.acc"]
    where = str(three)
    assert found == [
        [1, where, 1, 0, None, 0, 1.0, None],
        [1, where, 1, 10, None, 1, 0.5, None],
        [2, where, 1, 3, None, 0, 2.0, 1],
        [2, where, 1, None, None, 1, None, 2],
    ]
    assert rows(reader.scan("train.loss", query="lr == 1"), engine)[1] == [row[:-1] for row in found[2:]]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_path_is_no_pattern(three, engine, tmp_path):
    strange = three.rename(tmp_path / "it's [1] of *?")
    assert len(rows(Reader(strange).scan("train.loss"), engine)[1]) == 4


@pytest.mark.parametrize("engine", ["polars", "duckdb", "arrow"])
@pytest.mark.parametrize(
    ("values", "expected"),
    [((1.5, "text", True), [1.5, None, None]), (("text", True), ["text", None]), ((1, "text"), [1, None])],
)
@pytest.mark.filterwarnings("ignore:values that the column of a scan cannot hold")
def test_directories_may_disagree_on_the_type_of_a_metric(tmp_path, engine, values, expected):
    for number, value in enumerate(values):
        DefaultLogger(str(tmp_path / str(number)), -1).log_metrics({"x": value, "step": value}, "train")
    found = rows(Reader([tmp_path / str(number) for number in range(len(values))]).scan("train.x"), engine)[1]
    assert [row[-1] for row in found] == expected
    assert [row[3] for row in found] == [one if not isinstance(one, str) else None for one in expected]


@pytest.mark.parametrize("engine", ["polars", "duckdb", "arrow"])
def test_nan_and_nothing_are_told_apart(write_run, logs, engine):
    write_run(1, metrics={"train": [{"x": float("nan")}, {"x": None}, {"y": 1}, {"x": float("inf")}]})
    found = rows(Reader(logs).scan("train.x"), engine)[1]
    assert [str(row[-1]) for row in found] == ["nan", "None", "None", "inf"]


@pytest.mark.parametrize("engine", ENGINES)
def test_values_that_a_column_cannot_hold_are_told_once(write_run, logs, engine):
    write_run(1, metrics={"train": [{"x": 1.5, "n": 2**60 + 1}, {"x": "text", "n": 1}, {"x": [1], "n": 2}]})
    write_run(2, metrics={"train": [{"x": None, "n": 1}, {"x": 2, "y": True}, {"x": False, "y": 10**400}]})
    write_run(3, metrics={"train": [{"x": "of no run that is asked for"}]})
    with pytest.warns(UserWarning, match="cannot hold") as told:
        rows(Reader(logs).scan("train.x", "train.n", query="log_id < 3"), engine)
    [message] = [str(one.message) for one in told]
    assert message == (
        "values that the column of a scan cannot hold are null: 3 of train.x in 2 runs; integers beyond 2**53 are"
        " rounded: 1 of train.n in 1 run; the frame of reader.filter() has them as they were logged"
    )


def test_values_of_another_directory_s_type_are_told(tmp_path):
    for number, value in enumerate((1.5, "text")):
        DefaultLogger(str(tmp_path / str(number)), -1).log_metrics({"x": value}, "train")
    with pytest.warns(UserWarning, match=r"null: 1 of train\.x in 1 run; the frame"):
        Reader([tmp_path / "0", tmp_path / "1"]).scan("train.x").to_arrow()


@pytest.mark.parametrize("engine", ENGINES)
def test_all_metrics_of_all_logs_are_there_by_default(three, engine):
    names, found = rows(Reader(three).scan(), engine)
    assert {"train.loss", "train.acc", "train.step", "train.epoch", "test.loss"} < set(names)
    assert [row[names.index("test.loss")] for row in found] == [None] * 4 + [9.0]


@pytest.mark.parametrize("engine", ["polars", "duckdb", "arrow"])
@pytest.mark.parametrize("most", [1, 256])
def test_keys_in_several_files_are_put_beside_each_other(three, engine, most, monkeypatch):
    monkeypatch.setattr(shard_file, "MOST_KEYS", most)
    found = rows(Reader(three).scan("train.loss", "train.acc"), engine)[1]
    assert [row[-2:] for row in found] == [[1.0, None], [0.5, None], [2.0, 1], [None, 2]]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_that_was_resumed_is_one_curve(write_run, logs, engine):
    first = [{"step": step, "loss": 10.0 + step} for step in range(4)]
    path = write_run(1, metrics={"train": [*first, *({"step": step, "loss": float(step)} for step in range(2, 5))]})
    run = RunDirectory(path)
    begins = sum(len(json.dumps(record)) + 1 for record in first)
    write_yaml(run.info_file, {"status": "COMPLETE", "layout": 2, "attempt": 2, "logger": {"log_id": 1}})
    write_yaml(run.attempts_file, {"attempts": [{"attempt": 1}, {"attempt": 2, "begins": {"train": begins}}]})
    names, found = rows(Reader(logs).scan("train.loss"), engine)
    assert [(row[names.index("attempt")], row[-1]) for row in found] == [(1, 10), (1, 11), (2, 2), (2, 3), (2, 4)]
    everything = rows(Reader(logs, attempts="all").scan("train.loss"), engine)[1]
    assert [row[2] for row in everything] == [1] * 4 + [2] * 3


def test_what_changed_meanwhile_is_there_once(three, monkeypatch):
    monkeypatch.setattr(metric_files, "LONG", 10)
    file = RunDirectory(three / "1").metrics_file("train")
    runs = Reader(three).filter()
    assert list(runs["train.loss"][0]) == [1.0, 0.5]
    for text in ('{"loss": 0.25, "step": 20}\n', '{"loss": 0.125, "step": 30}\n'):
        with file.open("a") as opened:
            opened.write(text)
        expected = [json.loads(line)["loss"] for line in file.read_text().splitlines()]
        for _ in range(2):
            found = rows(Reader(three).scan("train.loss"), "arrow")[1]
            assert [row[-1] for row in found if row[0] == 1] == expected
        assert list(Reader(three).filter()["train.loss"][0]) == expected
    file.write_text('{"loss": 7.0}\n')
    for names in (["train.loss"], ["train.loss", "train.acc"]):
        assert [row[6] for row in rows(Reader(three).scan(*names), "arrow")[1]] == [7.0, 2.0, None]
    tables = [shard_file.pq.read_table(path) for path in three.rglob("*.parquet") if "metrics-" in str(path)]
    assert sum(table["log_id"].to_pylist().count(1) for table in tables) == 1, "no file has rows that do not count"


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_files_that_were_written_one_after_the_other_are_read_together(write_run, logs, engine):
    for number in range(1, 5):
        write_run(number, {"lr": number}, metrics={"train": [{"x": number, "y": 0.5}, {"x": 10 * number, "z": True}]})
        Reader(logs).scan("train.x").to_arrow()
    write_run(5, {"lr": 5}, metrics={"train": [{"other": 1}, {"x": 50}]})
    scan = Reader(logs).scan("train.x", "train.z", query="lr > 1")
    found = rows(scan, engine)[1]
    assert len(list((logs / ".mlxp/metrics-train").glob("*.parquet"))) == 5
    expected = [(2, 2, None), (2, 20, True), (3, 3, None), (3, 30, True), (4, 4, None), (4, 40, True)]
    assert [(row[0], *row[-2:]) for row in found] == [*expected, (5, None, None), (5, 50, None)]


@pytest.mark.parametrize("engine", ENGINES)
def test_several_directories_are_told_apart_by_their_source(tmp_path, monkeypatch, write_run, logs, engine):
    write_run(1, metrics={"train": [{"x": 1}]})
    logs.rename(tmp_path / "a")
    logs.mkdir()
    write_run(1, metrics={"train": [{"x": 2}]})
    monkeypatch.chdir(tmp_path)
    names, found = rows(Reader(["a", "logs"]).scan("train.x"), engine)
    assert names[-1] == "train.x"
    assert [(row[0], row[1], row[-1]) for row in found] == [(1, "a", 1), (1, "logs", 2)]


def test_queries_of_duckdb_know_the_runs(three):
    pytest.importorskip("duckdb")
    scan = Reader(three).scan("train.loss")
    query = 'select r."config.lr", min("train.loss") from metrics join runs r using (log_id) group by all order by all'
    assert scan.to_duckdb(query).fetchall() == [(0.1, 0.5), (1.0, 2.0)]


def test_nothing_is_read_before_an_engine_is_asked(three):
    pl = pytest.importorskip("polars")
    frame = Reader(three).scan("train.loss").to_polars().filter(pl.col("train.loss") > 1).select("log_id")
    assert not list((three / ".mlxp").glob("metrics-*"))
    assert frame.collect()["log_id"].to_list() == [2]
    with RunDirectory(three / "1").metrics_file("train").open("a") as file:
        file.write('{"loss": 3.0, "step": 20}\n')
    assert Reader(three).scan("train.loss").to_polars().head(9).collect().height == 5


@pytest.fixture
def timed(three):
    """Three runs, of which the first one has noted when its records were logged."""
    run = RunDirectory(three / "1")
    end = run.metrics_file("train").read_bytes().index(b"\n") + 1
    run.record_times.mkdir()
    run.record_times_file("train").write_text(
        f"0 1000.0\n{end} 1002.5\n{run.metrics_file('train').stat().st_size} 1007\n"
    )
    return three


@pytest.mark.parametrize("engine", ENGINES)
def test_time_is_in_seconds_since_the_run_started_where_that_was_noted(timed, engine):
    names, found = rows(Reader(timed).scan("train.loss"), engine)
    assert [row[names.index("time")] for row in found] == [2.5, 7.0, None, None]


def test_engines_ask_for_times_in_expressions(timed):
    pl = pytest.importorskip("polars")
    pytest.importorskip("duckdb")
    scan = Reader(timed).scan("train.loss")
    assert scan.to_polars().filter(pl.col("time") > 3).select("train.loss").collect().rows() == [(0.5,)]
    assert scan.to_duckdb('select "train.loss" from metrics where time > 3').fetchall() == [(0.5,)]


def test_times_are_looked_up_only_for_who_asks(timed, monkeypatch):
    pytest.importorskip("polars")
    pytest.importorskip("duckdb")
    pytest.importorskip("dask.dataframe")
    monkeypatch.setattr(pieces, "times_of_records", lambda *_: pytest.fail("the time is not asked for"))
    scan = Reader(timed).scan("train.loss")
    assert scan.to_polars().select("step", "train.loss").collect().height == 4
    assert scan.to_duckdb('select avg("train.loss"), max(step) from metrics').fetchall() == [(3.5 / 3, 10.0)]
    assert scan.to_dask()["train.loss"].count().compute() == 3


def test_no_runs_are_no_records(three):
    scan = Reader(three).scan("train.loss", query="lr > 100")
    for engine in ENGINES:
        assert rows(scan, engine)[1] == []


def test_problems_are_told(three):
    with RunDirectory(three / "1").metrics_file("train").open("a") as file:
        file.write("oops\n")
    reader = Reader(three)
    rows(reader.scan("train.loss"), "arrow")
    assert reader.problems["line"].tolist() == [3]


def test_a_name_that_is_no_metric_is_told_at_once(three):
    with pytest.raises(InvalidKeyError, match=r"train\.los"):
        Reader(three).scan("train.los")


def test_an_engine_that_is_not_installed_is_named(three, monkeypatch):
    real = importlib.import_module

    def import_module(name, *more):
        if name in {"polars", "duckdb", "dask.dataframe"}:
            raise ImportError(name)
        return real(name, *more)

    scan = Reader(three).scan("train.loss")
    monkeypatch.setattr(importlib, "import_module", import_module)
    for ask, name in ((scan.to_polars, "polars"), (scan.to_duckdb, "duckdb"), (scan.to_dask, "dask")):
        with pytest.raises(MLXPError, match=rf"pip install 'mlxp\[{name}\]'"):
            ask()


def test_the_reader_imports_no_engine(three):
    loaded = {name for name in sys.modules if name in {"polars", "duckdb", "dask"}}
    Reader(three).scan("train.loss").to_arrow()
    assert {name for name in sys.modules if name in {"polars", "duckdb", "dask"}} == loaded
