import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlxp_reader.query.expressions import MISSING
from mlxp_reader.records.encoding import decoded, encoded, from_text, to_text

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.dates()
    | st.datetimes().map(lambda time: time.replace(fold=0))
    | st.binary()
    | st.datetimes(timezones=st.just(dt.UTC)).map(lambda time: time.replace(fold=0))
)
keys = st.text() | st.integers() | st.dates() | st.none() | st.tuples(st.integers())
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3) | st.sets(st.integers(), max_size=1)
    ),
    max_leaves=8,
)


@given(values)
def test_any_yaml_value_survives_as_text(value):
    assert repr(from_text(to_text(value))) == repr(value)


@given(st.lists(values | st.just(MISSING)))
def test_any_list_of_values_survives_as_a_column(column):
    assert repr(decoded(*encoded("x", column))) == repr(column)


@pytest.mark.parametrize("kind", [st.booleans(), st.integers(), st.floats(), st.text()])
@pytest.mark.parametrize("gap", [None, MISSING])
@given(data=st.data())
def test_a_column_of_one_kind_survives_with_its_gaps(kind, gap, data):
    column = data.draw(st.lists(kind | st.just(gap)))
    assert repr(decoded(*encoded("x", column))) == repr(column)
