import json
import pickle
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mlxp
from mlxp.errors import InvalidKeyError, LogDirectoryError
from mlxp.run_directory.files import write_yaml
from mlxp.run_directory.layout import RunDirectory
from mlxp_reader.columns.mixed import MixedDtype
from mlxp_reader.reader import Reader


@pytest.fixture
def sweep(logs, write_run):
    """Four runs: two learning rates, two seeds; the curves start at 4 and the runs log as many values as their id."""
    for log_id in (1, 2, 3, 4):
        config = {"optimizer": {"lr": 0.1 if log_id < 3 else 1.0}, "seed": log_id % 2, "act": None}
        curve = [{"loss": 4.0 / step, "epoch": step} for step in range(1, log_id + 1)]
        write_run(log_id, config, metrics={"train": curve}, status="COMPLETE" if log_id < 4 else "FAILED")
    return logs


def ids(frame):
    return frame["info.logger.log_id"].tolist()


def test_the_reader_is_a_public_name():
    from mlxp import reader

    assert mlxp.Reader is reader.Reader is Reader


def test_nothing_is_printed(sweep, capsys):
    Reader(sweep).filter("seed == 1")
    assert capsys.readouterr() == ("", "")


def test_the_reader_shows_what_it_read(sweep, write_run, settle):
    settle(sweep)
    Reader(sweep)
    write_run(4)
    write_run(5)
    assert repr(Reader(sweep)).startswith("5 runs · 3 cached, 1 changed, 1 new · 0.")


def test_without_refresh_the_index_is_taken_as_it_is(sweep, write_run):
    Reader(sweep)
    write_run(5)
    assert len(Reader(sweep, refresh=False)) == 4
    assert len(Reader(sweep)) == 5


def test_id_and_status_have_short_names_unless_the_configuration_has_them(sweep, write_run):
    assert ids(Reader(sweep).filter("status == 'COMPLETE' & log_id in [2, 3, 4]")) == [2, 3]
    write_run(5, {"status": "new"})
    assert ids(Reader(sweep).filter("status == 'new'")) == [5]


def test_what_a_run_logged_after_it_had_ended_is_seen_when_a_reader_is_opened_again(sweep, settle):
    settle(sweep)
    assert Reader(sweep).filter()[0]["train.loss"].tolist() == [4.0]
    with RunDirectory(sweep / "1").metrics_file("train").open("a") as file:
        file.write('{"loss": 3.0}\n')
    assert Reader(sweep, refresh=False).filter()[0]["train.loss"].tolist() == [4.0]
    assert Reader(sweep).filter()[0]["train.loss"].tolist() == [4.0, 3.0]


def test_what_a_run_that_goes_on_logs_is_seen_when_it_is_looked_at(sweep, write_run, settle):
    path = write_run(5, status="RUNNING", metrics={"train": [{"loss": 1.0}]})
    settle(sweep)
    runs = Reader(sweep).filter("info.status == 'RUNNING'")
    with RunDirectory(path).metrics_file("train").open("a") as file:
        file.write('{"loss": 0.5}\n')
    assert runs[0]["train.loss"].tolist() == [1.0, 0.5]


def test_a_file_that_was_replaced_after_the_reader_was_opened_is_read_whole(sweep, settle):
    settle(sweep)
    file = RunDirectory(sweep / "1").metrics_file("train")
    old = file.read_text()
    reader = Reader(sweep)
    file.write_text('{"loss": 1000.5}\n{"loss": 2000.5}\n')
    assert reader.filter()[0]["train.loss"].tolist() == [1000.5, 2000.5]
    file.write_text(old)
    assert Reader(sweep).filter()[0]["train.loss"].tolist() == [4.0]


def test_a_run_that_lost_its_values_has_an_empty_curve_and_a_problem(sweep, settle):
    settle(sweep)
    RunDirectory(sweep / "2").metrics_file("train").unlink()
    reader = Reader(sweep)
    curves = reader.filter()["train.loss"]
    assert [len(curve) for curve in curves] == [1, 0, 3, 4]
    assert curves.metric.last().isna().tolist() == [False, True, False, False]
    assert json.loads(reader.filter().to_json())["train.loss"]["1"] == []
    assert "there is no such file" in reader.problems["error"].item()


