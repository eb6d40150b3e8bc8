"""``mlxp import`` of what other tools have written; `tests/data/importers/make.py` made the files by these tools."""

import json
import math
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import mlxp
from mlxp.commands.main import main
from mlxp.importers.foreign_run import ForeignRun
from mlxp.importers.run_files import write_run

DATA = Path(__file__).parents[2] / "data/importers"
LOSSES = [0.5, math.nan, 0.25]
PACKAGES = {"runs": "tensorboard", "wandb": "wandb"}
NUMBERS = {"mlruns": 4, "runs": 2, "outputs": 1, "multirun": 2, "lightning_logs": 1, "sacred": 2, "wandb": 1}


@pytest.fixture
def source(tmp_path):
    """Return a function that returns a copy of the files of a tool."""

    def copied(name: str) -> Path:
        if name in PACKAGES:
            pytest.importorskip(PACKAGES[name], reason=f"without {PACKAGES[name]}, its files are NOT tested")
        return Path(shutil.copytree(DATA / name, tmp_path / name, dirs_exist_ok=True))

    return copied


@pytest.fixture
def imported(tmp_path, capsys):
    """Return a function that imports something to logs, and returns the exit code and what was printed."""

    def done(path: Path) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["import", str(path), str(tmp_path / "logs")])
        shown = capsys.readouterr()
        return code, shown.out + shown.err

    return done


@pytest.fixture
def logs(tmp_path):
    return tmp_path / "logs"


def info(logs, log_id):
    return yaml.safe_load((logs / str(log_id) / "metadata/info.yaml").read_text(encoding="utf-8"))


def config(logs, log_id):
    return yaml.safe_load((logs / str(log_id) / "metadata/config.yaml").read_text(encoding="utf-8"))


def records(logs, log_id, name):
    lines = (logs / str(log_id) / f"metrics/{name}.json").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def same(first, second):
    return np.array_equal(np.array(first, dtype=float), np.array(second, dtype=float), equal_nan=True)


# --- each tool -------------------------------------------------------------------------------------------------------


def test_mlflow(source, imported, logs):
    code, shown = imported(source("mlruns"))
    assert (code, shown) == (0, f"4 runs of MLflow added to {logs}: 1–4\n")
    runs = mlxp.Reader(logs).filter()
    assert list(runs["info.status"]) == ["COMPLETE", "COMPLETE", "FAILED", "LOST"]
    assert config(logs, 1) == {
        "model.name": "réseau",
        "lr": 1e-05,
        "layers": [64, 32],
        "version": "1.10",  # not 1.1
        "model/depth": 2,
    }
    assert same(runs["train.loss"][0], LOSSES)
    assert list(runs["train.step"][0]) == [0, 1, 2]
    assert records(logs, 1, "metrics") == [{"acc": 0.75}, {"acc": math.inf}]  # no step was given
    assert records(logs, 3, "metrics") == [{"step": 7, "loss": 1.0}]
    assert info(logs, 2)["parents"] == ["../1"]
    told = info(logs, 1)
    assert told["mlflow"]["experiment"] == "größe"
    assert told["mlflow"]["tags"]["note"] == "two\nlines"
    assert told["git"] == {"commit": "c0ffee"}
    assert told["started_at"] < told["ended_at"]
    times = (logs / "1/metrics/.times/train.txt").read_text(encoding="ascii").splitlines()
    assert times[0] == "0 1796055459.391"
    assert times[-1] == f"{(logs / '1/metrics/train.json').stat().st_size} 1796055459.421"
    artifact = runs["artifact.file..notes"][0]["read me.txt"].load()
    assert artifact.read_text(encoding="utf-8") == "Grüße"  # a file of no known kind is loaded as its path


def test_tensorboard(source, imported, logs):
    code, shown = imported(source("runs"))
    assert code == 0
    assert shown.splitlines()[1:] == ["left out of 2 runs: histograms", "left out of 2 runs: texts"]
    assert same([one["größe"] for one in records(logs, 1, "Loss")], LOSSES)
    assert records(logs, 1, "metrics") == [{"step": 2, "lr": float(np.float32(0.1))}]
    assert (logs / "1/metrics/.times/Loss.txt").read_text(encoding="ascii").split()[3] == "1700000000.000"
    assert (logs / "1/artifacts/image/pictures/red/1.png").read_bytes().startswith(b"\x89PNG")
    assert info(logs, 1)["status"] == "LOST"  # nobody says how it ended


