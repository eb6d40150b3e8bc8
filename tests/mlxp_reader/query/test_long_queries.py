"""An error about a very long query, or a very long name, can be read."""

import pytest

from mlxp.errors import MLXPError
from mlxp_reader import DataFrame
from mlxp_reader.query.language import parse

LONG = "x" * 100_000


QUERIES = {
    "name": LONG,
    "names": "a." * 10_000,
    "text": f"lr == '{LONG}",
    "number": f"lr == 1{'1' * 10_000}",
    "what follows": f"lr == 1 $ {LONG}",
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_an_error_about_a_long_query_is_short_and_shows_the_place(query):
    with pytest.raises(SyntaxError) as caught:
        parse(query)
    assert len(caught.value.msg) < 1500
    assert len(str(caught.value)) < 1500


def test_the_caret_is_under_the_place_in_a_long_query():
    query = " | ".join(["lr == 1"] * 1000) + " | lr = 1" + " | lr == 1" * 1000
    with pytest.raises(SyntaxError) as caught:
        parse(query)
    _, line, caret = str(caught.value).splitlines()
    assert line[caret.index("^") - 3 :].startswith("lr = 1")


@pytest.mark.parametrize("ask", [DataFrame.over, DataFrame.to_table, DataFrame.__getitem__])
def test_an_error_about_a_long_name_is_short(ask):
    with pytest.raises(MLXPError) as caught:
        ask(DataFrame({"config.seed": [1]}), [LONG] if ask is DataFrame.to_table else LONG)
    assert len(str(caught.value)) < 5000
