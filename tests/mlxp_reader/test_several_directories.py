"""Several log directories read as one: every run keeps its own values, though ids are given twice."""

import json
import os
import pickle
import shutil

import pandas as pd
import pytest

import mlxp
from mlxp.errors import InvalidKeyError, LogDirectoryError
from mlxp.run_directory.files import write_yaml
from mlxp.run_directory.layout import RunDirectory
from mlxp_reader import Reader
from mlxp_reader.columns.curves import run_labels


@pytest.fixture
def write(tmp_path):
    """Writes a run with an artifact and returns its directory."""

    def run(folder, log_id, config, losses, status="COMPLETE"):
        run = RunDirectory(tmp_path / folder / str(log_id))
        for one in (run.metadata, run.metrics, run.artifacts_keys_file.parent, run.path / "artifacts" / "pickle"):
            one.mkdir(parents=True, exist_ok=True)
        write_yaml(run.config_file, config)
        write_yaml(run.info_file, {"status": status, "logger": {"log_id": log_id}})
        lines = [json.dumps({"loss": loss}) + "\n" for loss in losses]
        run.metrics_file("train").write_text("".join(lines), encoding="utf-8")
        write_yaml(run.artifacts_keys_file, {"pickle": {"": ["last.pkl"]}})
        (run.path / "artifacts" / "pickle" / "last.pkl").write_bytes(pickle.dumps([folder, log_id]))
        return run.path

    return run


@pytest.fixture
def both(write, tmp_path, monkeypatch):
    """Two directories with the runs 1 and 2 each; a has integers and texts where b has floats, and b has a key more."""
    monkeypatch.chdir(tmp_path)
    write("logs_a", 1, {"lr": 1, "seed": 1, "act": "relu"}, [1.0, 0.5])
    write("logs_a", 2, {"lr": 2, "seed": 2, "act": "gelu"}, [2.0])
    write("logs_b", 1, {"lr": 0.5, "seed": 1, "act": 7, "new": True}, [3.0, 2.5, 2.0])
    write("logs_b", 2, {"lr": 2.0, "seed": 2, "act": None, "new": False}, [4.0], status="FAILED")
    return ["logs_a", "logs_b"]


def test_the_runs_of_all_are_there_with_their_source(both):
    reader = mlxp.Reader(both)
    runs = reader.filter()
    assert (len(reader), reader.log_ids) == (4, [1, 2, 1, 2])
    assert runs["source"].tolist() == ["logs_a", "logs_a", "logs_b", "logs_b"]
    assert runs["info.logger.log_id"].tolist() == [1, 2, 1, 2]
    assert runs["config.lr"].tolist() == [1, 2, 0.5, 2]
    assert runs["config.act"].tolist()[:3] == ["relu", "gelu", 7]
    assert runs["config.new"].isna().tolist() == [True, True, False, False]


def test_each_run_has_its_own_metrics_and_artifacts(both):
    runs = mlxp.Reader(both).filter()
    assert [list(curve) for curve in runs["train.loss"]] == [[1.0, 0.5], [2.0], [3.0, 2.5, 2.0], [4.0]]
    loaded = [folder["last.pkl"].load() for folder in runs["artifact.pickle."]]
    assert loaded == [["logs_a", 1], ["logs_a", 2], ["logs_b", 1], ["logs_b", 2]]
    assert list(runs.iloc[[3, 0]]["train.loss"].metric.last()) == [4.0, 0.5]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("source == 'logs_b'", [("logs_b", 1), ("logs_b", 2)]),
        ("source != 'logs_b' & seed == 2", [("logs_a", 2)]),
        ("train.loss.last < 2.5", [("logs_a", 1), ("logs_a", 2), ("logs_b", 1)]),
        ("lr == 2", [("logs_a", 2), ("logs_b", 2)]),
        ("act is None", [("logs_b", 2)]),
        ("new == true", [("logs_b", 1)]),
        ("log_id == 1 & status == 'COMPLETE'", [("logs_a", 1), ("logs_b", 1)]),
        ("act in ['relu', 7]", [("logs_a", 1), ("logs_b", 1)]),
    ],
)
def test_queries_are_over_all_of_them(both, query, expected):
    runs = mlxp.Reader(both).filter(query)
    assert list(zip(runs["source"], runs["info.logger.log_id"], strict=True)) == expected