def test_hparams_of_tensorboard(source, imported, logs):
    pytest.importorskip("tensorboard", reason="without tensorboard, its files are NOT tested")
    assert imported(source("hparams"))[0] == 0
    log_id = max(int(path.name) for path in logs.iterdir() if path.name.isdigit())
    assert config(logs, log_id) == {"lr": 0.1, "name": "größe", "deep": True}
    assert records(logs, log_id, "metrics")[0]["acc"] == 0.5


def test_event_files_of_lightning(source, imported, logs):
    path = source("runs")
    (path / "a/hparams.yaml").write_text("lr: 0.1\n")
    (path / "a/checkpoints").mkdir()
    (path / "a/checkpoints/last.ckpt").write_bytes(b"")
    assert "1 run of Lightning added" in imported(path / "a")[1]
    assert config(logs, 1) == {"lr": 0.1}
    assert same([one["größe"] for one in records(logs, 1, "Loss")], LOSSES)
    assert (logs / "1/artifacts/torch/checkpoints/last.ckpt").is_file()
    shutil.copy(DATA / "lightning_logs/version_0/metrics.csv", path / "a")
    assert "left out of 1 run: event files of TensorBoard" in imported(path / "a")[1]


def test_hydra_in_the_folder_of_the_project(source, imported, logs):
    path = source("outputs") / "2026-11-30/16-20-01"
    file = path / ".hydra/hydra.yaml"
    content = file.read_text(encoding="utf-8")
    file.write_text(content.replace("output_dir: /tmp/made/outputs/2026-11-30/16-20-01", "output_dir: /tmp/made"))
    assert "left out of 1 run: files beside .hydra" in imported(path)[1]
    assert not (logs / "1/artifacts/file").exists()


def test_hydra(source, imported, logs):
    assert imported(source("outputs"))[0] == imported(source("multirun"))[0] == 0
    assert config(logs, 1) == {
        "seed": 3,
        "name": "größe",
        "twice": 3,
        "user": "${oc.env:USER}",  # not today's
        "model": {"width": 8, "label": "w8"},
    }
    assert info(logs, 1)["overrides"] == ["seed=3"]
    assert info(logs, 1)["start_time"] == "16:20:01"
    assert (logs / "1/artifacts/file/result.txt").read_text(encoding="utf-8") == "3"
    assert [config(logs, log_id)["seed"] for log_id in (2, 3)] == [1, 2]
    assert info(logs, 3)["hydra"]["job"] == {"name": "main", "num": 1, "id": "1"}


def test_lightning(source, imported, logs):
    assert imported(source("lightning_logs"))[0] == 0
    assert config(logs, 1) == {"lr": 0.1, "layers": [64, 32], "name": "größe", "path": ["data"]}
    assert same([one["train_loss"] for one in records(logs, 1, "metrics")], LOSSES)
    assert records(logs, 1, "val") == [{"step": 2, "epoch": 1, "acc": 0.75}]


def test_sacred(source, imported, logs):
    code, shown = imported(source("sacred"))
    assert code == 0
    assert shown.splitlines()[1:] == ["left out of 2 runs: copies of sources and resources (_sources, _resources)"]
    assert config(logs, 1)["layers"] == [64, 32]
    assert same([one["loss"] for one in records(logs, 1, "train")], LOSSES)
    assert [list(one) for one in records(logs, 1, "train")] == [["step", "loss", "acc"]] * 3
    assert [info(logs, log_id)["status"] for log_id in (1, 2)] == ["COMPLETE", "FAILED"]
    assert info(logs, 2)["exit"]["reason"] == "ValueError: no luck"
    assert info(logs, 1)["sacred"]["result"] == 0.25
    assert "größe - Completed" in (logs / "1/log.stdout").read_text(encoding="utf-8")
    assert (logs / "1/artifacts/file/notes.txt").is_file()


def test_wandb(source, imported, logs):
    code, shown = imported(source("wandb"))
    assert code == 0
    assert "left out of 1 run: histograms" in shown
    assert config(logs, 1) == {"lr": 0.1, "model": {"layers": [64, 32]}}
    assert same([one["loss"] for one in records(logs, 1, "train")], LOSSES)
    assert records(logs, 1, "nested") == [{"step": step, "a": step} for step in range(3)]
    told = info(logs, 1)
    assert told["status"] == "COMPLETE"
    assert told["wandb"]["summary"] == {"train/loss": 0.25, "epoch": 2, "nested": {"a": 2}, "best": 0.25}
    assert told["wandb"]["project"] == "größe"
    assert told["current_file_path"] == "/tmp/made/make.py"
    assert len(list((logs / "1/artifacts/image/media/images").iterdir())) == 1


