"""Groups of runs: which there are, what they answer, and that every row keeps the label of its run."""

import numpy as np
import pandas as pd
import pytest

from mlxp.errors import InvalidKeyError, InvalidMapError
from mlxp_reader.columns.metric_array import MetricArray
from mlxp_reader.columns.metric_values import MetricColumn
from mlxp_reader.frames.frame import DataFrame
from mlxp_reader.frames.groups import GroupedDataFrame


@pytest.fixture
def runs():
    """Runs whose labels are not their places, and whose groups are not in their order."""
    return DataFrame(
        {
            "config.lr": [1.0, 0.1, 1.0, 0.1],
            "config.act": ["relu", None, None, "gelu"],
            "config.seed": [1, 2, 3, 4],
            "train.loss": MetricArray.of([[1.0], [2.0], [3.0], [4.0]]),
            "scores": [10, 20, 30, 40],
        },
        index=[7, 5, 3, 1],
    )


def test_none_is_a_group_whatever_is_asked(runs):
    groups = runs.groupby("config.act")
    expected = {("relu",): [7], (None,): [5, 3], ("gelu",): [1]}
    assert len(groups) == groups.groups_size == groups.ngroups == 3
    assert {key: list(group.index) for key, group in groups.items()} == expected
    assert {(key,): list(group.index) for key, group in groups} == expected
    assert sorted(groups["config.seed"].sum()) == [1, 4, 5]
    assert sorted(groups.size()) == [1, 1, 2]
    assert len(groups) == len(groups.keys()) == 3
    assert len(groups.ungroup()) == len(groups.toPandas()) == 4
    assert len(groups.aggregate((sum, "config.seed"), ungroup=True)) == 3


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
@pytest.mark.parametrize("dtype", ["mixed", object, "Int64", "float64"])
def test_what_is_missing_is_one_group_of_any_column(missing, dtype):
    if dtype == "float64" and missing is pd.NA:
        missing = np.nan
    runs = DataFrame({"config.x": pd.array([1, missing, missing, 2], dtype=dtype), "config.seed": [1, 2, 3, 4]})
    groups = runs.groupby("x")
    assert len(groups) == 3
    assert {key: group["config.seed"].tolist() for key, group in groups.items()} == {
        (1,): [1],
        (2,): [4],
        (None,): [2, 3],
    }
    assert [key for key, _ in groups] == [key for (key,) in groups.keys()]  # noqa: SIM118 - iteration is pandas'


def test_who_wants_to_leave_out_what_is_missing_says_so(runs):
    groups = runs.groupby("config.act", dropna=True)
    assert len(groups) == len(groups.keys()) == 2
    assert list(groups.ungroup().index) == [1, 7]
    assert list(groups.toPandas()["config.seed"]) == [4, 1]
    assert list(groups.aggregate((sum, "config.seed", "s"), ungroup=True)["s"]) == [4, 1]


ROW_PER_RUN = {
    "transform": lambda groups: groups.transform((list, "config.seed", "copy"), ungroup=True),
    "map": lambda groups: groups.map((int, "config.seed", "copy"), ungroup=True),
    "rowwise": lambda groups: groups.apply((int, "config.seed", "copy"), "Rowwise", ungroup=True),
    "pointwise": lambda groups: groups.apply((int, "config.seed", "copy"), "Pointwise", ungroup=True),
    "generic": lambda groups: groups.apply((list, "config.seed", "copy"), ungroup=True),
    "ungrouped later": lambda groups: groups.transform((list, "config.seed", "copy")).ungroup(),
    "sorted": lambda groups: groups.transform((list, "config.seed", "copy")).sort("copy", ascending=False).ungroup(),
}


@pytest.mark.parametrize("verb", ROW_PER_RUN)
@pytest.mark.parametrize("by", ["config.lr", "config.act", ["config.lr", "config.act"], "config.seed"])
def test_what_has_a_row_per_run_pairs_each_run_with_its_own(runs, verb, by):
    runs["copy"] = ROW_PER_RUN[verb](runs.groupby(by))["copy"]
    assert runs["copy"].tolist() == runs["config.seed"].tolist()