def test_cached_metrics_of_runs_that_have_ended_need_no_look_at_their_files(sweep, settle):
    settle(sweep)
    Reader(sweep).filter()["train.loss"].metric.last()
    for file in sweep.glob("*/metrics/*.json"):
        file.unlink()
    assert Reader(sweep, refresh=False).filter()["train.loss"].metric.last().tolist() == [4.0, 2.0, 4 / 3, 1.0]


def test_without_refresh_and_without_an_index_there_is_one(sweep):
    assert len(Reader(sweep, refresh=False)) == 4


def test_a_directory_without_runs_is_no_error(logs):
    reader = Reader(logs)
    assert (len(reader), len(reader.filter()), len(reader.problems), len(reader.fields)) == (0, 0, 0, 0)


def test_a_directory_that_does_not_exist_is_an_error_and_leaves_nothing_in_the_cache_of_the_user(
    logs, monkeypatch, caplog
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(logs))
    with pytest.raises(LogDirectoryError, match="nowhere"):
        Reader(logs / "nowhere")
    assert not list(logs.iterdir())
    assert not caplog.records


def test_a_reader_can_be_given_to_another_process(sweep):
    reader = Reader(sweep)
    reader.filter()["train.loss"].metric.last()
    copied = pickle.loads(pickle.dumps(reader))
    assert copied.filter("train.loss.last < 3")["train.loss"].metric.last().tolist() == [2.0, 4 / 3, 1.0]


def test_fields_are_a_table_of_types(sweep):
    fields = Reader(sweep).fields
    assert fields.index.name == "Fields"
    assert fields.loc["config.optimizer.lr", "Type"] == "<class 'float'>"
    assert fields.loc["train.loss", "Type"] == "METRIC"


def test_searchable_fields_are_those_of_config_and_info(sweep):
    reader = Reader(sweep)
    assert set(reader.searchable.index) <= set(reader.fields.index)
    assert all(name.startswith(("config.", "info.")) for name in reader.searchable.index)


def test_the_frame_has_the_fields_as_columns(sweep):
    reader = Reader(sweep)
    assert set(reader.filter().keys()) == set(reader.fields.index)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [1, 2, 3, 4]),
        ("info.status == 'COMPLETE' & config.optimizer.lr < 1", [1, 2]),
        ("optimizer.lr < 1e0 and seed in [1, 2]", [1]),
        ("act is None & not seed == 1", [2, 4]),
        ("train.loss.min < 1.5", [3, 4]),
        ("train.loss.count == 2 | train.epoch.last == 4", [2, 4]),
        ("seed < 'a'", []),
    ],
)
def test_a_query_finds_runs(sweep, query, found):
    assert ids(Reader(sweep).filter(query)) == found


def test_an_unknown_name_is_an_error_that_names_the_nearest(sweep):
    with pytest.raises(InvalidKeyError, match=r"did you mean config\.optimizer\.lr"):
        Reader(sweep).filter("config.optimiser.lr < 1")


def test_a_query_that_cannot_be_understood_is_a_syntax_error(sweep):
    with pytest.raises(SyntaxError):
        Reader(sweep).filter("seed == ")


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ("config.warmup == 3", False),
        ("config.warmup != 3", False),
        ("config.warmup in [3]", False),
        ("config.warmup is None", False),
        ("~(config.warmup == 3)", True),
        ("config.warmup == 3 | info.status == 'COMPLETE' | info.status != 'COMPLETE'", True),
    ],
)
def test_a_key_that_no_run_has_matches_none_as_in_mlxp_1_and_a_warning_says_so(sweep, query, matches):
    reader = Reader(sweep)
    with pytest.warns(UserWarning, match="no run here has the key config.warmup"):
        assert len(reader.filter(query)) == matches * len(reader)
    with pytest.warns(UserWarning, match="no run here has the key config.warmup"):
        assert len(reader.filter().filter(query)) == matches * len(reader)


