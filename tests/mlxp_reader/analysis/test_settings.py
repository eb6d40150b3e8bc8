"""Which runs have the same settings: as pandas groups them, but that a value is what it is, and null is a value."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from mlxp_reader.analysis.settings import RunSettings, codes, group_numbers

KINDS = st.sampled_from([0, 1, 1.5, True, "a", "1", None, float("nan"), pd.NA]) | st.lists(
    st.integers(0, 2), max_size=2
)


def test_true_and_one_are_two_settings_and_so_are_none_nan_and_what_is_missing():
    numbers, different = codes(pd.Series([True, 1, None, pd.NA, float("nan")], dtype=object))
    assert numbers.tolist() == [1, 0, 2, 4, 3]
    assert (different[:3], different[4]) == ([1, True, None], pd.NA)


def test_numbers_that_agree_in_six_digits_are_different_and_one_is_one():
    assert codes(pd.Series([1000001.0, 1000000.0]))[1] == [1000000.0, 1000001.0]
    assert codes(pd.Series([1, 1.0, 2**60, 2**60 + 1], dtype=object))[0].tolist() == [0, 0, 1, 2]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abc"), st.floats(0, 1) | st.just(float("nan"))), max_size=20)
)
def test_groups_are_those_of_pandas(rows):
    frame = pd.DataFrame(rows, columns=["x", "y", "z"])
    by_hand = frame.groupby(["x", "y", "z"], dropna=False, sort=True).ngroup()
    assert group_numbers(frame, ["x", "y", "z"]).tolist() == by_hand.tolist()


@settings(max_examples=200)
@given(st.lists(KINDS, max_size=12))
def test_values_have_the_same_number_if_and_only_if_they_are_the_same(values):
    column = pd.Series(pd.array(values, dtype="mixed"))
    numbers, different = codes(column)
    for one, at in zip(column, numbers, strict=True):
        same = different[at]
        assert type(one) is type(same) or (one == same and bool not in {type(one), type(same)})
        assert one == same or (pd.isna(one) and pd.isna(same))
    assert len(set(numbers.tolist())) == len(different)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=12))
def test_groups_are_mixed_if_one_of_them_has_several_values(rows):
    frame = pd.DataFrame(rows, columns=["x", "y"])
    found = RunSettings(frame)
    assert found.are_mixed(found.groups(["x"]), "y") == bool((frame.groupby("x")["y"].nunique() > 1).any())
    assert np.array_equal(found.values("y"), frame["y"])
