import pickle
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlxp.errors import InvalidArtifactError, InvalidKeyError
from mlxp.run_directory.files import write_yaml
from mlxp.run_directory.layout import RunDirectory
from mlxp_reader.reader import Reader


@pytest.fixture
def old(recorded):
    return Reader(recorded).filter()


def test_a_checkpoint_of_mlxp_1_is_loaded_by_its_old_and_its_new_name(old):
    folder = old[1]["artifact.pickle."]
    assert folder["last_ckpt"].load() == folder["last_ckpt.pkl"].load()


def test_an_array_that_mlxp_1_left_under_another_name_is_loaded(old):
    loaded = old[1]["artifact.numpy."]["weights.npz"].load()
    assert loaded["w"].shape == (2, 3)


def test_byte_code_is_executed_only_on_request(old):
    artifact = old[0]["artifact.text..plots.final"]["summary.txt"]
    with pytest.raises(InvalidArtifactError, match="allow_marshal=True"):
        artifact.load()


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="recorded with Python 3.11")
def test_byte_code_is_executed_on_request(old):
    assert old[0]["artifact.text..plots.final"]["summary.txt"].load(allow_marshal=True).startswith("[1, ")


def test_an_unknown_type_says_how_to_give_a_loader(old):
    artifact = old[1]["artifact.text..plots.final"]["summary.txt"]
    with pytest.raises(InvalidArtifactError, match="loader=function"):
        artifact.load()
    assert artifact.load(loader=lambda path: Path(path).read_text()).startswith("[5, ")


def test_a_run_without_artifacts_has_none_there(old):
    assert pd.isna(old[11]["artifact.pickle."])


def test_the_frame_shows_a_placeholder(old):
    assert "ARTIFACT" in repr(old["artifact.pickle."])


def test_the_names_are_known_without_opening_anything(old):
    assert list(old[1]["artifact.pickle."]) == ["last_ckpt"]
    with pytest.raises(InvalidKeyError, match="there are: last_ckpt"):
        old[1]["artifact.pickle."]["other"]


@pytest.fixture
def today(logs, write_run):
    path = write_run(artifacts={"json": {"": ["a.json"]}, "numpy": {"deep/er": ["x.npy"]}, "pickle": {"": ["gone"]}})
    run = RunDirectory(path)
    for name in ("json/a.json", "numpy/deep/er/x.npy"):
        (run.artifacts / name).parent.mkdir(parents=True, exist_ok=True)
    (run.artifacts / "json/a.json").write_text("[1, 2]")
    np.save(run.artifacts / "numpy/deep/er/x.npy", np.arange(3))
    return run


def test_a_nested_artifact_has_a_column_of_its_folder(today, logs):
    assert Reader(logs).filter()[0]["artifact.numpy..deep.er"]["x.npy"].load().tolist() == [0, 1, 2]


def test_an_artifact_that_is_gone_says_so(today, logs):
    with pytest.raises(InvalidArtifactError, match="there is no file"):
        Reader(logs).filter()[0]["artifact.pickle."]["gone"].load()


def test_a_type_of_the_user_is_loaded_by_its_import_path(today, logs, tmp_path):
    (tmp_path / "my_types.py").write_text(
        "import json, pathlib\ndef load(path):\n    return json.loads(pathlib.Path(path).read_text())\n"
    )
    recorded = {"save": "my_types:save", "load": "my_types:load", "path": str(tmp_path)}
    write_yaml(today.artifact_types_file, {"json": recorded})
    before = list(sys.path)
    assert Reader(logs).filter()[0]["artifact.json."]["a.json"].load() == [1, 2]
    assert sys.path == before
    del sys.modules["my_types"]


def test_a_loader_that_cannot_be_imported_says_so(today, logs, tmp_path):
    recorded = {"save": "no_such_module:save", "load": "no_such_module:load", "path": str(tmp_path)}
    write_yaml(today.artifact_types_file, {"json": recorded})
    with pytest.raises(InvalidArtifactError, match="no_such_module"):
        Reader(logs).filter()[0]["artifact.json."]["a.json"].load()


def test_an_artifact_that_cannot_be_read_says_so(today, logs):
    (today.artifacts / "pickle").mkdir()
    (today.artifacts / "pickle/gone").write_bytes(b"no pickle")
    with pytest.raises(InvalidArtifactError, match=r"cannot load .*gone as pickle"):
        Reader(logs).filter()[0]["artifact.pickle."]["gone"].load()


def test_artifacts_survive_parquet_and_pickle(old, tmp_path):
    column = pd.DataFrame(old[["artifact.numpy."]])
    column.to_parquet(tmp_path / "artifacts.parquet")
    assert pd.read_parquet(tmp_path / "artifacts.parquet").equals(column)
    assert pickle.loads(pickle.dumps(column)).equals(column)


def test_a_plain_frame_holds_the_path_of_each_artifact_wherever_it_is(write_run, logs):
    names = {"": ["there.npy", "of_mlxp_1.npz", "gone.npy"], "plots/final": ["there.npy", "set_aside"]}
    run = RunDirectory(write_run(artifacts={"numpy": names}))
    folder, saving = run.artifacts / "numpy", run.artifacts / ".saving-1"
    (folder / "plots/final").mkdir(parents=True)
    (saving / ".previous").mkdir(parents=True)
    (saving / ".place").write_text("numpy/plots/final/set_aside")
    for name in ("there.npy", "of_mlxp_1.npz_tmp.npz", "plots/final/there.npy"):
        (folder / name).touch()
    frame = Reader(logs).filter()
    plain = frame.toPandas(lazy=False).iloc[0]
    assert plain["artifact.numpy."] == {
        "there.npy": str(folder / "there.npy"),
        "of_mlxp_1.npz": str(folder / "of_mlxp_1.npz_tmp.npz"),
        "gone.npy": str(folder / "gone.npy"),
    }
    assert plain["artifact.numpy..plots.final"] == {
        "there.npy": str(folder / "plots" / "final" / "there.npy"),
        "set_aside": str(saving / ".previous"),
    }
    for column in ("artifact.numpy.", "artifact.numpy..plots.final"):
        assert plain[column] == {name: str(artifact.path) for name, artifact in frame[0][column].items()}