@pytest.mark.parametrize(
    "name", ["config.optimizer.lrr", "config.sed", "warmup", "config.", "info.warmup", "train.warmup.last"]
)
def test_what_may_be_a_typing_error_is_an_error(sweep, name):
    with pytest.raises(InvalidKeyError, match=f"there is no field '{name}'"):
        Reader(sweep).filter(f"`{name}` == 3")


def test_an_argument_from_before_mlxp_1_is_answered_by_the_one_of_now(sweep):
    with pytest.raises(TypeError, match="MLXP 1 renamed reload: write refresh"):
        Reader(sweep, reload=True)
    with pytest.raises(TypeError, match="no argument 'refesh'"):
        Reader(sweep, refesh=True)


def test_an_unknown_format_is_an_error(sweep):
    with pytest.raises(InvalidKeyError, match="dataframe, datadict, pandas"):
        Reader(sweep).filter(result_format="polars")


def test_a_parser_of_the_user_reads_the_query(sweep):
    class Lowest:
        def parse(self, query):
            return lambda record: record["config.seed"] == int(query)

    assert ids(Reader(sweep, parser=Lowest()).filter("1")) == [1, 3]


def test_the_plain_frame_is_loaded(sweep):
    frame = Reader(sweep).filter(result_format="pandas")
    assert type(frame) is pd.DataFrame
    assert frame["train.loss"].dtype == object
    assert frame["train.loss"][1].tolist() == [4.0, 2.0]


def test_datadict_means_the_lazy_frame(sweep):
    assert type(Reader(sweep).filter(result_format="datadict")) is mlxp.DataFrame


def test_columns_have_the_tightest_type(logs, write_run):
    write_run(1, {"i": 1, "f": 1, "b": True, "s": "x", "gap": 1, "mixed": "auto", "none": None, "layers": [1]})
    write_run(2, {"i": 2, "f": 0.5, "b": False, "s": "y", "mixed": 0.1, "none": None, "layers": [2]})
    types = Reader(logs).filter().dtypes.astype(str)
    expected = {
        "i": "int64",
        "f": "float64",
        "b": "bool",
        "s": str(pd.Series(["text"]).dtype),  # "str" since pandas 3
        "gap": "Int64",
        "mixed": "mixed",
        "none": "mixed",
    }
    assert types.filter(regex="^config").to_dict() == {
        **{f"config.{name}": kind for name, kind in expected.items()},
        "config.layers": "mixed",
    }


def test_mixed_values_compare_group_and_keep_their_values(logs, write_run):
    values = ["auto", 0.1, None, 10, [1, 2], [1, 2], True]
    for log_id, value in enumerate(values, start=1):
        write_run(log_id, {"x": value})
    frame = Reader(logs).filter()
    assert frame["config.x"].tolist() == values
    assert ids(frame[frame["config.x"] > 1]) == [4]
    groups = [(*key, len(group)) for key, group in frame.groupby("config.x").items()]
    assert groups == [(0.1, 1), (True, 1), (10, 1), ("auto", 1), ([1, 2], 2), (None, 1)]
    assert frame["config.x"].value_counts().iloc[0] == 2


def test_runs_that_have_none_or_nan_or_lack_the_key_are_one_group(logs, write_run):
    for log_id, config in enumerate([{"x": None}, {"x": float("nan")}, {}, {"x": [1]}], start=1):
        write_run(log_id, config)
    groups = Reader(logs).filter().groupby("config.x")
    assert [(key, ids(group)) for key, group in groups.items()] == [(([1],), [4]), ((None,), [1, 2, 3])]
    assert groups.groups_size == 2


def test_mixed_values_stay_so_beside_the_runs_of_another_reader(logs, write_run, tmp_path):
    for log_id, value in enumerate(["auto", 0.1, 1, 2], start=1):
        write_run(log_id, {"lr": value})
    runs = Reader(logs).filter()
    joined = pd.concat([runs.head(2), runs.tail(2).astype({"config.lr": "int64"})], ignore_index=True)
    assert (joined["config.lr"] < 1.5).tolist() == [False, True, True, False]
    joined.to_parquet(tmp_path / "runs.parquet")
    assert pd.read_parquet(tmp_path / "runs.parquet")["config.lr"].tolist() == ["auto", 0.1, 1, 2]


