"""What the values of a metric can do: what a list and an array do alike, and the rest says how to ask for it."""

import copy
import operator

import numpy as np
import pandas as pd
import pytest

from mlxp_reader.columns.metric_array import MetricArray
from mlxp_reader.columns.metric_values import MetricValues

VALUES = MetricValues.of([1.5, 0.5, 1.0])


@pytest.mark.parametrize("name", ["mean", "std", "min", "max", "sum"])
def test_statistics_are_those_of_an_array(name):
    array = np.array([1.5, 0.5, 1.0])
    assert getattr(VALUES, name)() == getattr(array, name)() == getattr(np, name)(VALUES)


def test_a_copy_is_a_list():
    changed = VALUES.copy()
    changed.append(2)
    assert changed == [1.5, 0.5, 1.0, 2]
    assert copy.copy(VALUES) == VALUES == [1.5, 0.5, 1.0]


OPERATORS = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "lt", "le", "gt", "ge"]


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("other", [2, [1.0], VALUES], ids=["number", "list", "values"])
def test_what_lists_and_arrays_do_in_two_ways_says_how_to_ask(name, other):
    compute = getattr(operator, name)
    for left, right in ((VALUES, other), (other, VALUES)):
        with pytest.raises(
            TypeError, match=r"numpy\.asarray\(values\), or values\.tolist\(\)|can only concatenate list"
        ):
            compute(left, right)


def test_with_an_array_they_are_one():
    assert (VALUES * np.array([1, 2, 3])).tolist() == (np.array([1, 2, 3]) * VALUES).tolist() == [1.5, 1.0, 3.0]
    assert (np.ones(3) < VALUES).tolist() == [True, False, False]


def test_the_mean_over_runs_is_a_curve_as_in_mlxp_1():
    column = pd.Series(MetricArray.of([[1.0, 2.0], [3.0, 6.0], np.nan]))
    assert np.mean(column, axis=0).tolist() == column.mean().tolist() == [2.0, 4.0]
    assert np.std(column[:2], axis=0).tolist() == [1.0, 2.0]
    assert np.max(column, axis=0).tolist() == [3.0, 6.0]
    assert np.mean(column[:2].tolist(), axis=0).tolist() == [2.0, 4.0]


def test_curves_of_several_lengths_have_no_mean():
    with pytest.raises(TypeError, match="from 1 to 2 values"):
        pd.Series(MetricArray.of([[1.0, 2.0], [3.0]])).mean()


def test_several_runs_make_a_table_as_the_error_says():
    column = pd.Series([[1.0, 3.0], [2.0, 5.0]], dtype="metric")
    with pytest.raises(TypeError, match=r"of several runs, numpy.stack\(column\) makes a table"):
        np.array(column).mean(axis=0)
    assert np.stack(column).mean(axis=0).tolist() == np.mean(column, axis=0).tolist() == [1.5, 4.0]