def test_plain_files_of_wandb(imported, tmp_path, logs):
    """What versions before the binary file have left; these are written by hand, after their documentation."""
    files = tmp_path / "run-20200102_030405-abc/files"
    files.mkdir(parents=True)
    (files / "config.yaml").write_text("wandb_version: 1\n_wandb: {value: {}}\nlr: {desc: null, value: 0.1}\n")
    rows = [
        '{"_step": 0, "loss": NaN, "_timestamp": 5}',
        '{"_step": 3, "h": {"_type": "histogram"}, "loss": 1}',
        '{"_st',
    ]
    (files / "wandb-history.jsonl").write_text("\n".join(rows))
    (files / "output.log").write_text("WANDB_API_KEY=0123456789abcdef0123456789abcdef01234567\n")
    code, shown = imported(tmp_path / "run-20200102_030405-abc")
    assert code == 0
    assert config(logs, 1) == {"lr": 0.1}
    assert records(logs, 1, "metrics")[1] == {"step": 3, "loss": 1}
    assert "damaged records" in shown
    assert "0123456789" not in (logs / "1/log.stdout").read_text()


# --- again -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NUMBERS)
def test_each_run_is_added_once_wherever_it_lies(name, source, imported, logs, tmp_path):
    path, number = source(name), NUMBERS[name]
    assert imported(path)[0] == 0
    assert f"{number} there before" in imported(path)[1]
    assert imported(path)[1].startswith("0 runs")
    if name != "lightning_logs":  # whose files do not tell one run from another
        elsewhere = path.rename(tmp_path / "elsewhere")
        assert imported(elsewhere)[1].startswith("0 runs")
    assert sum(path.name.isdigit() for path in logs.iterdir()) == number
    assert all((logs / str(log_id) / "metadata/config.yaml").is_file() for log_id in range(1, number + 1))


def test_a_run_that_was_under_way_is_brought_up_to_date(source, imported, logs):
    path = source("mlruns")
    imported(path)
    meta = next(file for file in path.rglob("meta.yaml") if "\nstatus: 1\n" in file.read_text(encoding="utf-8"))
    with (meta.parent / "metrics/loss").open("a") as file:
        file.write("1796055469000 1.5 2\n1796055469001 1.")
    code, shown = imported(path)
    assert code == 0
    assert "1 of these had grown, and were brought up to date: 4" in shown
    assert "left out of 1 run: damaged lines of metrics" in shown
    assert records(logs, 4, "metrics") == [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.5}]
    meta.write_text(meta.read_text(encoding="utf-8").replace("status: 1", "status: 3"), encoding="utf-8")
    imported(path)
    assert info(logs, 4)["status"] == "COMPLETE"
    (meta.parent / "metrics/loss").write_text("1796055469000 9.0 1\n")
    code, shown = imported(path)
    assert (code, "run 4 have changed" in shown) == (0, True)
    assert records(logs, 4, "metrics")[0]["loss"] == 2.0


def test_a_run_that_has_lost_records_is_left_as_it_is(source, imported, logs):
    path = source("lightning_logs")
    imported(path)
    (path / "version_0/metrics.csv").write_text("step,train_loss\n0,0.5\n")
    assert "run 1 have changed" in imported(path)[1]
    assert len(records(logs, 1, "metrics")) == 3


def test_a_removed_run_is_added_again(source, imported, logs):
    path = source("sacred")
    imported(path)
    shutil.rmtree(logs / "1")
    assert "1 run of Sacred added" in imported(path)[1]
    assert (logs / "3").is_dir()


# --- damage, and what is not there -----------------------------------------------------------------------------------


def test_a_damaged_run_is_told_and_hides_no_other(source, imported, logs):
    path = source("mlruns")
    metas = [file for file in sorted(path.rglob("meta.yaml")) if (file.parent / "tags").is_dir()]
    metas[0].write_text("run_id: [")
    metas[1].write_text("")
    code, shown = imported(path)
    assert code == 1
    assert shown.count("mlxp: not added: ") == 2
    assert shown.startswith("2 runs")


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("sacred", "1/run.json", '{"experiment": '),
        ("sacred", "1/run.json", "[]"),
        ("sacred", "1/metrics.json", '{"loss": {"steps": [1], "values": [], "timestamps": [""]}}'),
        ("lightning_logs", "version_0/hparams.yaml", "a: *b"),
        ("lightning_logs", "version_0/hparams.yaml", "- 1"),
        ("outputs", "2026-11-30/16-20-01/.hydra/config.yaml", "- 1"),
        ("outputs", "2026-11-30/16-20-01/.hydra/overrides.yaml", "a: 1"),
    ],
)
def test_damaged_files(name, file, content, source, imported):
    path = source(name)
    (path / file).write_text(content)
    code, shown = imported(path)
    assert code == 1
    assert str(path / file) in shown
    assert "damaged" in shown


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("sacred", "1/metrics.json"),
        ("sacred", "1/cout.txt"),
        ("sacred", "1/info.json"),
        ("lightning_logs", "version_0/metrics.csv"),
        ("outputs", "2026-11-30/16-20-01/.hydra/hydra.yaml"),
        ("outputs", "2026-11-30/16-20-01/.hydra/overrides.yaml"),
    ],
)
def test_missing_files(name, file, source, imported):
    path = source(name)
    (path / file).unlink()
    if file.endswith("metrics.csv"):
        (path / file).write_text("")
    assert imported(path)[0] == 0