def test_a_list_of_the_configuration_cannot_be_changed_for_all_runs_by_accident(logs, write_run):
    write_run(1, {"layers": [64, {"a": 1}]})
    runs = Reader(logs).filter()
    layers = runs["config.layers"][0]
    assert layers == [64, {"a": 1}]
    with pytest.raises(TypeError, match="change a copy"):
        layers.append(1)
    with pytest.raises(TypeError, match="change a copy"):
        layers[1]["a"] = 2
    own = runs[0]["config.layers"]
    own.append(1)
    own[1]["a"] = 2
    assert runs["config.layers"][0] == runs[0]["config.layers"] == [64, {"a": 1}]


def test_yaml_scalars_of_mlxp_1_come_out_as_they_went_in(recorded):
    config = recorded / "1/metadata/config.yaml"
    config.write_text("a: 10.\nb: 1e-3\nc: on\nd: null\ne: 2026-11-22\nf: 014\n")
    frame = Reader(recorded).filter()
    run = frame[0]
    assert [run[f"config.{name}"] for name in "abcf"] == [10.0, "1e-3", True, 12]
    assert str(run["config.e"]) == "2026-11-22"


def test_broken_runs_are_shown_and_counted(sweep, write_run, caplog):
    (sweep / "2/metadata/config.yaml").write_text("lr: [")
    reader = Reader(sweep)
    assert ids(reader.filter()) == [1, 2, 3, 4]
    assert reader.problems[["log_id", "file"]].to_numpy().tolist() == [[2, "metadata/config.yaml"]]
    assert caplog.messages == [f"1 problem in the runs of {sweep}: Reader.problems lists them"]


def test_problems_are_remembered_by_the_index(sweep):
    (sweep / "2/metadata/config.yaml").write_text("lr: [")
    before = Reader(sweep).problems
    pd.testing.assert_frame_equal(Reader(sweep, refresh=False).problems, before)


def test_a_bad_metric_line_is_a_problem_once_it_was_read(sweep):
    with (sweep / "1/metrics/train.json").open("a") as file:
        file.write('{"loss": \n{"loss": 3.0}\n')
    reader = Reader(sweep)
    assert reader.problems.empty
    assert reader.filter()["train.loss"].iloc[0] == [4.0, 3.0]
    assert reader.problems[["log_id", "file", "line"]].to_numpy().tolist() == [[1, "metrics/train.json", 2]]


def test_bad_metric_lines_are_counted_in_a_warning_when_they_are_met(sweep, caplog):
    (sweep / "1/metrics/train.json").write_text('{"loss": \n{"loss": 3.0, "epoch": 1}\n[]\n')
    runs = Reader(sweep).filter()
    assert not caplog.messages
    runs["train.loss"].metric.last()
    runs["train.epoch"].metric.last()
    assert caplog.messages == [f"2 problems in the runs of {sweep}: Reader.problems lists them"]


def test_a_torn_last_line_of_a_running_run_is_no_problem(sweep):
    with (sweep / "1/metrics/train.json").open("a") as file:
        file.write('{"loss": 1.')
    reader = Reader(sweep)
    assert reader.filter()["train.loss"].iloc[0] == [4.0]
    assert reader.problems.empty


def test_new_values_of_a_run_that_goes_on_are_seen_by_the_next_reader(sweep):
    assert len(Reader(sweep).filter()["train.loss"].iloc[0]) == 1
    with (sweep / "1/metrics/train.json").open("a") as file:
        file.write('{"loss": 1, "epoch": 2}\n')
    assert Reader(sweep).filter()["train.loss"].iloc[0] == [4.0, 1]


