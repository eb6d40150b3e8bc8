"""Averages over seeds, checked against pandas and scipy by hand; which runs are put together, and what is told."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mlxp.errors import InvalidKeyError
from mlxp_reader import DataFrame
from mlxp_reader.analysis.seed_statistics import spread

STAT = "test.acc.last"


def runs_of(scores, **config):
    """Return runs with a curve of one value each, by configuration."""
    columns = {f"config.{name}": values for name, values in config.items()}
    curves = [np.nan if score is None else [score] for score in scores]
    return DataFrame({**columns, "test.acc": pd.array(curves, dtype="metric")})


def two_models(*scores):
    """Return three seeds of each of two models."""
    return runs_of(scores, model=["a"] * 3 + ["b"] * 3, seed=[0, 1, 2] * 2)


def test_groups_are_by_every_key_that_varies_but_the_seed():
    runs = runs_of(range(8), lr=[0.1, 1.0] * 4, model=["a", "a", "b", "b"] * 2, seed=[0] * 4 + [1] * 4, depth=[3] * 8)
    groups = runs.over("seed")
    assert groups.keys == ["config.lr", "config.model"]
    assert groups.aggregate(STAT, "mean")["mean"].tolist() == [2.0, 4.0, 3.0, 5.0]


def test_the_statistics_are_those_of_pandas_and_scipy():
    scores = [0.1, 0.4, 0.9, 5.0, 7.0, 8.0]
    found = (
        two_models(*scores).over("seed").aggregate(STAT, ["mean", "std", "sem", "ci95", "median", "iqr", "min", "max"])
    )
    for row, values in zip(found.itertuples(), (scores[:3], scores[3:]), strict=True):
        low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
        series = pd.Series(values)
        assert (row.mean, row.std, row.median) == pytest.approx((series.mean(), series.std(), series.median()))
        assert (row.mean - row.ci95, row.mean + row.ci95) == pytest.approx((low, high))
        assert (row.sem, row.iqr, row.min, row.max) == pytest.approx(
            (series.sem(), stats.iqr(values), min(values), max(values))
        )


def test_the_bootstrap_is_that_of_scipy_of_values_as_far_apart_as_students_interval_is_wide():
    found = two_models(0.1, 0.4, 0.9, 5.0, 7.0, 8.0).over("seed").aggregate(STAT, "bootstrap")
    values = np.array([0.1, 0.4, 0.9])
    apart = values.mean() + (values - values.mean()) * math.sqrt(3 / 2) * stats.t.ppf(0.975, 2) / stats.norm.ppf(0.975)
    low, high = stats.bootstrap((apart,), np.mean, method="percentile", rng=1).confidence_interval
    assert found.loc[0, ["bootstrap_low", "bootstrap_high"]].tolist() == pytest.approx([low, high], abs=0.02)


@pytest.mark.parametrize("runs", [3, 5])
def test_an_interval_of_the_bootstrap_covers_the_mean_of_few_runs(runs):
    found = spread(np.random.default_rng(0).normal(size=(runs, 400)), ["bootstrap"])
    assert 0.91 < np.mean((found["bootstrap_low"] <= 0) & (found["bootstrap_high"] >= 0)) < 0.98


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(-1e6, 1e6) | st.just(np.nan) | st.none()), max_size=12))
@pytest.mark.filterwarnings("ignore:groups have", "ignore:no two runs")
def test_means_over_seeds_are_those_of_a_groupby_of_pandas(runs):
    models, scores = [model for model, _ in runs], [score for _, score in runs]
    frame = runs_of(scores, model=models, seed=list(range(len(runs))))
    found = frame.over("seed").aggregate(STAT, ["mean", "std", "median", "min", "max", "count"])
    plain = pd.DataFrame(
        {"model": models, "score": [np.nan if score is None else score for score in scores]}, dtype=None
    )
    by_hand = (
        plain.astype({"score": float}).groupby("model")["score"].agg(["mean", "std", "median", "min", "max", "count"])
    )
    np.testing.assert_allclose(found[by_hand.columns], by_hand, rtol=1e-9, atol=1e-6)


def test_one_seed_has_a_mean_and_no_spread():
    found = runs_of([0.5], seed=[1]).over("seed").aggregate(STAT, ["mean", "std", "ci95", "bootstrap", "count"])
    assert found[["mean", "count"]].to_numpy().tolist() == [[0.5, 1]]
    assert found[["std", "ci95", "bootstrap_low", "bootstrap_high"]].isna().to_numpy().all()


def test_no_runs_have_no_groups():
    groups = two_models(*range(6)).iloc[:0].over("seed")
    assert groups.aggregate(STAT, ["mean", "std", "count"]).columns.tolist() == ["mean", "std", "count"]
    assert (len(groups), repr(groups)) == (0, "0 groups of 0 runs, over seed")
    assert groups.aggregate("test.acc", "mean").empty
    assert groups.best(STAT, direction="max").empty


def test_curves_of_no_runs_have_no_rows():
    found = two_models(*range(6))[:0].over("seed").aggregate("test.acc", ["mean", "count"])
    assert (len(found), list(found.columns)) == (0, ["group", "step", "mean", "count"])


def test_the_best_per_key_that_has_one_value_is_the_best():
    groups = runs_of([1.0, 2.0, 5.0, 3.0], model=["a"] * 4, lr=[0.1, 0.1, 1.0, 1.0], seed=[0, 1] * 2).over("seed")
    assert groups.best(STAT, direction="max", per="model")["config.lr"].tolist() == [1.0]
    with pytest.raises(InvalidKeyError, match="'seed' does not distinguish the groups; these keys do: lr"):
        groups.best(STAT, direction="max", per="seed")


def test_a_bare_name_is_that_of_the_key_though_a_metric_is_called_the_same():
    assert runs_of(range(4), **{"test.acc": [1, 1, 2, 2], "seed": [1, 2, 1, 2]}).over("test.acc").keys == [
        "config.seed"
    ]


def test_none_and_lists_are_values_to_group_by():
    layers = [[64], [64], [64, 64], [64, 64], None, None]
    groups = runs_of(range(6), layers=pd.array(layers, dtype="mixed"), seed=[0, 1] * 3).over("seed")
    found = groups.aggregate(STAT, "mean")
    assert dict(zip(map(str, found["config.layers"]), found["mean"], strict=True)) == {
        "[64]": 0.5,
        "[64, 64]": 2.5,
        "None": 4.5,
    }


def test_a_path_with_the_seed_in_it_makes_no_groups_and_is_told():
    paths = [f"out/{model}-seed{seed}" for model in "ab" for seed in (1, 2, 11)]
    runs = runs_of(range(6), model=list("aaabbb"), seed=[1, 2, 11] * 2, path=paths)
    with pytest.warns(UserWarning, match="path only follows seed and makes no groups"):
        groups = runs.over("seed")
    assert (groups.keys, groups.following) == (["config.model"], ["config.path"])


@pytest.mark.parametrize("form", ["lr{lr}_seed{seed}", "user1/depth{depth}_seed={seed}/{seed}", "{seed}-of-2"])
def test_a_path_in_which_the_seed_stands_beside_the_same_number_makes_no_groups(form):
    lr, depth, seed = [0.1, 0.1, 0.2, 0.2], [1, 1, 2, 2], [1, 2, 1, 2]
    paths = [form.format(lr=one, depth=two, seed=three) for one, two, three in zip(lr, depth, seed, strict=True)]
    runs = runs_of(range(4), lr=lr, depth=depth, seed=seed, path=paths)
    with pytest.warns(UserWarning, match="path only follows seed"):
        assert runs.over("seed").keys == ["config.lr", "config.depth"]


def test_a_copy_of_the_seed_makes_no_groups_but_another_number_does():
    runs = runs_of(range(4), seed=[1, 2, 1, 2], **{"data.seed": [1, 2, 1, 2], "lr": [0.1, 0.2, 0.1, 0.2]})
    with pytest.warns(UserWarning, match="data.seed only follows seed"):
        assert runs.over("seed").keys == ["config.lr"]


def test_several_keys_are_spoken_of_in_the_plural():
    runs = runs_of(range(2), seed=[1, 2], lr=[1, 2], out=["run-1", "run-2"])
    with pytest.warns(UserWarning, match=r"^lr, out only follow seed and make no groups"):
        runs.over("seed")
    with pytest.raises(InvalidKeyError, match=r"^seed, lr, out vary too"):
        runs.assign(**{"config.model": "a"}).table("model", value=STAT)


def test_a_text_that_varies_by_itself_makes_groups_though_it_contains_the_seed():
    runs = runs_of(range(4), name=["net1", "net2", "mlp1", "mlp2"], seed=[1, 2, 1, 2])
    with pytest.warns(UserWarning, match=r"no two runs differ only in seed; .*exclude=\['name'\]"):
        assert runs.over("seed").keys == ["config.name"]


def test_keys_are_left_out_by_pattern():
    runs = runs_of(range(4), **{"paths.out": list("wxyz"), "lr": [1, 1, 2, 2], "seed": [1, 2, 1, 2]})
    assert runs.over("seed", exclude="paths.*").keys == ["config.lr"]
    assert runs.over("config.seed", exclude=["config.paths.*", "lr"]).keys == []


def test_what_is_left_out_by_pattern_is_left_out_beside_what_follows_the_seed():
    runs = runs_of(range(4), gpu=list("wxyz"), lr=[1, 1, 2, 2], seed=[1, 2] * 2, out=["r-1", "r-2"] * 2)
    with pytest.warns(UserWarning, match="out only follows seed and makes no groups"):
        assert runs.over("seed", exclude="gpu").keys == ["config.lr"]


def with_paths():
    """Return two seeds of two models, each with an output directory that names both."""
    out = ["r/a/1", "r/a/2", "r/b/1", "r/b/2"]
    return runs_of([1.0, 2.0, 3.0, 4.0], model=list("aabb"), seed=[1, 2] * 2, out=out)


@pytest.mark.filterwarnings("ignore:out only follows seed")
def test_tables_and_pictures_have_the_groups_that_over_has():
    runs = with_paths()
    assert runs.over("seed").aggregate(STAT, "mean")["mean"].tolist() == [1.5, 3.5]
    assert runs.table(rows="model", value=STAT, over="seed").data["mean"].tolist() == [1.5, 3.5]
    assert runs.plot_sweep("model", STAT, over="seed").get_lines()[0].get_ydata().tolist() == [1.5, 3.5]


def test_keys_that_change_with_a_named_one_do_not_mix_its_settings():
    settings = {"model.name": list("ssll"), "model.units": [8, 8, 64, 64], "model.depth": [1, 1, 3, 3]}
    runs = runs_of([1.0, 2.0, 3.0, 4.0], **settings, seed=[1, 2] * 2)
    assert runs.table(rows="model.name", value=STAT, over="seed").data["mean"].to_dict() == {"l": 3.5, "s": 1.5}
    assert runs.over("seed").keys == ["config.model.name", "config.model.units", "config.model.depth"]
    runs["config.model.depth"] = [1, 2, 3, 3]
    with pytest.raises(InvalidKeyError, match=r"^model.depth varies too"):
        runs.table(rows="model.name", value=STAT, over="seed")


def test_settings_that_agree_in_six_digits_are_two_groups():
    runs = runs_of([1.0, 2.0, 3.0, 4.0], n=[1000000.0, 1000000.0, 1000001.0, 1000001.0], seed=[1, 2] * 2)
    assert runs.over("seed").aggregate(STAT, "mean")["mean"].tolist() == [1.5, 3.5]


def test_runs_of_a_group_keep_their_labels():
    runs = two_models(*range(6)).set_index(pd.Index(list("uvwxyz")))
    assert runs.over("seed").runs(1).index.tolist() == ["x", "y", "z"]


def test_only_the_groups_that_are_named_in_a_warning_are_looked_into():
    runs = runs_of([1.0] * 31, lr=[*range(15), *range(16)], seed=[1] * 15 + [2] * 16)
    with pytest.warns(UserWarning, match=r"lr=15 \(seed 1 missing\)$"):
        runs.over("seed").aggregate(STAT)
    with pytest.warns(UserWarning, match=r"lr=3 \(seed 2 missing\), ... \(14 in all\)$"):
        runs[:16].over("seed").aggregate(STAT)


def test_a_repeated_seed_is_told_with_the_runs():
    runs = runs_of([1.0, 2.0, 3.0], seed=[1, 1, 2]).assign(**{"info.logger.log_id": [7, 8, 9]})
    with pytest.warns(UserWarning, match="seed=1 occurs 2 times with all runs: runs 7, 8 all count"):
        runs.over("seed").aggregate(STAT)


def test_unequal_counts_are_told_with_what_is_missing():
    runs = runs_of(range(5), model=list("aaabb"), seed=[0, 1, 2, 0, 2])
    with pytest.warns(UserWarning, match=r"from 2 to 3 values of test.acc.last: model=b \(seed 1 missing\)"):
        runs.over("seed").aggregate(STAT)


def test_runs_without_the_metric_are_told_even_if_every_group_has_one():
    with pytest.warns(
        UserWarning, match=r"have 2 instead of 3 values of .*model=a \(seed 1 missing\), model=b \(seed 0 missing\)"
    ):
        two_models(1.0, None, 2.0, np.nan, 3.0, 4.0).over("seed").aggregate(STAT)


def test_columns_that_are_no_metrics_can_be_averaged():
    runs = two_models(*range(6)).assign(**{"info.duration": [1, 2, 3, 10, 20, 30]})
    assert runs.over("seed").aggregate("info.duration", "mean")["mean"].tolist() == [2.0, 20.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda runs: runs.over("sed"), "there is no key 'sed'; did you mean config.seed"),
        (lambda runs: runs.over("test.acc"), "'test.acc' is a metric, with a value per step"),
        (lambda runs: runs.over("seed").aggregate("test.acc.lst"), "there is no statistic 'lst' of test.acc"),
        (lambda runs: runs.over("seed").aggregate(STAT, "variance"), "there is no statistic 'variance' over runs"),
        (lambda runs: runs.over("seed").aggregate("model"), "'model' does not hold only numbers"),
        (lambda runs: runs.over("seed").best("test.acc"), "say whether a high or a low mean"),
        (lambda runs: runs.over("seed").best("test.acc", direction="max"), "one of its statistics: test.acc.last"),
        (
            lambda runs: runs.over("seed").best(STAT, direction="max", per="seed"),
            "'seed' does not distinguish the groups",
        ),
        (lambda runs: runs.over("seed").runs(2), "there is no group 2; there are 2, from 0"),
        (lambda runs: runs.over("seed").aggregate("test.acc", align="both"), "there is no alignment 'both'"),
    ],
)
def test_what_does_not_exist_is_answered_in_one_sentence(call, message):
    with pytest.raises(InvalidKeyError, match=message):
        call(two_models(*range(6)))


def curves_of(*curves, **config):
    """Return runs that log a loss at some steps, each curve a dict."""
    columns = {f"config.{name}": values for name, values in config.items()}
    losses = pd.array([list(curve.values()) for curve in curves], dtype="metric")
    steps = pd.array([list(curve) for curve in curves], dtype="metric")
    return DataFrame({**columns, "val.loss": losses, "val.step": steps})


UNEQUAL = ({0: 1.0, 1: 2.0, 2: 3.0}, {0: 3.0, 2: 5.0, 4: 9.0})


def test_curves_of_unequal_length_are_averaged_where_they_are():
    found = curves_of(*UNEQUAL, seed=[0, 1]).over("seed").aggregate("val.loss", ["mean", "std"])
    assert found["step"].tolist() == [0, 1, 2, 4]
    assert found["mean"].tolist() == [2.0, 2.0, 4.0, 9.0]
    assert found["count"].tolist() == [2, 1, 2, 1]
    assert found["std"].isna().tolist() == [False, True, False, True]


def test_interpolated_curves_have_values_in_between_but_not_beyond():
    found = curves_of(*UNEQUAL, seed=[0, 1]).over("seed").aggregate("val.loss", "mean", align="interpolate")
    assert found["mean"].tolist() == [2.0, 3.0, 4.0, 9.0]
    assert found["count"].tolist() == [2, 2, 2, 1]


def test_interpolation_bridges_what_was_not_logged_and_never_what_was_logged_as_nan():
    gap = {0: 1.0, 2: np.nan, 4: 3.0, 8: 5.0}
    full = dict.fromkeys(range(9), 0.0)
    runs = curves_of(gap, full, seed=[0, 1])
    found = runs.over("seed").aggregate("val.loss", ["mean", "count"], align="interpolate")
    assert found["count"].tolist() == [2, 1, 1, 1, 2, 2, 2, 2, 2]
    assert found["mean"].tolist() == [0.5, 0.0, 0.0, 0.0, 1.5, 1.75, 2.0, 2.25, 2.5]


def test_between_infinite_values_there_are_infinite_ones():
    runs = curves_of({0: 1.0, 2: np.inf, 4: 3.0}, dict.fromkeys(range(5), 0.0), seed=[0, 1])
    found = runs.over("seed").aggregate("val.loss", "mean", align="interpolate")
    assert found["mean"].tolist() == [0.5, np.inf, np.inf, np.inf, 1.5]


def test_curves_can_be_cut_to_the_steps_that_all_have():
    found = curves_of(*UNEQUAL, seed=[0, 1]).over("seed").aggregate("val.loss", "mean", align="intersect")
    assert found[["step", "mean", "count"]].to_numpy().tolist() == [[0, 2.0, 2], [2, 4.0, 2]]


def test_curves_without_a_step_in_common_are_told():
    with pytest.warns(UserWarning, match="the curves of val.loss have no step in common: all runs"):
        found = curves_of({0: 1.0}, {1: 1.0}, seed=[0, 1]).over("seed").aggregate("val.loss", align="intersect")
    assert found.empty


def test_nan_in_a_curve_is_left_out_of_the_mean():
    found = curves_of({0: 1.0, 1: np.nan}, {0: 3.0, 1: 4.0}, seed=[0, 1]).over("seed").aggregate("val.loss", "mean")
    assert found[["mean", "count"]].to_numpy().tolist() == [[2.0, 2], [4.0, 1]]


def test_a_resumed_run_counts_once_per_step():
    runs = curves_of({0: 1.0, 1: 3.0}, {0: 1.0, 1: 5.0}, seed=[0, 1])
    runs["val.step"] = pd.array([[0, 1], [0, 0]], dtype="metric")
    assert runs.over("seed").aggregate("val.loss", "mean")["mean"].tolist() == [3.0, 3.0]


@settings(max_examples=30)
@given(st.lists(st.dictionaries(st.integers(0, 9), st.floats(-10, 10), max_size=6), min_size=1, max_size=5))
@pytest.mark.filterwarnings("ignore:groups have")
def test_mean_curves_are_those_of_pandas(curves):
    curves = [dict(sorted(curve.items())) for curve in curves]
    found = (
        curves_of(*curves, seed=list(range(len(curves)))).over("seed").aggregate("val.loss", ["mean", "std", "count"])
    )
    table = pd.DataFrame(curves, columns=sorted(set().union(*curves)), dtype=float)
    by_hand = pd.DataFrame({"mean": table.mean(), "std": table.std(), "count": table.count()})
    np.testing.assert_allclose(found.set_index("step")[["mean", "std", "count"]], by_hand, atol=1e-9)


def select():
    val, test = [0.9, 0.7, 0.6, 0.7, 0.2, 0.3], [0.1, 0.2, 0.5, 0.6, 0.7, 0.8]
    config = {"config.model": list("aaaabb"), "config.lr": [1, 1, 2, 2, 1, 1], "config.seed": [0, 1] * 3}
    metrics = {"val.acc": pd.array([[v] for v in val], "metric"), "test.acc": pd.array([[v] for v in test], "metric")}
    return DataFrame({**config, **metrics}).over("seed")


def test_the_best_setting_is_chosen_by_one_metric_and_told_by_another():
    found = select().best("val.acc.max", per="model", report="test.acc.last")
    assert found[["config.model", "config.lr"]].to_numpy().tolist() == [["a", 1], ["b", 1]]
    assert found["val.acc.max.mean"].tolist() == pytest.approx([0.8, 0.25])
    assert found["test.acc.last.mean"].tolist() == pytest.approx([0.15, 0.75])
    assert found["test.acc.last.std"].tolist() == pytest.approx(
        [np.std([0.1, 0.2], ddof=1), np.std([0.7, 0.8], ddof=1)]
    )


def test_the_direction_comes_from_the_statistic_or_is_given():
    assert select().best("val.acc.min")["val.acc.min.mean"].tolist() == pytest.approx([0.25])
    assert select().best("val.acc.last", direction="max")["val.acc.last.mean"].tolist() == pytest.approx([0.8])


def test_the_runs_behind_a_row_are_one_call_away():
    groups = select()
    (group,) = groups.best("val.acc.max").index
    assert groups.runs(group)[["config.model", "config.seed"]].to_numpy().tolist() == [["a", 0], ["a", 1]]


def test_best_of_a_noisy_curve_is_told_to_be_too_good():
    with pytest.warns(UserWarning, match=r"test\.acc\.max is the best value of a noisy curve"):
        two_models(*range(6)).over("seed").best("test.acc.max")
    with pytest.warns(UserWarning, match=r"test\.acc\.max is the best value of a noisy curve"):
        two_models(*range(6)).compare("test.acc.max", "model", "seed")


def test_ties_are_stated():
    runs = runs_of([1.0, 3.0, 2.0, 2.0, 0.0, 0.0], lr=[1, 1, 2, 2, 3, 3], seed=[0, 1] * 3)
    with pytest.warns(UserWarning, match="the first of several settings .*: lr=1, lr=2"):
        found = runs.over("seed").best(STAT, direction="max")
    assert found[["config.lr", "ties"]].to_numpy().tolist() == [[1, 1]]


def test_missing_runs_are_stated():
    with pytest.warns(UserWarning, match="3 runs lack a value and are left out:"):
        found = two_models(9.0, None, None, 1.0, np.nan, 3.0).over("seed").best(STAT, direction="max")
    assert found[["config.model", "missing"]].to_numpy().tolist() == [["a", 2]]


def test_a_best_setting_that_has_fewer_runs_than_others_is_stated():
    runs = runs_of([0.5, 0.6, 0.7, 0.9], lr=[1, 1, 1, 2], seed=[0, 1, 2, 0])
    with pytest.warns(UserWarning, match="settings have from 1 to 3 runs: column 'missing' tells"):
        found = runs.over("seed").best(STAT, direction="max")
    assert found[["config.lr", "missing"]].to_numpy().tolist() == [[2, 2]]


def test_a_setting_without_any_value_is_not_the_best():
    with pytest.warns(UserWarning, match="and 1 setting has none at all"):
        found = two_models(None, None, None, 1.0, 2.0, 3.0).over("seed").best(STAT, direction="max", per="model")
    assert found["config.model"].tolist() == ["b"]


def test_a_warning_points_at_the_line_of_the_user():
    with pytest.warns(UserWarning, match="no two runs") as caught:
        runs_of(range(2), lr=[0.1, 1.0], seed=[0, 1]).over("seed")
    assert caught[0].filename == __file__