@pytest.mark.filterwarnings("ignore:no two runs differ")
def test_the_source_is_a_field_like_any_other(both):
    reader = mlxp.Reader(both)
    runs = reader.filter()
    assert "source" in reader.searchable.index
    assert len(runs.groupby("source")) == 2
    assert runs[3]["source"] == "logs_b"
    assert "logs_a" in runs.to_table(["source", "seed", "train.loss.last"])
    assert runs.sort(["source", "seed"], ascending=[False, True])["source"].tolist()[0] == "logs_b"
    table = runs.table(rows="seed", columns="source", value="train.loss.last", over=["lr", "act", "new"])
    assert table.data.loc[1, ("logs_b", "mean")] == 2.0
    assert runs.filter("source == 'logs_a'").index.tolist() == [0, 1]


def test_a_history_tells_runs_of_one_id_apart(both):
    long = mlxp.Reader(both).filter().history("train.loss")
    assert list(long.columns[:3]) == ["source", "log_id", "step"]
    of_run = long[(long["source"] == "logs_b") & (long["log_id"] == 1)]
    assert of_run["train.loss"].tolist() == [3.0, 2.5, 2.0]
    wide = mlxp.Reader(both).filter().history("train.loss", wide=True)
    assert wide[("logs_a", 2)].dropna().tolist() == [2.0]
    assert wide.columns.names == ["source", "log_id"]


def test_problems_name_the_source(both, tmp_path):
    (tmp_path / "logs_b" / "2" / "metadata" / "config.yaml").write_text("{", encoding="utf-8")
    (tmp_path / "logs_b" / "1" / "metrics" / "train.json").write_text('{"loss": 1.0}\nnonsense\n', encoding="utf-8")
    reader = mlxp.Reader(both)
    assert reader.problems[["source", "log_id"]].drop_duplicates().to_numpy().tolist() == [["logs_b", 2]]
    reader.filter()["train.loss"].metric.last()
    assert sorted(set(reader.problems["log_id"])) == [1, 2]
    assert set(reader.problems["source"]) == {"logs_b"}
    assert "source" not in mlxp.Reader(both[1]).problems.columns


def test_what_is_new_in_any_of_them_is_seen(both, write):
    assert len(mlxp.Reader(both)) == 4
    write("logs_a", 3, {"lr": 3}, [0.25])
    assert len(mlxp.Reader(both, refresh=False)) == 4
    reader = mlxp.Reader(both)
    assert repr(reader).startswith("5 runs")
    assert reader.filter("source == 'logs_a'")["train.loss"].metric.last().tolist() == [0.5, 2.0, 0.25]
    assert reader.filter("train.loss.last == 0.25")["config.lr"].tolist() == [3]


def test_each_directory_keeps_its_own_index(both, tmp_path):
    mlxp.Reader(both)
    assert all((tmp_path / name / ".mlxp").is_dir() for name in both)
    assert repr(Reader("logs_a")).startswith("2 runs")
    reader = mlxp.Reader(both, dst_dir="cache")
    assert reader.src_dirs == [str(tmp_path / name) for name in both]
    assert reader.src_dir.split(os.pathsep) == reader.src_dirs
    assert len(set(reader.dst_dirs)) == 2
    assert all(str(tmp_path / "cache") in place for place in reader.dst_dirs)


def test_one_directory_in_a_list_has_a_source_too_and_a_path_is_one(both, tmp_path):
    assert mlxp.Reader(["logs_a"]).filter()["source"].tolist() == ["logs_a"] * 2
    assert mlxp.Reader([tmp_path / "logs_b"]).filter()["source"].tolist() == [str(tmp_path / "logs_b")] * 2
    assert "source" not in mlxp.Reader("logs_a").filter().columns


