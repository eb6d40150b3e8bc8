"""Statistics by name: those with a number, those that take steps, and those at the best step of another metric."""

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from mlxp.errors import InvalidKeyError
from mlxp_reader import DataFrame, statistic
from mlxp_reader.query.names import Asked
from mlxp_reader.query.statistics import STATISTICS

NAN = math.nan


def metric(*runs):
    return pd.array(list(runs), dtype="metric")


@pytest.fixture
def runs():
    return DataFrame(
        {
            "config.model": ["a", "b", "c"],
            "val.epoch": metric([0, 1, 2], [0, 1, 2], [0, 1]),
            "val.acc": metric([0.1, 0.9, 0.5], [0.2, 0.3, NAN], [0.5, 0.5]),
            "test.epoch": metric([0, 1, 2], [0, 1, 2], [1]),
            "test.acc": metric([0.11, 0.88, 0.4], [0.2, 0.33, 0.9], [0.7]),
            "test.hits@5": metric([1, 2], [3], [4]),
        }
    )


@pytest.mark.filterwarnings("ignore:1 run has no value")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("test.acc@val.acc.max", [0.88, 0.33, NAN]),
        ("test.acc@val.acc.min", [0.11, 0.2, NAN]),
        ("test.acc@val.acc.last", [0.4, 0.33, 0.7]),
        ("val.acc@val.epoch.max", [0.5, NAN, 0.5]),
        ("test.acc.at(1)", [0.88, 0.33, 0.7]),
        ("test.acc.at(5)", [NAN, NAN, NAN]),
        ("test.acc.last(2)", [0.64, 0.615, 0.7]),
        ("test.acc.quantile(0.5)", [0.4, 0.33, 0.7]),
        ("test.acc.auc", [1.135, 0.88, NAN]),
        ("test.acc.rises_to(0.5)", [1, 2, 1]),
        ("val.acc.falls_to(0.2)", [0, 0, NAN]),
        ("test.hits@5.max", [2, 3, 4]),
        ("test.hits@5.last(2)", [1.5, 3, 4]),
    ],
)
def test_name_means_the_same_wherever_one_number_is_wanted(runs, name, expected):
    assert runs.with_stats(name)[name].tolist() == pytest.approx(expected, nan_ok=True)
    assert runs.table("model", value=name).data["mean"].tolist() == pytest.approx(expected, nan_ok=True)
    assert len(runs.filter(f"{name} >= 0")) == sum(value >= 0 for value in expected)
    known = [one for one in expected if one == one]  # noqa: PLR0124 - NaN
    assert runs.sort(name)[:1].with_stats(name)[name].tolist() == pytest.approx(sorted(known)[:1] or [NAN], nan_ok=True)


def test_step_without_a_value_is_told_with_the_nearest(runs):
    with pytest.warns(
        UserWarning, match="1 run has no value of test.acc where val.acc is max, such as at step 0; .* 1$"
    ):
        runs.with_stats("test.acc@val.acc.max")


def test_files_with_different_clocks_are_not_joined(runs):
    with pytest.raises(
        InvalidKeyError, match="have no steps in common: these are the number of the record in test and epoch"
    ):
        runs.drop(columns=["test.epoch"]).with_stats("test.acc@val.acc.max")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("test.acc@val.acc.mean", "write test.acc@val.acc.max, or .min, .last or .first instead of .mean"),
        ("test.acc@val.ac.max", "there is no metric 'val.ac'; did you mean val.acc"),
        ("test.ac@val.acc.max", "there is no metric 'test.ac'; did you mean test.acc"),
        ("test.acc.last(0)", "their number is 1 or more"),
        ("test.acc.last(2.5)", "their number is 1 or more"),
        ("test.acc.last(nan)", "a number stands in the parentheses"),
        ("test.acc.at(x)", "a number stands in the parentheses"),
        ("test.acc.mode(2)", r"there is no statistic 'mode\(2\)' of test.acc; there are last, "),
        ("test.acc.quantile(3)", "takes a share from 0 to 1"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(runs, name, told):
    for ask in (runs.with_stats, lambda one: runs.filter(f"{one} > 0"), lambda one: runs.table("model", value=one)):
        with pytest.raises(InvalidKeyError, match=told):
            ask(name)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.one_of(st.just(NAN), st.floats(-5, 5))), min_size=1, max_size=20))
def test_area_and_value_at_a_step_are_those_of_pandas(curve):
    steps, values = zip(*curve, strict=True)
    runs = DataFrame({"config.seed": [1], "a.step": metric(list(steps)), "a.x": metric(list(map(float, values)))})
    plain = pd.Series(values, index=steps).dropna()
    plain = plain[~plain.index.duplicated(keep="last")].sort_index()
    area = integrate.trapezoid(plain, plain.index) if len(plain) > 1 else NAN
    assert runs.with_stats("a.x.auc")["a.x.auc"].tolist() == pytest.approx([area], nan_ok=True)
    assert runs.with_stats("a.x.at(3)")["a.x.at(3)"].tolist() == pytest.approx([plain.get(3, NAN)], nan_ok=True)


def test_statistic_of_ones_own_is_known_everywhere(runs):
    try:

        @statistic("spread")
        def spread(values):
            return values.max() - values.min()

        assert runs.with_stats("val.acc.spread")["val.acc.spread"].tolist() == pytest.approx([0.8, 0.1, 0.0])
        assert len(runs.filter("val.acc.spread > 0.5")) == 1
    finally:
        STATISTICS.pop("spread", None)
    with pytest.raises(ValueError, match="MLXP has a statistic 'max'"):
        statistic("max")
    with pytest.raises(ValueError, match="is one word"):
        statistic("my spread")


def test_best_so_far():
    curves = pd.Series(metric([1.0, 3.0, NAN, 2.0], [2]))
    assert [list(run) for run in curves.metric.cummax()] == [[1, 3, 3, 3], [2]]
    assert [list(run) for run in curves.metric.cummin()] == [[1, 1, 1, 1], [2]]


def test_name_is_split_where_metrics_are():
    assert Asked.of("a.hits@5@b.acc.max", ["a.hits@5", "b.acc"]) == Asked("a.hits@5", "max", "b.acc")
    assert Asked.of("a.hits@5.last(3)", ["a.hits@5"]) == Asked("a.hits@5", "last(3)")
