import math

import pytest

from mlxp import Logger
from mlxp.reproduction.comparison import Tolerance, compared
from mlxp.run_directory.files import write_yaml
from mlxp.run_directory.layout import RunDirectory


@pytest.fixture
def log(tmp_path):
    def log(*records, log_name="train"):
        with Logger(tmp_path / "logs") as logger:
            for record in records:
                logger.log_metrics(record, log_name)
        return RunDirectory(tmp_path / "logs" / str(logger.log_id))

    return log


def outcomes(first, second, **tolerance):
    return {one.metric: (one.outcome, one.where) for one in compared(first, second, Tolerance(**tolerance))}


def test_equal_records_are_identical(log):
    records = [{"epoch": 0, "loss": 0.5, "note": "a"}, {"epoch": 1, "loss": math.nan, "note": None}]
    assert outcomes(log(*records), log(*records)) == {
        f"train.{key}": ("identical", None) for key in ("epoch", "loss", "note")
    }


def test_first_step_and_key_where_they_differ_are_told(log):
    first = log({"epoch": 0, "loss": 0.5}, {"epoch": 1, "loss": 0.25}, {"epoch": 2, "loss": 0.1})
    second = log({"epoch": 0, "loss": 0.5}, {"epoch": 1, "loss": 0.26}, {"epoch": 2, "loss": 0.2})
    assert outcomes(first, second)["train.loss"] == ("different", "record 2, epoch 1: 0.25 and 0.26")
    assert outcomes(first, second)["train.epoch"] == ("identical", None)


def test_close_numbers_are_within_the_tolerance_and_the_largest_difference_is_told(log):
    first, second = log({"loss": 1.0}, {"loss": 2.0}), log({"loss": 1.0 + 1e-12}, {"loss": 2.0 + 8e-12})
    (verdict,) = compared(first, second, Tolerance(rtol=1e-9))
    assert (verdict.outcome, verdict.holds) == ("within tolerance", True)
    assert verdict.largest == pytest.approx(4e-12, rel=0.01)
    (verdict,) = compared(first, second)
    assert (verdict.outcome, verdict.holds) == ("different", False)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (math.nan, 1.0),
        (math.inf, 1e308),
        (math.inf, -math.inf),
        ("a", "b"),
        (1, "1"),
        (True, 1),
        (None, 0),
        ([1], [1, 2]),
    ],
)
def test_what_is_no_pair_of_finite_numbers_is_never_close(log, a, b):
    assert outcomes(log({"x": a}), log({"x": b}), rtol=1e9, atol=1e9)["train.x"][0] == "different"


def test_lists_are_compared_item_by_item(log):
    first, second = log({"x": [1.0, math.nan]}), log({"x": [1.0 + 1e-12, math.nan]})
    assert outcomes(first, second, rtol=1e-9)["train.x"][0] == "within tolerance"
    assert outcomes(first, second)["train.x"] == ("different", "record 1: [1.0, NaN] and [1.000000000001, NaN]")


def test_shorter_run_is_different_where_it_ends(log):
    first, second = log({"step": 10, "x": 1}, {"step": 20, "x": 2}), log({"step": 10, "x": 1})
    assert outcomes(first, second)["train.x"] == ("different", "record 2, step 20: 2 and nothing")


def test_metric_of_one_run_only_is_missing(log):
    first, second = log({"x": 1, "y": 2}), log({"x": 1})
    assert outcomes(first, second)["train.y"] == ("missing", None)
    assert outcomes(log({"x": 1}), log({"x": 1}, log_name="test")) == {
        "train.x": ("missing", None),
        "test.x": ("missing", None),
    }


def test_long_values_are_cut(log):
    where = outcomes(log({"x": "a" * 1000}), log({"x": "b"}))["train.x"][1]
    assert len(where) < 100


def test_torn_last_line_is_passed_over(log):
    first, second = log({"x": 1}), log({"x": 1})
    with second.metrics_file("train").open("a") as file:
        file.write('{"x": 2')
    assert outcomes(first, second) == {"train.x": ("identical", None)}


def test_records_that_a_later_attempt_superseded_are_passed_over(log):
    """A run that was killed and resumed gives the same curve as one that ran through."""
    values = [{"step": step, "loss": 1 / (step + 1)} for step in range(6)]
    resumed = log(*values[:4], {"note": "no step"}, *values[2:])
    size = sum(len(line) for line in resumed.metrics_file("train").read_bytes().splitlines(keepends=True)[:5])
    write_yaml(resumed.attempts_file, {"attempts": [{"attempt": 1}, {"attempt": 2, "begins": {"train": size}}]})
    through = log(*values[:2], {"note": "no step"}, *values[2:])
    same = ("identical", None)
    assert outcomes(resumed, through) == {"train.loss": same, "train.note": same, "train.step": same}