@pytest.mark.parametrize("index", [[7, 5, 3, 1], [0, 1, 2, 3], list("abcd")])
def test_rows_that_are_kept_are_those_of_their_labels(runs, index):
    runs = runs.set_axis(index)
    best = runs.filter((lambda scores: [score == max(scores) for score in scores], "scores"), bygroups="config.lr")
    assert sorted(best["scores"]) == [30, 40]
    assert runs.loc[best.index].equals(best)
    for kept in (
        runs.groupby("config.lr").ungroup(),
        runs.groupby("config.lr").sort("scores", ascending=False, ungroup=True),
        runs.groupby("config.lr").select([(0.1,)]).ungroup(),
        runs.groupby("config.lr").filter((lambda scores: [True] * len(scores), "scores"), ungroup=True),
        runs.groupby("config.lr").groupby("config.seed").ungroup().ungroup(),
        runs.filter("lr > 0.5"),
    ):
        assert runs.loc[kept.index].equals(kept)


def test_the_label_of_a_single_run_is_kept_too(runs):
    alone = runs.iloc[[2]]
    for made in (
        alone.map((int, "config.seed", "copy")),
        alone.transform((list, "config.seed", "copy")),
        alone.apply((int, "config.seed", "copy"), "Rowwise"),
        alone.apply((int, "config.seed", "copy"), "Pointwise"),
        alone.apply((list, "config.seed", "copy"), "Columnwise"),
    ):
        assert list(made.index) == [3]
        assert made["copy"].tolist() == [3]
    assert list(alone.aggregate((sum, "config.seed")).index) == [0]


def test_equal_labels_stay_equal_since_pandas_would_pair_them_wrongly(runs):
    twice = pd.concat([runs, runs])
    made = twice.groupby("config.lr").transform((list, "config.seed", "copy"), ungroup=True)
    assert sorted(made.index) == sorted(twice.index)
    with pytest.raises(ValueError, match="duplicate"):
        twice.assign(copy=made["copy"])


def test_rows_that_were_made_of_groups_are_numbered(runs):
    made = runs.groupby("config.lr").aggregate((sum, "scores", "total"))
    assert [list(group.index) for group in made.grouped_dict.values()] == [[0], [0]]
    assert made.ungroup().index.tolist() == [0, 1]
    assert runs.groupby("config.lr").apply((sum, "scores", "total"), ungroup=True).index.tolist() == [0, 1]


def test_groups_made_by_hand_keep_the_labels_that_tell_runs_apart(runs):
    by_hand = GroupedDataFrame(
        ["config.lr"], {(0.1,): runs[runs["config.lr"] == 0.1], (1.0,): runs[runs["config.lr"] == 1]}
    )
    assert by_hand.ungroup().index.tolist() == [5, 1, 7, 3]
    renumbered = {key: group.reset_index(drop=True) for key, group in by_hand.items()}
    assert GroupedDataFrame(["config.lr"], renumbered).ungroup().index.tolist() == [0, 1, 2, 3]


