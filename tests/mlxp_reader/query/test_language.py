"""The filter language: what it accepts, what it means, and what it answers to a mistake."""

import operator

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlxp.errors import InvalidKeyError, MLXPError, QuerySyntaxError
from mlxp_reader.query.expressions import MISSING
from mlxp_reader.query.language import DefaultParser, Parser, expression_of, parse
from mlxp_reader.query.names import resolve, split_statistic

FIELDS = ["config.lr", "config.optimizer.lr", "config.seed", "info.status", "train.loss", "train.acc"]


def matches(query, values):
    """Return the positions in `values`, those of the field called x, that `query` matches."""
    return parse(query).mask({"x": values}.__getitem__, len(values)).nonzero()[0].tolist()


def matching(query, record):
    """Tell whether `query` matches one run."""
    return bool(parse(query).mask(lambda name: [record.get(name, MISSING)], 1)[0])


MIXED = [1, 0.1, "auto", None, MISSING, [1, 2], True, float("nan"), {}, "1"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("x == 1", [0, 6]),
        ("x == 'auto'", [2]),
        ("x == None", [3]),
        ("x is None", [3]),
        ("x is not None", [0, 1, 2, 5, 6, 7, 8, 9]),
        ("x == [1, 2]", [5]),
        ("x == True", [0, 6]),
        ("x < 1", [1]),
        ("x > '0'", [2, 9]),
        ("x != 1", [1, 2, 3, 5, 7, 8, 9]),
        ("x in [1, 'auto', None, [1, 2]]", [0, 2, 3, 5, 6]),
        ("x not in [1, 'auto', None]", [1, 5, 7, 8, 9]),
        ("x in []", []),
        ("~ x == 1", [1, 2, 3, 4, 5, 7, 8, 9]),
        ("not x != 1", [0, 4, 6]),
    ],
)
def test_a_value_matches_its_own_kind_and_a_missing_key_only_an_inversion(query, expected):
    assert matches(query, MIXED) == expected


@pytest.mark.parametrize(
    "column",
    [
        [3, MISSING, 2**60 + 1],
        pd.array([3, None, 2**60 + 1], dtype="Int64"),
        pd.Series([3, None, 2**60 + 1], dtype="Int64"),
        pd.Series([3, pd.NA, 2**60 + 1], dtype=object),
        np.array([3, pd.NA, 2**60 + 1], dtype=object),
        pa.array([3, None, 2**60 + 1]),
        pa.chunked_array([[3, None], [2**60 + 1]]),
        pd.array([3, None, 2**60 + 1], dtype=pd.ArrowDtype(pa.int64())),
    ],
)
def test_integers_compare_exactly_in_any_column_and_nulls_are_missing(column):
    assert matches("x == 3.0", column) == [0]
    assert matches("x == 1152921504606846977", column) == [2]
    assert matches("x == 1152921504606846976.0", column) == []
    assert matches("x != 3", column) == [2]
    assert matches("x in [3, 'a']", column) == [0]
    assert matches("x < 'a'", column) == []


@pytest.mark.parametrize(
    "column",
    [
        ["b", MISSING, "a"],
        pd.array(["b", None, "a"], dtype="string"),
        pa.array(["b", None, "a"]),
    ],
)
def test_text_compares_in_any_column(column):
    assert matches("x == 'b'", column) == [0]
    assert matches("x < 'b'", column) == [2]
    assert matches("x != 'b'", column) == [2]
    assert matches("x not in ['a']", column) == [0]
    assert matches("x == 1", column) == []


@pytest.mark.parametrize(
    "column",
    [np.array([True, False]), pd.array([True, False], dtype="boolean"), pa.array([True, False]), [True, False]],
)
def test_booleans_are_the_numbers_one_and_zero(column):
    assert matches("x == True", column) == matches("x == 1", column) == matches("x > 0.5", column) == [0]
    assert matches("x == 'True'", column) == []


@pytest.mark.parametrize("column", [np.array([0.1, np.nan]), pa.array([0.1, float("nan")]), [0.1, float("nan")]])
def test_nan_is_a_value_that_equals_nothing(column):
    assert matches("x != 0.1", column) == [1]
    assert matches("x < 1", column) == [0]


@pytest.mark.parametrize(
    ("query", "record"),
    [
        ("config.lr < .1e1", {"config.lr": 0.5}),
        ("config.lr == 1e-3", {"config.lr": 0.001}),
        ("config.lr>-1&config.seed==+5", {"config.lr": 0, "config.seed": 5}),
        ("config.lr == 5.", {"config.lr": 5}),
        ("0.1 < config.lr", {"config.lr": 0.5}),
        ("1 >= config.lr", {"config.lr": 0.5}),
        ('config.act == "relu"', {"config.act": "relu"}),
        (r"config.act == 'it\'s \x41\u00e9\n'", {"config.act": "it's A\u00e9\n"}),
        (r"config.dir == 'C:\data'", {"config.dir": r"C:\data"}),
        (
            "config.on == true & config.off == false & config.no == null",
            {"config.on": True, "config.off": False, "config.no": None},
        ),
        ("`config.my key-1` == 1", {"config.my key-1": 1}),
        ("config.layers.0 == 1_000", {"config.layers.0": 1000}),
        ("config.größe == 0x10", {"config.größe": 16}),
        ("config.lr in[1,2,] and not config.lr in [2]", {"config.lr": 1}),
        ("config.layers == [[1, 'a'], []]", {"config.layers": [[1, "a"], []]}),
        ("x == 1\n| x == 2", {"x": 2}),
    ],
)
def test_all_spellings_are_read(query, record):
    assert matching(query, record)


