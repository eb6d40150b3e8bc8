"""A resumed run is one curve: what an attempt logged again supersedes what earlier attempts had logged."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mlxp.errors import InvalidKeyError
from mlxp.run_directory.layout import RunDirectory
from mlxp.run_directory.superseded import superseded
from mlxp.running.attempts import remember_attempt
from mlxp_reader import Reader


def resume(run, attempt):
    """Say that another attempt begins, as the launcher does."""
    info = {"attempt": attempt, "started_at": "2026-01-01T00:00:00+00:00", "status": "KILLED"}
    run.metadata.mkdir(parents=True, exist_ok=True)
    run.metrics.mkdir(exist_ok=True)
    if attempt > 1:
        remember_attempt(run, {**info, "attempt": attempt - 1}, info)
    told = {"status": "COMPLETE", "attempt": attempt, "logger": {"log_id": run.log_id}}
    run.info_file.write_text(yaml.safe_dump(told))
    run.config_file.write_text("seed: 1\n")


def log(run, record, log_name="train", *, end="\n"):
    with run.metrics_file(log_name).open("a") as file:
        file.write(json.dumps(record) + end)


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "logs" / "1")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.booleans()), min_size=1, max_size=8))
def test_no_point_is_lost_and_none_is_doubled(tmp_path_factory, attempts):
    run = RunDirectory(tmp_path_factory.mktemp("runs") / "logs" / "1")
    expected, last = {}, -1
    for number, (back, count, is_torn) in enumerate(attempts, start=1):
        resume(run, number)
        first = max(0, last + 1 - back)  # from the last checkpoint
        for step in range(first, first + count):
            log(run, {"step": step, "loss": 100 * number + step})
            expected = {one: loss for one, loss in expected.items() if one < first} | (
                {one: loss for one, loss in expected.items() if one >= first and loss // 100 == number}
            )
            expected[step] = 100 * number + step
            last = step
        if is_torn and count:
            log(run, {"step": last + 1, "loss": 0}, end="")
            text = run.metrics_file("train").read_text()
            run.metrics_file("train").write_text(text[:-4] + "\n")  # torn, and ended by the next attempt
    runs = Reader(run.path.parent, dst_dir=tmp_path_factory.mktemp("cache")).filter()
    if expected:
        assert runs["train.step"][0].tolist() == sorted(expected)
        assert runs["train.loss"][0].tolist() == [expected[step] for step in sorted(expected)]
        assert runs.history("train.loss")["step"].tolist() == sorted(expected)


def test_all_records_can_be_asked_for(run):
    resume(run, 1)
    for step in range(3):
        log(run, {"epoch": step, "loss": step})
    resume(run, 2)
    log(run, {"epoch": 1, "loss": 9})
    logs = run.path.parent
    assert Reader(logs).filter()["train.loss"][0].tolist() == [0, 9]
    assert Reader(logs).filter("train.loss.count == 2")["info.attempt"].tolist() == [2]
    assert Reader(logs, attempts="all").filter()["train.loss"][0].tolist() == [0, 1, 2, 9]
    with pytest.raises(InvalidKeyError, match="attempts is 'joined' or 'all', not 'last'"):
        Reader(logs, attempts="last")


def test_records_without_a_step_all_count(run):
    resume(run, 1)
    log(run, {"loss": 1})
    resume(run, 2)
    log(run, {"loss": 2})
    assert Reader(run.path.parent).filter()["train.loss"][0].tolist() == [1, 2]


def test_each_file_and_each_key_goes_on_by_itself(run):
    resume(run, 1)
    for step in range(3):
        log(run, {"epoch": step, "loss": step, **({"note": "a"} if step != 1 else {})})
        log(run, {"epoch": step, "acc": step}, "val")
    resume(run, 2)
    log(run, {"epoch": 2, "loss": 20, "note": "b"})
    runs = Reader(run.path.parent).filter()
    assert runs["train.loss"][0].tolist() == [0, 1, 20]
    assert runs["train.note"][0].tolist() == ["a", "b"]
    assert runs["val.acc"][0].tolist() == [0, 1, 2]
    assert runs.history("train.loss", "val.acc", "train.note")["train.loss"].tolist() == [0, 1, 20]


@pytest.mark.parametrize(
    "content", ["attempts: 5", "attempts: [1, {begins: 3}, {begins: {train: -1}}]", "{", "attempts: {a: 1}"]
)
def test_damaged_note_of_the_attempts_hides_nothing(run, content):
    resume(run, 1)
    log(run, {"epoch": 0, "loss": 1})
    resume(run, 2)
    log(run, {"epoch": 0, "loss": 2})
    run.attempts_file.write_text(content)
    assert Reader(run.path.parent).filter()["train.loss"][0].tolist() == [1, 2]


def test_attempts_of_old_directories_are_as_they_are():
    logs = Path(__file__).parents[2] / "data/mlxp-1.0.5-logs/logs"
    assert not list(logs.rglob("attempts.yaml"))


def test_steps_that_are_not_told_supersede_nothing():
    steps = np.array([0.0, np.nan, 2.0, np.nan, 1.0])
    assert superseded([3], steps, np.arange(5)).tolist() == [2]
    assert superseded([3], np.array([0, 1, 2, np.nan]), np.arange(4)).tolist() == []