VERBS = {
    "aggregate": lambda frame, given: frame.aggregate(given),
    "agg": lambda frame, given: frame.agg(given),
    "apply": lambda frame, given: frame.apply(given),
    "transform": lambda frame, given: frame.transform(given),
    "map": lambda frame, given: frame.map(given),
    "filter": lambda frame, given: frame.filter(given),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("grouped", [False, True])
def test_what_begins_with_a_function_is_a_map_and_a_mistake_in_it_is_told(runs, verb, grouped):
    frame = runs.groupby("config.lr") if grouped else runs
    for unknown in ("score", ("scores", "sedd"), ["train.lsos"]):
        with pytest.raises(InvalidKeyError, match=r"there is no column '(score|sedd|train.lsos)'; did you mean"):
            VERBS[verb](frame, (list, unknown))
        with pytest.raises(InvalidKeyError, match="there is no column"):
            VERBS[verb](frame, [(list, "scores"), (list, unknown)])
    for wrong in ((list, 3), (min, max), (list,), (list, "scores", "a", "b"), (list, ())):
        with pytest.raises(InvalidMapError, match=r"a map, of the form \(function, columns\[, names\]\)"):
            VERBS[verb](frame, wrong)
    with pytest.raises(InvalidMapError, match="a list holds only maps"):
        VERBS[verb](frame, [(list, "scores"), "mean"])


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("grouped", [False, True])
def test_a_map_whose_function_is_not_in_front_or_is_missing_is_told(runs, verb, grouped):
    frame = runs.groupby("config.lr") if grouped else runs
    with pytest.raises(InvalidMapError, match="a map begins with its function"):
        VERBS[verb](frame, ("scores", list))
    if verb != "filter":
        for names in ("scores", "train.loss", ["scores", "config.seed"]):
            with pytest.raises(InvalidMapError, match="names columns, but not what to compute from them"):
                VERBS[verb](frame, names)


def test_a_value_that_is_no_tuple_names_no_group(runs):
    with pytest.raises(InvalidKeyError, match=r"groups\[\(0.1,\)\]"):
        runs.groupby("lr")[0.1]
    with pytest.raises(KeyError):
        runs.groupby("lr")[0.7]


def test_maps_take_lists_of_columns_short_names_and_statistics(runs):
    made = runs.aggregate((np.mean, ["scores", "seed"]))
    assert dict(made[0]) == {"fmean.scores": 25.0, "fmean.config.seed": 2.5}
    assert runs.aggregate([(max, ["train.loss.last"], ["best"])])["best"].tolist() == [4.0]
    of_groups = runs.groupby("lr").aggregate((max, "train.loss.last", "best"), ungroup=True)
    assert of_groups["best"].tolist() == [4.0, 3.0]


def test_groups_are_asked_by_queries_too(runs):
    groups = runs.groupby("lr")
    assert {key: list(group.index) for key, group in groups.filter("seed > 1").items()} == {(0.1,): [5, 1], (1.0,): [3]}
    assert groups.filter("seed > 1", ungroup=True).index.tolist() == [5, 1, 3]


def test_a_tuple_of_columns_is_as_good_as_a_list(runs):
    assert runs.groupby(("lr", "seed")).group_keys == ["config.lr", "config.seed"]
    wide = DataFrame(np.ones((2, 2)), columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")]))
    assert len(wide.groupby([("a", "b")])) == 1


def test_lists_of_functions_are_those_of_pandas(runs):
    assert runs[["scores"]].agg([min, "max"])["scores"].tolist() == [10, 40]
    assert runs.groupby("config.lr")["scores"].agg([min, "max"]).to_numpy().tolist() == [[20, 40], [10, 30]]
    assert runs.groupby("config.lr").agg(best=("scores", "max"))["best"].tolist() == [40, 30]


def test_columns_of_groups_have_short_names_too(runs):
    groups = runs.groupby("config.lr")
    assert groups["seed"].sum().tolist() == groups["config.seed"].sum().tolist() == [6, 4]
    assert groups[["seed", "scores"]].sum()["config.seed"].tolist() == [6, 4]
    with pytest.raises(InvalidKeyError, match=r"there is no column 'sede'; did you mean config.seed"):
        groups["sede"]
    with pytest.raises(InvalidKeyError, match=r"by with_stats\('train.loss.last'\)"):
        groups["train.loss.last"]


def test_a_group_of_many_runs_shows_as_much_as_pandas_does():
    runs = DataFrame({f"config.k{k}": np.arange(5000) for k in range(60)} | {"config.lr": [0.1, 1.0] * 2500})
    for groups in (runs.groupby("config.lr"), runs.groupby("config.lr").sort("config.k1")):
        assert len(groups._repr_html_()) < 200_000
        assert len(repr(groups)) < 20_000


def test_a_run_is_shown_from_top_to_bottom(runs):
    html = runs[0]._repr_html_()
    assert html.count("<tr") == 1 + len(runs.columns)
    assert "<th>train.loss</th>\n      <td>[1]</td>" in html
    assert "config.lr" in repr(runs[0])


def test_a_run_is_shown_without_loading_its_metrics():
    def load(name, rows):
        raise AssertionError

    column = MetricArray.of_rows(MetricColumn("loss", 2, load), np.arange(2))
    assert "METRIC" in DataFrame({"config.lr": [1, 2], "loss": column})[0]._repr_html_()


def test_groups_that_pandas_makes_of_anything_else_work_as_before(runs):
    assert runs.groupby("config.lr")[runs.columns[[2, 4]]].sum()["scores"].tolist() == [60, 40]
    assert runs.groupby("config.lr")._grouper.names == ["config.lr"]
    numbered = DataFrame({0: [1, 1, 2], 1: [3, 4, 5]})
    assert numbered.groupby(0)[1].sum().tolist() == numbered.groupby(0)[[1]].sum()[1].tolist() == [7, 5]
    wide = DataFrame([[1, 2, 3]], columns=pd.MultiIndex.from_tuples([("a", ""), ("b", "c"), ("b", "d")]))
    assert wide.groupby("a")["b"].sum().to_numpy().tolist() == [[2, 3]]
    assert {key: len(group) for key, group in runs.groupby(runs["scores"] > 20).items()} == {(False,): 2, (True,): 2}
    assert len(runs.groupby(level=0)) == 4
    assert runs.groupby(lambda label: label % 3)["scores"].sum().tolist() == [30, 50, 20]
    assert runs.groupby(["a", "b", "a", "b"])["scores"].sum().tolist() == [40, 60]
    assert runs.rename_axis("label").groupby("label").ngroups == 4