def test_comparison_binds_tighter_than_inversion_than_and_than_or():
    assert parse("~a == 1 & b == 2 | c == 3") == parse("((~(a == 1)) & (b == 2)) | (c == 3)")
    assert parse("not a == 1 and b == 2 or c == 3") == parse("~a == 1 & b == 2 | c == 3")
    assert parse("a == 1 | b == 2 & c == 3") == parse("a == 1 | (b == 2 & c == 3)")


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_query_matches_every_run(text):
    assert parse(text).mask({}.__getitem__, 3).tolist() == [True] * 3


def test_columns_are_the_names_as_written():
    assert parse("lr < 1 & ~(`a-b` is None | train.loss.min in [1])").columns() == {"lr", "a-b", "train.loss.min"}


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("lr == & seed == 1", 6, "expected a value: a number"),
        ("lr = 1", 3, "'=' is written '=='"),
        ("lr == relu", 6, "text is put in quotes: 'relu'"),
        ("lr", 2, "expected a comparison after 'lr'"),
        ("lr < 1 < 2", 7, "comparisons do not chain"),
        ("0 < lr < 2", 7, "comparisons do not chain"),
        ("lr < None", 3, "'<' compares numbers or strings, not None"),
        ("[1] > lr", 4, "'>' compares numbers or strings, not [1]"),
        ("(lr == 1", 8, "expected '&', '|' or ')'"),
        ("lr == 1)", 7, "expected '&', '|' or the end"),
        ("lr == 1 seed == 2", 8, "expected '&', '|' or the end"),
        ("lr in 1", 6, "expected a list"),
        ("lr in [1 2]", 9, "expected ',' or ']'"),
        ("lr in [1, seed]", 10, "expected a value"),
        ("lr is 1", 6, "expected None after 'is'"),
        ("lr not 1", 7, "expected a comparison after 'lr'"),
        ("my-lr == 1", 2, "put a name with a dash in backticks"),
        ("lr == 'a", 6, "the string has no closing quote"),
        ("`lr == 1", 0, "the name has no closing backtick"),
        ("1 == 1", 5, "expected a field's name"),
        ("1 lr", 2, "after a value"),
        ("lr == 1.2.3", 6, "expected a value"),
        ("lr == 010", 6, "'010' is not a number"),
        ("lr == 1 && seed == 2", 9, "expected a field's name"),
        ("!lr == 1", 0, "'!' is written '~' or 'not'"),
        ("lr == 1 &", 9, "expected a field's name"),
        ("lr == __import__('os')", 6, "expected a value"),
        ("(" * 200, 100, "more than 100 levels"),
    ],
)
def test_a_mistake_is_answered_with_its_place_and_what_was_expected(text, place, message):
    with pytest.raises(QuerySyntaxError) as raised:
        parse(text)
    assert message in str(raised.value)
    assert str(raised.value).endswith(f"    {text}\n    {' ' * place}^")


def test_the_place_is_shown_in_its_line():
    with pytest.raises(QuerySyntaxError, match=r"\n    \t& seed\n    \t      \^$"):
        parse("lr == 1\n\t& seed\n\n")


