"""The statistics of metrics agree with those of each run's list."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlxp.errors import InvalidKeyError
from mlxp_reader.json_lines import typed
from mlxp_reader.lists import Column, Lists
from mlxp_reader.metric_statistics import statistic
from mlxp_reader.query import parse

nan, inf = math.nan, math.inf


def column_of(cells):
    """Return a column of `cells`, each in a part of its own; None is a run without the metric."""
    parts = [Lists.of(kind, np.array([len(values)]), [values]) for kind, values in map(typed, filter(None, cells))]
    present = np.array([cell is not None for cell in cells], dtype=bool)
    return Column(tuple(parts), np.where(present, np.cumsum(present) - 1, -1), np.zeros(len(cells), np.int64))


def alike(cells):
    """Return a column of `cells`, of one kind, in a single part."""
    kind, _ = typed([value for cell in cells if cell for value in cell])
    lists = [typed(cell)[1] for cell in cells if cell is not None]
    counts = np.array([-1 if cell is None else len(cell) for cell in cells])
    part = np.where(counts < 0, -1, 0)
    return Column((Lists.of(kind, counts, lists),), part, np.arange(len(cells)))


FLOATS = [[0.5, nan, 0.25, 1.0], None, [nan], [inf, -inf], [2.0, 2.0]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("last", [1.0, None, nan, -inf, 2.0]),
        ("first", [0.5, None, nan, inf, 2.0]),
        ("min", [0.25, None, nan, -inf, 2.0]),
        ("max", [1.0, None, nan, inf, 2.0]),
        ("mean", [1.75 / 3, None, nan, nan, 2.0]),
        ("count", [4, None, 1, 2, 2]),
        ("argmin", [2, None, None, 1, 0]),
        ("argmax", [3, None, None, 0, 0]),
    ],
)
def test_nan_is_passed_over_and_nothing_is_masked(name, expected):
    for column in (alike(FLOATS), column_of(FLOATS)):
        np.testing.assert_equal(statistic(column, name).tolist(), expected)


def test_integers_stay_integers_and_booleans_booleans():
    assert statistic(alike([[3, 1, 2], [5]]), "min").dtype == np.int64
    assert statistic(alike([[True, False]]), "max").tolist() == [True]
    assert statistic(alike([[True, False]]), "mean").tolist() == [0.5]


def test_integers_and_floats_of_different_runs_give_floats_where_that_is_exact():
    assert statistic(column_of([[1], [0.5]]), "last").dtype == np.float64
    assert statistic(column_of([[2**60 + 1], [0.5]]), "last").tolist() == [2**60 + 1, 0.5]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("last", ["b", None, None]),
        ("count", [2, 4, 1]),
        ("min", [None, 1, None]),
        ("mean", [None, 1.25, None]),
        ("argmax", [None, 1, None]),
    ],
)
def test_what_is_no_number_is_passed_over(name, expected):
    assert statistic(column_of([["a", "b"], [1, 1.5, nan, None], [None]]), name).tolist() == expected


def test_a_logged_null_is_a_value_and_a_missing_one_is_masked():
    found = statistic(column_of([[0.5, None], None]), "last")
    assert found.mask.tolist() == [False, True]
    assert parse("x is None").mask({"x": found}.__getitem__, 2).tolist() == [True, False]


def test_queries_take_statistics():
    found = statistic(alike([[0.5], None, [nan]]), "min")
    assert parse("x < 1").mask({"x": found}.__getitem__, 3).tolist() == [True, False, False]
    assert parse("x != 1").mask({"x": found}.__getitem__, 3).tolist() == [True, False, True]


def test_no_runs_and_no_values_have_no_statistics():
    assert statistic(column_of([]), "last").tolist() == []
    assert statistic(column_of([None]), "argmin").tolist() == [None]


def test_an_unknown_statistic_is_answered_with_all_known_ones():
    with pytest.raises(InvalidKeyError, match="there is no statistic 'median'; the statistics are last, first"):
        statistic(column_of([]), "median")


def plain(cell, name):
    """Return the statistic of one list of numbers that has a number."""
    numbers = [value for value in cell if not math.isnan(value)]
    return {
        "last": cell[-1],
        "first": cell[0],
        "min": min(numbers),
        "max": max(numbers),
        "mean": np.mean(numbers),
        "count": len(cell),
        "argmin": cell.index(min(numbers)),
        "argmax": cell.index(max(numbers)),
    }[name]


@given(
    st.lists(
        st.none() | st.lists(st.floats(-1e6, 1e6) | st.just(nan), max_size=5).map(lambda cell: [0.5, *cell]), max_size=5
    ),
    st.sampled_from(["last", "first", "min", "max", "mean", "count", "argmin", "argmax"]),
)
def test_all_at_once_agrees_with_one_by_one(cells, name):
    expected = [None if cell is None else plain(cell, name) for cell in cells]
    found = statistic(alike(cells), name) if any(cells) else statistic(column_of(cells), name)
    assert found.mask.tolist() == [value is None for value in expected]
    np.testing.assert_allclose(found.compressed(), [value for value in expected if value is not None], atol=1e-9)