def test_a_directory_without_runs_adds_none(both, tmp_path):
    (tmp_path / "empty").mkdir()
    runs = mlxp.Reader(["empty", *both]).filter()
    assert runs["train.loss"].metric.last().tolist() == [0.5, 2.0, 2.0, 4.0]
    assert mlxp.Reader(["empty"]).filter().empty


def test_frames_and_readers_of_several_can_be_pickled(both):
    reader = pickle.loads(pickle.dumps(mlxp.Reader(both)))
    runs = pickle.loads(pickle.dumps(reader.filter()))
    assert runs["train.loss"].metric.last().tolist() == [0.5, 2.0, 2.0, 4.0]


def test_a_directory_that_is_given_twice_is_refused(both, tmp_path):
    with pytest.raises(LogDirectoryError, match="given twice"):
        mlxp.Reader(["logs_a", str(tmp_path / "logs_a")])
    with pytest.raises(LogDirectoryError, match="no directory of runs is given"):
        mlxp.Reader([])
    with pytest.raises(LogDirectoryError, match="there is no such directory"):
        mlxp.Reader(["logs_a", "logs_c"])


def test_a_key_of_the_configuration_that_is_called_source_keeps_its_full_name(both, write):
    write("logs_c", 1, {"source": "web"}, [1.0])
    reader = mlxp.Reader(["logs_a", "logs_c"])
    assert len(reader.filter("source == 'logs_c'")) == len(reader.filter("config.source == 'web'")) == 1
    assert len(mlxp.Reader("logs_c").filter("source == 'web'")) == 1


def test_frames_of_two_readers_tell_their_runs_apart_too(both):
    together = pd.concat([mlxp.Reader(name).filter() for name in both], ignore_index=True)
    long = together.history("train.loss")
    assert long[(long["source"] == 1) & (long["log_id"] == 1)]["train.loss"].tolist() == [3.0, 2.5, 2.0]
    assert together.history("train.loss", wide=True)[(1, 1)].tolist() == [3.0, 2.5, 2.0]
    assert list(together.iloc[2:].history("train.loss").columns[:2]) == ["log_id", "step"]
    named = together.assign(source=["a", "a", "b", "b"])
    assert named.history("train.loss", wide=True)[("b", 1)].tolist() == [3.0, 2.5, 2.0]


def test_a_run_that_is_there_twice_has_no_history(both):
    runs = mlxp.Reader("logs_a").filter()
    for wide in (False, True):
        with pytest.raises(InvalidKeyError, match="run 1 is there twice"):
            pd.concat([runs, runs.head(1)]).history("train.loss", wide=wide)


def test_the_directories_may_be_moved_together(both, tmp_path, monkeypatch, settle):
    for name in both:
        settle(tmp_path / name)
    mlxp.Reader(both)
    (tmp_path / "moved").mkdir()
    for name in both:
        shutil.move(tmp_path / name, tmp_path / "moved" / name)
    monkeypatch.chdir(tmp_path / "moved")
    assert repr(mlxp.Reader(both)).startswith("4 runs · 4 cached")


def test_runs_of_one_id_are_shown_apart(both):
    runs = mlxp.Reader(both).filter()
    for text in (repr(runs), runs._repr_html_()):
        assert "logs_a" in text
        assert "logs_b" in text
    assert run_labels(runs).tolist() == ["logs_a/1", "logs_a/2", "logs_b/1", "logs_b/2"]
    assert run_labels(runs.iloc[:2]).tolist() == [1, 2]
    unnamed = pd.concat([mlxp.Reader(name).filter() for name in both])
    assert run_labels(unnamed).tolist() == ["1 (1)", "2 (1)", "1 (2)", "2 (2)"]
    with pytest.warns(UserWarning, match="runs logs_a/1, logs_b/1 all count"):
        runs.over("seed", exclude=["lr", "act", "new"]).aggregate("train.loss.last")