def test_a_syntax_error_is_one_of_mlxp_and_the_two_of_python():
    assert issubclass(QuerySyntaxError, MLXPError)
    assert issubclass(QuerySyntaxError, ValueError)
    assert issubclass(QuerySyntaxError, SyntaxError)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("config.lr", "config.lr"),
        ("lr", "config.lr"),
        ("optimizer.lr", "config.optimizer.lr"),
        ("info.status", "info.status"),
        ("status", "info.status"),
        ("train.loss.argmin", "train.loss.argmin"),
    ],
)
def test_a_name_stands_for_its_field(name, field):
    assert resolve(name, FIELDS) == field


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("statos", "did you mean info.status"),
        ("config.sed", "did you mean config.seed"),
        ("sede", "did you mean config.seed"),
        ("train.los.last", "did you mean train.loss.last"),
        ("train.loss", "takes one of its statistics: train.loss.last"),
        ("zzzzzz", "reader.searchable lists"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_fields(name, message):
    with pytest.raises(InvalidKeyError, match=message):
        resolve(name, FIELDS)


def test_a_name_with_two_meanings_is_an_error():
    fields = [*FIELDS, "config.train.loss.last"]
    with pytest.raises(InvalidKeyError, match=r"'config\.train\.loss\.last' or 'train\.loss\.last'"):
        resolve("train.loss.last", fields)
    assert resolve("config.train.loss.last", fields) == "config.train.loss.last"


def test_artifacts_cannot_be_asked_for():
    with pytest.raises(InvalidKeyError, match="holds artifacts"):
        resolve("artifact.pickle.", [*FIELDS, "artifact.pickle."])


def test_resolving_an_expression_replaces_its_names():
    expression = parse("not lr < 1 & (train.loss.min < 2 | info.status in ['COMPLETE'])").resolved(FIELDS)
    assert expression.columns() == {"config.lr", "train.loss.min", "info.status"}


def test_an_unknown_name_in_a_query_is_shown_at_its_place():
    with pytest.raises(InvalidKeyError) as raised:
        parse("seed == 1 & ~lrr < 1").resolved(FIELDS)
    assert str(raised.value).endswith("    seed == 1 & ~lrr < 1\n                 ^")


def test_statistics_are_those_of_metrics_only():
    assert split_statistic("train.loss.max") == ("train.loss", "max")
    assert split_statistic("train.loss.mode") is None
    assert split_statistic("config.lr.max") is None


def test_a_users_parser_may_return_a_function_of_a_record():
    expression = expression_of(lambda record: record.get("config.seed", 0) > 1).resolved(FIELDS)
    columns = dict.fromkeys(FIELDS, [MISSING] * 3) | {"config.seed": pd.array([1, 2, None], dtype="Int64")}
    assert expression.mask(columns.__getitem__, 3).tolist() == [False, True, False]


def test_the_parsers_are_parsers_and_nothing_else_is_taken_for_an_expression():
    assert isinstance(DefaultParser(), Parser)
    assert expression_of(DefaultParser().parse("x == 1")) == parse("x == 1")
    with pytest.raises(TypeError, match="not str"):
        expression_of("x == 1")


# Any expression agrees with a plain evaluation over the records.

NAMES = ("a", "b.c", "d e")
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text("ab'\"\\\n", max_size=2)
)
literals = scalars | st.lists(scalars, max_size=2)
ordered = st.one_of(
    st.booleans(), st.integers(-3, 3), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text("ab")
)
values = literals | st.just(float("nan")) | st.dictionaries(st.text("ab"), st.integers(), max_size=1) | st.just(MISSING)
OPERATORS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def written(value):
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    return {"inf": "1e999", "-inf": "-1e999"}.get(repr(value), repr(value))


def kind(value):
    return "number" if isinstance(value, int | float) else type(value)


def compare(sign, value, literal):
    if value is MISSING:
        return False
    if kind(value) != kind(literal):
        return sign == "!="
    return OPERATORS[sign](value, literal)


@st.composite
def comparisons(draw):
    """Return the text of a comparison and the function of a record that it means."""
    name = draw(st.sampled_from(NAMES))
    text = f"`{name}`" if " " in name else name
    if draw(st.booleans()):
        choices, negated = draw(st.lists(literals, max_size=3)), draw(st.booleans())
        return (
            f"{text} {'not in' if negated else 'in'} {written(choices)}",
            lambda r: r[name] is not MISSING and any(compare("==", r[name], choice) for choice in choices) != negated,
        )
    sign = draw(st.sampled_from(list(OPERATORS)))
    literal = draw(literals if sign in ("==", "!=") else ordered)
    return f"{text} {sign} {written(literal)}", lambda r: compare(sign, r[name], literal)


def joined(operands):
    (left, means_left), (right, means_right) = operands
    return st.sampled_from(
        [
            (f"({left}) & ({right})", lambda r: means_left(r) and means_right(r)),
            (f"({left}) or ({right})", lambda r: means_left(r) or means_right(r)),
            (f"~({left})", lambda r: not means_left(r)),
        ]
    )


expressions = st.recursive(comparisons(), lambda inner: st.tuples(inner, inner).flatmap(joined), max_leaves=5)
homogeneous = st.sampled_from(
    [st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.booleans(), st.text("ab")]
)


@given(expressions, st.lists(st.fixed_dictionaries(dict.fromkeys(NAMES, values)), max_size=6))
def test_any_expression_agrees_with_a_plain_evaluation(expression, records):
    text, means = expression
    found = parse(text).mask(lambda name: [record[name] for record in records], len(records))
    assert found.tolist() == [means(record) for record in records]


@given(comparisons(), homogeneous.flatmap(lambda kind: st.lists(kind, min_size=1, max_size=6)))
def test_a_column_of_one_kind_agrees_with_a_plain_evaluation(expression, column):
    text, means = expression
    expected = [means(dict.fromkeys(NAMES, value)) for value in column]
    for array in (np.array(column), pd.array(column), pa.array(column)):
        assert parse(text).mask(dict.fromkeys(NAMES, array).__getitem__, len(column)).tolist() == expected