def test_the_last_line_of_a_table_that_is_being_written(source, imported, logs):
    path = source("lightning_logs")
    with (path / "version_0/metrics.csv").open("a") as file:
        file.write("1,3,0.1,\n1,4\n2,40,0.1")
    shown = imported(path)[1]
    assert "left out of 1 run: damaged lines of metrics.csv" in shown
    assert [one["step"] for one in records(logs, 1, "metrics")] == [0, 1, 2, 3]


def test_event_files_that_end_early(source, imported, logs):
    path = source("runs")
    a, b = sorted(path.rglob("*tfevents*"))
    a.write_bytes(a.read_bytes()[:150])
    b.write_bytes(b.read_bytes()[:10])
    code, shown = imported(path)
    assert (code, "ends within its first event" in shown) == (1, True)
    assert 0 < len(records(logs, 1, "Loss")) < 3


def test_a_damaged_event_is_told(source, imported, logs):
    path = source("runs")
    file = min(path.rglob("*tfevents*"))
    content = bytearray(file.read_bytes())
    content[content.index("größe".encode(), 140)] ^= 1
    file.write_bytes(content)
    code, shown = imported(path)
    assert code == 0
    assert "left out of 1 run: events from the first one on that is damaged" in shown
    assert len(records(logs, 2, "Loss")) == 3


def test_values_that_no_record_can_hold(source, imported, logs):
    path = source("sacred")
    series = {"steps": [1, 2], "timestamps": ["2020-01-01"] * 2, "values": [{"py/object": "x"}, [{"a": 1}]]}
    kept = {"steps": [1], "timestamps": ["2020-01-01"], "values": [[1, 2]]}
    (path / "1/metrics.json").write_text(json.dumps({"odd": series, "list": kept}))
    assert "left out of 1 run: values of metrics that are objects" in imported(path)[1]
    assert records(logs, 1, "metrics") == [{"step": 1, "list": [1, 2]}]


def test_a_binary_file_of_wandb_that_ends_early(source, imported, logs):
    path = source("wandb")
    file = next(path.rglob("*.wandb"))
    content = file.read_bytes()
    file.write_bytes(content[:-10])
    assert imported(path)[0] == 0
    assert info(logs, 1)["status"] == "LOST"
    file.write_bytes(content)
    assert "brought up to date: 1" in imported(path)[1]
    assert info(logs, 1)["status"] == "COMPLETE"


def test_a_damaged_record_of_wandb(source, imported, logs):
    path = source("wandb")
    file = next(path.rglob("*.wandb"))
    content = bytearray(file.read_bytes())
    content[content.index(b"train/loss", content.index(b"train/loss") + 1)] ^= 1  # after the summary, in the history
    file.write_bytes(content)
    assert "left out of 1 run: damaged records" in imported(path)[1]
    assert [one["step"] for one in records(logs, 1, "train")] == [1, 2]


@pytest.mark.parametrize(
    ("name", "module"),
    [("runs", "tensorboard.backend.event_processing.event_file_loader"), ("wandb", "wandb.proto.wandb_internal_pb2")],
)
def test_without_the_package(name, module, imported, monkeypatch, logs):
    monkeypatch.setitem(sys.modules, module, None)
    code, shown = imported(DATA / name)
    assert code == 1
    assert "pip install" in shown
    assert not [path for path in logs.iterdir() if path.name.isdigit()]


def test_what_is_nothing(imported, tmp_path):
    (tmp_path / "empty").mkdir()
    code, shown = imported(tmp_path / "empty")
    assert code != 0
    assert all(tool in shown for tool in ("mlruns", "TensorBoard", "W&B", "Hydra", "lightning_logs", "Sacred", "zip"))
    assert "there is no" in imported(tmp_path / "nowhere")[1]


