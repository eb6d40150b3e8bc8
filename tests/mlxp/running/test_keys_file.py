"""The lists of names beside the metrics and the artifacts, which tell a reader what there is."""

import multiprocessing
import shutil
from pathlib import Path

import pytest
import yaml

from mlxp import DefaultLogger, Logger
from mlxp.errors import LogDirectoryError


def log_and_save(logger, process):
    for i in range(25):
        logger.log_metrics({f"only {process}.{i}": i}, "train")
        logger.log_artifacts(i, f"{process}-{i}.pkl", "pickle")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_that_log_at_once_list_what_each_of_them_has(tmp_path, method):
    with DefaultLogger(tmp_path) as logger:
        context = multiprocessing.get_context(method)
        processes = [context.Process(target=log_and_save, args=(logger, number)) for number in range(4)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
    keys = yaml.safe_load(Path(logger.metrics_dir, ".keys/metrics.yaml").read_text(encoding="utf-8"))
    names = yaml.safe_load(Path(logger.artifacts_dir, ".keys/artifacts.yaml").read_text(encoding="utf-8"))
    pairs = [(process, i) for process in range(4) for i in range(25)]
    assert set(keys["train"]) == {f"only {process}.{i}" for process, i in pairs}
    assert set(names["pickle"][""]) == {f"{process}-{i}.pkl" for process, i in pairs}


def test_list_that_cannot_be_written_is_one_clear_error(tmp_path, monkeypatch):
    def full(*_, **__):
        raise LogDirectoryError("cannot write: No space left on device")

    monkeypatch.setattr("mlxp.running.keys_file.write_atomically", full)
    with DefaultLogger(tmp_path) as logger:
        for log in (lambda: logger.log_metrics({"x": 1}, "train"), lambda: logger.log_checkpoint(1)):
            with pytest.raises(LogDirectoryError, match=r"^cannot write: No space left on device$"):
                log()


def test_removed_folder_is_one_clear_error_when_a_key_is_new(tmp_path):
    logger = Logger(tmp_path)
    logger.log_metrics({"x": 1}, "train")
    shutil.rmtree(logger.metrics_dir)
    with pytest.raises(LogDirectoryError, match=r"cannot create .*\.keys: No such file or directory"):
        logger.log_metrics({"y": 2}, "train")


@pytest.mark.parametrize("text", ["train: [", "\\0", "- a", "train: 3", "a: &a [x]\nb: [*a, *a]"])
def test_damaged_list_does_not_stop_the_run(tmp_path, text):
    folder = Path(tmp_path, "1/metrics/.keys")
    folder.mkdir(parents=True)
    (folder / "metrics.yaml").write_text(text, encoding="utf-8")
    with Logger(tmp_path, 1) as logger:
        logger.log_metrics({"loss": 1}, "train")
    assert yaml.safe_load((folder / "metrics.yaml").read_text(encoding="utf-8"))["train"] == ["loss"]
