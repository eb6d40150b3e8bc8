import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlxp.errors import InvalidKeyError
from mlxp_reader.columns.accessors import MetricAccessor
from mlxp_reader.columns.run_statistics import statistic
from mlxp_reader.query.statistics import STATISTICS


def plain(found):
    return [None if value is found.dtype.na_value else value for value in found.tolist()]


EXPECTED = {
    "last": lambda curve: curve[-1],
    "first": lambda curve: curve[0],
    "min": min,
    "max": max,
    "count": len,
    "argmin": lambda curve: curve.index(min(curve)),
    "argmax": lambda curve: curve.index(max(curve)),
}


def test_every_statistic_is_tested():
    assert {*EXPECTED, "mean", "median", "std", "auc"} == STATISTICS.keys()  # auc: test_asked_values.py


@pytest.mark.parametrize("name", ["mean", "median", "std"])
@given(curves=st.lists(st.none() | st.lists(st.sampled_from([-1e3, -0.5, 0.0, 2.0, 7.25, math.nan]), min_size=1)))
def test_moments_are_those_of_pandas(name, curves):
    found = statistic(name, [None if curve is None else np.array(curve) for curve in curves])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # pandas 2 complains of nothing but NaN
        expected = [None if curve is None else getattr(pd.Series(curve), name)() for curve in curves]
    assert plain(found) == [None if value is None else pytest.approx(value, nan_ok=True) for value in expected]


@pytest.mark.parametrize("name", ["median", "std"])
def test_infinities_leave_no_finite_spread(name):
    with np.errstate(invalid="ignore"):
        expected = getattr(pd.Series([1.0, math.inf, -math.inf, math.inf]), name)()
    assert statistic(name, [np.array([1.0, math.inf, -math.inf, math.inf])])[0] == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("name", [name for name, row in STATISTICS.items() if not row.takes_steps])
def test_every_statistic_is_a_method_that_says_what_it_is(name):
    curves = pd.Series([[3.0, 1.0]], dtype="metric", name="loss")
    assert getattr(curves.metric, name)().name == f"loss.{name}"
    assert STATISTICS[name].meaning in getattr(MetricAccessor, name).__doc__


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("kind", [np.int64, np.float64])
@given(curves=st.lists(st.none() | st.lists(st.integers(-5, 5), min_size=1)))
def test_statistics_agree_with_python(name, kind, curves):
    found = statistic(name, [None if curve is None else np.array(curve, dtype=kind) for curve in curves])
    assert plain(found) == [None if curve is None else EXPECTED[name](curve) for curve in curves]


def test_nan_is_passed_over_where_a_best_value_is_asked_for():
    run = np.array([math.nan, 3.0, 1.0, math.nan])
    found = {name: statistic(name, [run])[0] for name in ("min", "max", "mean", "argmin", "argmax", "count")}
    assert found == {"min": 1.0, "max": 3.0, "mean": 2.0, "argmin": 2, "argmax": 1, "count": 4}
    assert math.isnan(statistic("last", [run])[0])


def test_a_run_that_is_nan_throughout_has_no_best_value():
    found = statistic("argmin", [np.array([math.nan]), np.array([2.0, 1.0])])
    assert math.isnan(found[0])
    assert found[1] == 1


def test_integers_stay_integers():
    assert statistic("last", [np.array([1, 2])]).dtype == "Int64"


def test_the_last_of_anything_is_what_was_logged():
    assert statistic("last", [["warm", None], ["a", "b"], np.array([1])]).tolist() == [None, "b", 1]


def test_infinities_have_no_warnings():
    assert math.isnan(statistic("mean", [np.array([math.inf, -math.inf])])[0])


def test_an_unknown_statistic_is_an_error():
    with pytest.raises(InvalidKeyError, match="last, first, min"):
        statistic("mode", [])