def test_a_moved_directory_reads_the_same(sweep):
    before = Reader(sweep).filter(result_format="pandas")
    moved = sweep.rename(sweep.with_name("moved"))
    after = Reader(moved).filter(result_format="pandas")
    pd.testing.assert_frame_equal(after, before)


def test_deleting_the_index_loses_nothing(sweep):
    before = Reader(sweep).filter(result_format="pandas")
    shutil.rmtree(sweep / ".mlxp")
    pd.testing.assert_frame_equal(Reader(sweep).filter(result_format="pandas"), before)


def test_a_whole_frame_survives_parquet(recorded, tmp_path):
    frame = pd.DataFrame(Reader(recorded).filter())
    frame.to_parquet(tmp_path / "frame.parquet")
    assert pd.read_parquet(tmp_path / "frame.parquet").equals(frame)


def test_one_frame_does_not_change_another(sweep):
    reader = Reader(sweep)
    changed = reader.filter()
    changed.loc[0, "config.seed"] = 99
    assert reader.filter()["config.seed"].tolist() == [1, 0, 1, 0]


def test_a_pickled_frame_holds_its_values(sweep):
    frame = Reader(sweep).filter()
    assert pickle.loads(pickle.dumps(frame))["train.loss"].iloc[1] == [4.0, 2.0]


def test_reading_imports_no_launcher():
    program = (
        "import sys, mlxp_reader.reader, mlxp_reader.frames.frame; print([m for m in sys.modules if 'hydra' in m])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_opening_a_reader_imports_no_pandas(sweep):
    program = (
        "import sys; from mlxp_reader.records.crawl import crawl; "
        f"crawl({str(sweep / '1')!r}); print('pandas' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates()
keys = st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True)
configs = st.dictionaries(
    keys,
    st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
    ),
    max_size=4,
)


def flattened(config, prefix="config"):
    for key, value in config.items():
        if isinstance(value, dict) and value:
            yield from flattened(value, f"{prefix}.{key}")
        else:
            yield f"{prefix}.{key}", value


def same(value, expected, dtype):
    if expected is None and not isinstance(dtype, MixedDtype):
        return value is None or value != value  # noqa: PLR0124 - NaN
    if isinstance(expected, int) and dtype == "float64":
        return value == expected
    return repr(value) == repr(expected) and (type(value) is type(expected) or isinstance(value, type(expected)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(configs, min_size=1, max_size=3))
def test_any_config_comes_back_from_the_frame(tmp_path_factory, given_configs):
    logs = tmp_path_factory.mktemp("logs")
    for log_id, config in enumerate(given_configs, start=1):
        run = RunDirectory(logs / str(log_id))
        run.metadata.mkdir(parents=True)
        write_yaml(run.config_file, config)
        write_yaml(run.info_file, {"status": "COMPLETE"})
    Reader(logs)
    frame = Reader(logs, refresh=False).filter()
    for row, config in enumerate(given_configs):
        for name, expected in flattened(config):
            assert same(frame[row][name], expected, frame[name].dtype), (name, frame[row][name], expected)


def test_two_metrics_of_one_name_keep_the_values_of_their_runs(logs, write_run):
    write_run(1, metrics={"train": [{"a.b": 1}]})
    write_run(2, metrics={"train.a": [{"b": 2}]})
    frame = Reader(logs).filter("train.a.b.last > 0")
    assert frame["train.a.b"].map(list).tolist() == [[1], [2]]


def test_a_log_called_info_does_not_hide_the_info(logs, write_run):
    write_run(1, metrics={"info": [{"status": 1}]})
    assert Reader(logs).filter()["info.status"].tolist() == ["COMPLETE"]


def test_metrics_that_json_lacks_are_kept(logs, write_run):
    write_run(1, metrics={"train": [{"x": 1}, {"x": float("nan")}, {"x": float("inf")}]})
    write_run(2, metrics={"train": [{"x": 1}, {"x": None}, {"x": "warm"}]})
    column = Reader(logs).filter()["train.x"]
    assert json.dumps(column.iloc[0].tolist()) == "[1, NaN, Infinity]"
    assert column.iloc[1] == [1, None, "warm"]
