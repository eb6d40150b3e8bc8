"""The reader on directories that today's launcher and logger wrote."""

from pathlib import Path

import pandas as pd
import pytest

from mlxp.logger import DefaultLogger
from mlxp_reader.reader import Reader


@pytest.fixture
def quickstart(app):
    program = app("quickstart")
    program.run("num_epoch=2,3", "-m").check_returncode()
    return program.directory / "logs"


def test_a_sweep_is_a_frame(quickstart):
    reader = Reader(quickstart)
    frame = reader.filter("info.status == 'COMPLETE' & num_epoch > 2")
    assert frame[0]["Quickstart.epoch"] == [0, 1, 2]
    assert reader.problems.empty
    assert len(reader) == 2


def test_what_varies_is_what_was_swept(quickstart):
    assert Reader(quickstart).filter().diff() == ["config.num_epoch"]


def test_the_table_of_a_sweep_reads_well(quickstart):
    table = Reader(quickstart).filter().to_table(["config.num_epoch", "info.status", "Quickstart.epoch.last"])
    assert [line.split() for line in table.splitlines()[2:]] == [["2", "COMPLETE", "1"], ["3", "COMPLETE", "2"]]


@pytest.fixture
def logger(logs):
    with DefaultLogger(logs) as logger:
        yield logger


def test_a_checkpoint_is_loaded(logs, logger):
    logger.log_checkpoint({"step": 3}, log_name="last_ckpt")
    assert Reader(logs).filter()[0]["artifact.pickle."]["last_ckpt.pkl"].load() == {"step": 3}


def test_metrics_are_seen_while_they_are_logged(logs, logger):
    logger.log_metrics({"loss": 0.5}, "train")
    assert Reader(logs).filter()["train.loss"].iloc[0] == [0.5]
    logger.log_metrics({"loss": 0.25, "acc": 1}, "train")
    frame = Reader(logs).filter()
    assert (frame["train.loss"].iloc[0], frame["train.acc"].iloc[0]) == ([0.5, 0.25], [1])


def test_a_run_that_has_just_begun_is_no_problem(logs, logger):
    reader = Reader(logs)
    assert reader.problems.empty
    assert pd.isna(reader.filter()["info.logger.log_id"]).tolist() == [False]


def write_words(words, path):
    Path(path).write_text(" ".join(words))


def read_words(path):
    return Path(path).read_text().split()


def test_a_nested_artifact_of_a_type_of_the_user_is_loaded(logs, logger):
    logger.register_artifact_type("words", write_words, read_words)
    logger.log_artifacts(["a", "b"], "plots/final/a.txt", "words")
    assert Reader(logs).filter()[0]["artifact.words..plots.final"]["a.txt"].load() == ["a", "b"]
