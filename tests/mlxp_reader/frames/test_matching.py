"""A frame answers a query as its reader does, or says what it does not know."""

import warnings

import pandas as pd
import pytest

from mlxp.errors import InvalidKeyError, QuerySyntaxError
from mlxp_reader import Reader

RUNS = [
    {"lr": 0.1, "layers": [64, 64], "act": "relu", "flag": True, "any": 1, "number": 1, "some": 1},
    {"lr": 1, "layers": [32], "act": "gelu", "flag": False, "any": "auto", "number": 2, "some": 2},
    {"lr": 10.0, "layers": [], "act": "tanh", "flag": True, "any": None, "number": 3},
    {"lr": 2**60, "layers": [1], "act": "relu", "flag": False, "number": 4},
]
CURVES = [[0.5], [0.25, 1.0], [], ["a"]]
TEMPLATES = ["{} == {}", "{} != {}", "{} < {}", "{} >= {}", "~({} == {})", "{} in [{}]", "{} not in [{}]"]
NAMES = [
    "lr",
    "config.layers",
    "act",
    "flag",
    "any",
    "number",
    "some",
    "status",
    "log_id",
    "test.acc.last",
    "test.acc.count",
]
LITERALS = ["1", "0.1", "'relu'", "'auto'", "true", "null", "[64, 64]", "1.0"]


@pytest.fixture
def runs(log_runs):
    statuses = ["COMPLETE", "FAILED", "COMPLETE", "RUNNING"]
    metrics = ({"test": [{"acc": value} for value in curve]} for curve in CURVES)
    return log_runs(*zip(RUNS, metrics, statuses, strict=True))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.filterwarnings("ignore:[0-9]+ problem")
def test_a_frame_answers_as_the_reader_does_or_warns(runs, tmp_path, name, template):
    reader = Reader(tmp_path / "logs")
    for literal in LITERALS:
        if literal in {"null", "[64, 64]"} and ("<" in template or ">" in template):
            continue
        query = template.format(name, literal)
        expected = reader.filter(query)["info.logger.log_id"].tolist()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            found = runs.filter(query)
        assert found["info.logger.log_id"].tolist() == expected or "does not tell apart" in str(told[0].message)


@pytest.mark.parametrize("value", [0.5, 3, True, "a", [1, 2]])
def test_a_frame_of_a_reader_knows_null_from_nothing(log_runs, tmp_path, value):
    runs = log_runs(({"p": value}, {}), ({"p": None}, {}), ({}, {}), ({"p": value}, {}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for query, expected in (("p is None", [2]), ("p is not None", [1, 4]), ("p in [null]", [2])):
            assert runs.filter(query)["info.logger.log_id"].tolist() == expected
            assert Reader(tmp_path / "logs").filter(query)["info.logger.log_id"].tolist() == expected


def test_a_frame_says_where_it_does_not_know_null_from_nothing(log_runs):
    parts = [{"p": 0.5}, {}, {"p": 0.1}]
    read = [log_runs((config, {}), name=f"logs{at}") for at, config in enumerate(parts)]
    runs = pd.concat(read, ignore_index=True)  # pandas fills the gap with NaN
    for query in ("p is None", "p != 0.5", "p in [null]", "~(p not in [0.1])"):
        with pytest.warns(UserWarning, match=r"one run has a null in config.p or lacks it, .*; Reader.filter knows"):
            runs.filter(query)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert runs.filter("p == 0.5 | p < 0.2").index.tolist() == [0, 2]
        assert runs.filter("p is not None").index.tolist() == [0, 2]


def test_rows_keep_their_labels_and_the_frame_its_class(runs):
    found = runs.sort("lr", ascending=False).filter("act == 'relu'")
    assert type(found) is type(runs)
    assert found.index.tolist() == [3, 0]
    assert runs.filter("").equals(runs)


def test_mistakes_are_answered_with_their_place(runs):
    with pytest.raises(InvalidKeyError, match=r"did you mean config.act\?\n    aact == 1\n    \^"):
        runs.filter("aact == 1")
    with pytest.raises(QuerySyntaxError, match="'=' is written '=='"):
        runs.filter("act = 1")
