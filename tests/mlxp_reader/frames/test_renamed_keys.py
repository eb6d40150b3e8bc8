"""A key of the configuration is one whatever it is called: groups never mix the settings of a renamed key."""

import pickle

import pandas as pd
import pytest

from mlxp.errors import InvalidKeyError
from mlxp_reader.frames.frame import DataFrame


@pytest.fixture
def runs():
    return DataFrame(
        {
            "config.lr": [0.1, 0.1, 1.0, 1.0],
            "config.seed": [1, 2, 1, 2],
            "config.depth": 3,
            "score": [1.0, 2.0, 3.0, 4.0],
        }
    )


def bare(name):
    return name.removeprefix("config.")


def with_columns(runs):
    runs = runs.copy()
    runs.columns = list(map(bare, runs.columns))
    return runs


RENAMED = {
    "by a function": lambda runs: runs.rename(columns=bare),
    "by a dict": lambda runs: runs.rename(columns={name: bare(name) for name in runs.columns}),
    "by set_axis": lambda runs: runs.set_axis(list(map(bare, runs.columns)), axis=1),
    "by the columns": with_columns,
    "by str": lambda runs: runs.set_axis(runs.columns.str.replace("config.", ""), axis=1),
    "twice": lambda runs: runs.rename(columns={"config.lr": "x"}).rename(columns={"x": "lr", "config.seed": "seed"}),
    "one of them": lambda runs: runs.rename(columns={"config.lr": "lr"}),
}
AFTER = {
    "nothing": lambda runs: runs,
    "rows": lambda runs: runs[runs["score"] > 0],
    "columns": lambda runs: runs.drop(columns="score").assign(score=[1.0, 2.0, 3.0, 4.0]),
    "order": lambda runs: runs.sort_values("score").reset_index(drop=True),
    "concat": lambda runs: pd.concat([runs.head(2), runs.tail(2)], ignore_index=True),
    "merge": lambda runs: runs.merge(pd.DataFrame({"score": [1.0, 2.0, 3.0, 4.0], "more": 1}), on="score"),
    "pickle": lambda runs: pickle.loads(pickle.dumps(runs)),
    "copy": lambda runs: DataFrame(runs.copy()),
    "groups": lambda runs: runs.groupby("score").ungroup(),
    "wide": lambda runs: pd.concat([runs, pd.DataFrame({"more": [1] * 4})], axis=1),
}


@pytest.mark.parametrize("renamed", RENAMED)
@pytest.mark.parametrize("after", AFTER)
def test_the_groups_of_seeds_are_those_of_the_runs(runs, renamed, after):
    runs = AFTER[after](RENAMED[renamed](runs))
    groups = runs.over("seed")
    assert groups.sizes().tolist() == [2, 2]
    assert groups.aggregate("score", "mean")["mean"].tolist() == [1.5, 3.5]
    assert sorted(map(bare, runs.diff())) == ["lr", "seed"]


def test_a_key_that_gets_its_name_back_is_no_other_one(runs):
    back = runs.rename(columns={"config.lr": "lr"}).rename(columns={"lr": "config.lr"})
    assert back.diff() == runs.diff()
    assert back.configuration_keys() == runs.configuration_keys()


def test_what_is_renamed_to_a_key_is_one(runs):
    assert "config.score" in runs.rename(columns={"score": "config.score"}).diff()
    assert "score" not in runs.rename(columns={"score": "config.score"}).rename(columns={"config.lr": "lr"}).diff()


def test_without_any_key_groups_of_seeds_are_refused(runs):
    plain = DataFrame(pd.DataFrame({"seed": [1, 2, 1, 2], "lr": runs["config.lr"], "score": runs["score"]}))
    with pytest.raises(
        InvalidKeyError, match=r"no column is known as a key of the configuration, as config.seed would"
    ):
        plain.over("seed")
    with pytest.raises(InvalidKeyError, match="no column is known"):
        plain.table(rows="lr", value="score", over="seed")