def test_files_that_cannot_be_artifacts_keep_nothing_from_being_added(imported, logs, tmp_path):
    artifacts = {"a/1.png": b"", "a/1.png/2.png": b"", "x" * 300 + ".png": b"", "gone.txt": tmp_path / "gone.txt"}
    run = ForeignRun(artifacts=artifacts)
    write_run(run, tmp_path / "1", {})
    assert run.left_out == {"files that cannot be read, or whose names are too long or those of folders"}
    listed = yaml.safe_load((tmp_path / "1/artifacts/.keys/artifacts.yaml").read_text())
    assert listed == {"image": {"a": ["1.png"]}}


# --- what must not be taken over -------------------------------------------------------------------------------------


def test_secrets_are_masked_and_links_are_not_followed(source, imported, logs, tmp_path):
    path = source("sacred")
    (tmp_path / "private").write_text("not yours")
    os.symlink(tmp_path / "private", path / "1/link")
    (path / "1/.hidden").write_text("")
    content = json.loads((path / "1/config.json").read_text())
    (path / "1/config.json").write_text(json.dumps({**content, "api_key": "0123456789abcdef", "bad": "\ud800"}))
    code, shown = imported(path)
    assert code == 0
    assert config(logs, 1)["api_key"] == "<masked>"
    assert config(logs, 1)["bad"] == "\\ud800"
    assert "symbolic links" in shown
    assert "files whose names artifacts cannot have" in shown
    assert not list(logs.rglob("link"))


def test_hydra_around_lightning(source, imported, logs):
    outer = source("outputs") / "2026-11-30/16-20-01"
    shutil.copytree(DATA / "lightning_logs/version_0", outer / "csv/version_0")
    shutil.copytree(DATA / "outputs/2026-11-30/16-20-01", outer / "inner")
    imported(outer)
    assert same([one["train_loss"] for one in records(logs, 1, "metrics")], LOSSES)
    assert not (logs / "1/artifacts/file/inner").exists()
    assert config(logs, 2)["seed"] == 3
    shutil.copytree(outer / "csv/version_0", outer / "csv/version_1")
    shutil.rmtree(logs / "1")
    assert "metrics of several runs of Lightning" in imported(outer)[1]


def test_names_that_would_be_mixed_up_stay_apart(imported, logs, tmp_path):
    folder = tmp_path / "version_0"
    folder.mkdir()
    (folder / "hparams.yaml").write_text("{}\n")
    names = ["train/loss", "train.loss", "metrics/a", "a", "info/x", "../x", "a/step", "val/epoch", "größe/ü"]
    (folder / "metrics.csv").write_text(
        ",".join(["step", "epoch", *names]) + "\n0,5," + ",".join(map(str, range(1, 10))) + "\n", encoding="utf-8"
    )
    imported(folder)
    found = {name: records(logs, 1, name)[0] for name in ("train", "metrics", "a", "val", "größe")}
    assert found == {
        "train": {"step": 0, "epoch": 5, "loss": 1},
        "metrics": {"step": 0, "epoch": 5, "train.loss": 2, "a": 3, "a_": 4, "info/x": 5, "../x": 6},
        "a": {"step": 0, "epoch": 5, "step_": 7},
        "val": {"step": 0, "epoch": 5, "epoch_": 8},
        "größe": {"step": 0, "epoch": 5, "ü": 9},
    }


# --- with what MLXP does itself --------------------------------------------------------------------------------------


def test_imported_runs_are_shown_exported_and_come_home(source, imported, logs, tmp_path, capsys):
    path = source("mlruns")
    imported(path)
    assert main(["show", "1", "--logs", str(logs)]) == 0
    assert "run 2  COMPLETE  is in it, as another tool has nested them" in capsys.readouterr().out
    assert main(["show", "2", "--logs", str(logs)]) == 0
    assert "run 1  COMPLETE  holds it, as another tool has nested them" in capsys.readouterr().out
    assert main(["rerun", "1", "--logs", str(logs)]) != 0
    assert "recorded by another tool" in capsys.readouterr().err
    archive = tmp_path / "theirs.zip"
    assert main(["export", "1", str(archive), "--logs", str(logs)]) == 0
    assert "the name" not in capsys.readouterr().out
    assert imported(archive) == (0, f"0 runs added to {logs}\n1 there before: 1 as 1\n")
    assert main(["import", str(archive), str(tmp_path / "others")]) == 0
    assert main(["import", str(path), str(tmp_path / "others")]) == 0
    shown = capsys.readouterr()
    assert "3 runs of MLflow added" in shown.out
    assert "changed" not in shown.err
