import datetime as dt

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mlxp_reader.query.expressions import MISSING
from mlxp_reader.records.encoding import decoded, encoded, from_text, joined, to_text

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


@pytest.mark.parametrize("length", [1, 2000])
def test_texts_that_many_runs_share_are_kept_once_unless_they_are_long(length):
    texts = ["a" * length, "b" * length] * 4 + [MISSING]
    field, column = encoded("x", texts)
    assert decoded(field, column) == texts
    assert (str(field.type) == "large_string") == (length == 2000)


def test_texts_with_and_without_a_dictionary_are_joined():
    few, many = ["a", "b", MISSING] * 100, [f"text {number}" for number in range(300)]
    columns = [encoded("x", few), encoded("x", many)]
    assert len({str(field.type) for field, _ in columns}) == 2
    assert decoded(*joined("x", [*columns, 2, columns[0]])) == [*few, *many, MISSING, MISSING, *few]


kinds = st.sampled_from([st.booleans(), st.integers(), st.floats(), st.text(), st.none(), values])
pieces = st.lists(kinds.flatmap(lambda kind: st.lists(kind | st.just(MISSING), max_size=3)), min_size=1, max_size=4)


@given(pieces)
def test_pieces_of_a_column_are_one_as_if_they_were_never_apart(pieces):
    together = [value for piece in pieces for value in piece]
    assume(together)
    field, column = joined("x", [encoded("x", piece) if piece else 0 for piece in pieces])
    assert repr(decoded(field, column)) == repr(together)
    expected = encoded("x", together)[0]
    assert (field.type, field.metadata) == (expected.type, expected.metadata)


@pytest.mark.parametrize("kind", [st.booleans(), st.integers(), st.floats(), st.text()])
@pytest.mark.parametrize("gap", [None, MISSING])
@given(data=st.data())
def test_a_column_of_one_kind_survives_with_its_gaps(kind, gap, data):
    column = data.draw(st.lists(kind | st.just(gap)))
    assert repr(decoded(*encoded("x", column))) == repr(column)
