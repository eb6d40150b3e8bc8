"""Checkpoints of MLXP 1 that hold the logger, as trainers do that keep it and checkpoint themselves."""

import pickle
from pathlib import Path

import pytest
import yaml

from mlxp import DefaultLogger
from mlxp.run_directory.artifact_types import ARTIFACT_TYPES

PICKLES = Path(__file__).parents[1] / "data/mlxp-1.0.5-pickles"


@pytest.fixture(autouse=True)
def _trainer_module(monkeypatch):
    monkeypatch.syspath_prepend(PICKLES)


def loaded(name):
    return ARTIFACT_TYPES["pickle"].load(str(PICKLES / name))


def loggers():
    return loaded("logger"), loaded("trainer").logger, loaded("context")["context"].logger


def test_logger_is_the_one_of_the_run():
    for logger in loggers():
        assert type(logger) is DefaultLogger
        assert (logger.log_id, logger.log_dir, logger.forced_log_id) == (1, "/tmp/example/logs/1", -1)
        assert logger.get_info()["metrics_dir"] == "/tmp/example/logs/1/metrics"


def test_rest_of_the_checkpoint_is_there():
    assert loaded("trainer").epoch == 3
    assert loaded("context")["epoch"] == 3
    assert loaded("context")["context"].config.num_epoch == 3


def test_own_artifact_types_are_known():
    import trainer

    assert loaded("logger")._artifact_type("text").load is trainer.load


@pytest.fixture
def resumed(tmp_path):
    """The logger of a run of MLXP 1 whose directory is here, as it comes out of a checkpoint."""
    with DefaultLogger(tmp_path / "logs") as logger:
        logger.log_metrics({"loss": 1.0}, "train")
    state = {
        "parent_log_dir": logger.parent_log_dir,
        "forced_log_id": -1,
        "_metric_dict_keys": {"train": ["loss"]},
        "_artifact_types": {name: {"save": kind.save, "load": kind.load} for name, kind in ARTIFACT_TYPES.items()},
        "_log_id": 1,
        "_log_dir": logger.log_dir,
        **{name: getattr(logger, name) for name in ("metrics_dir", "artifacts_dir", "metadata_dir")},
        "session_dir": logger.artifacts_dir + "/sessions",
    }
    found = DefaultLogger.__new__(DefaultLogger)
    found.__setstate__(state)
    return found


def test_resumed_trainer_goes_on_logging(resumed):
    resumed.log_metrics({"loss": 0.5, "acc": 1}, "train")
    resumed.log_checkpoint({"epoch": 2}, "last_ckpt")
    assert resumed.load_checkpoint("last_ckpt") == {"epoch": 2}
    keys = Path(resumed.metrics_dir, ".keys/metrics.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(keys) == {"train": ["loss", "acc"]}


def test_resumed_trainer_can_be_saved_again(resumed):
    again = pickle.loads(pickle.dumps(resumed))
    again.log_metrics({"loss": 0.25}, "train")
    assert Path(again.metrics_dir, "train.json").read_text(encoding="utf-8") == '{"loss":1.0}\n{"loss":0.25}\n'


def test_names_that_mlxp_1_has_listed_stay_listed(tmp_path):
    logger = DefaultLogger(tmp_path, 1)
    folder = Path(logger.artifacts_dir, ".keys")
    folder.mkdir()
    Path(folder, "artifacts.yaml").write_text("pickle:\n  ? ''\n  : last_ckpt: ''\n", encoding="utf-8")
    keys = Path(logger.metrics_dir, ".keys")
    keys.mkdir()
    Path(keys, "metrics.yaml").write_text("loss: ''\nepoch: ''\n", encoding="utf-8")  # of a log called metrics
    logger.log_checkpoint(1, "new")
    logger.log_metrics({"loss": 1}, "train")
    assert yaml.safe_load((folder / "artifacts.yaml").read_text()) == {"pickle": {"": ["last_ckpt", "new.pkl"]}}
    assert yaml.safe_load((keys / "metrics.yaml").read_text()) == {"metrics": ["loss", "epoch"], "train": ["loss"]}
