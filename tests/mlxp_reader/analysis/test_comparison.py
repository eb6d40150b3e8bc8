"""Comparisons of levels: equal to scipy and statsmodels, and the right answer where these have none."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from mlxp.errors import InvalidKeyError
from mlxp_reader import DataFrame
from mlxp_reader.analysis.mean_tests import holm, needed_pairs, needed_runs, paired_t, welch_t, wilcoxon
from mlxp_reader.analysis.resampling import interquartile_mean, interval_of_iqm

LEFT = [0.900, 0.912, 0.921, 0.909, 0.898]
RIGHT = [0.911, 0.924, 0.931, 0.921, 0.909]
THREE_PAIRS = stats.ttest_rel([1.0, 1.0, 1.0], [2.0, 2.5, 2.25]).pvalue
FOUR_AND_TWO = stats.ttest_ind([1.0, 1.2, 1.1, 1.3], [2.0, 2.5], equal_var=False).pvalue
SAMPLES = st.lists(st.integers(-1000, 1000).map(lambda n: n / 8), min_size=3, max_size=12)


def frame(scores, tasks=None):
    """Return runs from scores by level, or by (level, task)."""
    rows = [
        {"config.model": key[0] if tasks else key, "config.seed": seed, "score": float(score)}
        | ({"config.data": key[1]} if tasks else {})
        for key, values in scores.items()
        for seed, score in enumerate(values)
    ]
    return DataFrame(pd.DataFrame(rows))


def compared(scores, **options):
    return frame(scores).compare("score", **{"between": "model", "paired": "seed", "best": "max", **options})


def test_seeds_of_a_pair_share_their_luck():
    row = compared({"a": LEFT, "b": RIGHT}).iloc[0]
    assert (row["a"], row["b"], row["test"], row["wins"], row["note"]) == ("b", "a", "paired t", "5/5", "")
    assert row[["difference", "low", "high"]].tolist() == pytest.approx([0.0112, 0.0101611, 0.0122389], abs=1e-7)
    assert row["p"] == pytest.approx(stats.ttest_rel(RIGHT, LEFT).pvalue)
    assert row["p_better"] == pytest.approx(0.8)
    assert row["effect"] == pytest.approx(1.2088, abs=1e-4)
    unpaired = compared({"a": LEFT, "b": RIGHT}, paired=(), over="seed").iloc[0]
    assert (unpaired["test"], unpaired["n_pairs"], unpaired["wins"]) == ("Welch t", 0, "")
    assert unpaired["p"] == pytest.approx(stats.ttest_ind(RIGHT, LEFT, equal_var=False).pvalue)


@settings(max_examples=60, deadline=None)
@given(SAMPLES, SAMPLES)
def test_tests_equal_those_of_scipy(a, b):
    pairs = min(len(a), len(b))
    first, second = np.array(a), np.array(b)
    differences = first[:pairs] - second[:pairs]
    if len(set(differences.tolist())) > 1:
        oracle = stats.ttest_1samp(differences, 0)
        mine = paired_t(differences)
        assert mine.p == pytest.approx(oracle.pvalue, rel=1e-9)
        assert (mine.low, mine.high) == pytest.approx(tuple(oracle.confidence_interval()), rel=1e-9, abs=1e-12)
    if len(set(a)) > 1 and len(set(b)) > 1:
        oracle, mine = stats.ttest_ind(first, second, equal_var=False), welch_t(first, second)
        assert mine.p == pytest.approx(oracle.pvalue, rel=1e-9)
        assert (mine.low, mine.high) == pytest.approx(tuple(oracle.confidence_interval()), rel=1e-9, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(SAMPLES, SAMPLES)
def test_what_hangs_on_order_equals_what_scipy_says(a, b):
    row = compared({"a": a, "b": b}, against="b", paired=(), over="seed").iloc[0]
    assert row["p_better"] == pytest.approx(stats.mannwhitneyu(a, b).statistic / (len(a) * len(b)))
    assert interquartile_mean(np.array(a)) == pytest.approx(stats.trim_mean(a, 0.25) if len(a) > 3 else np.mean(a))
    pairs = min(len(a), len(b))
    differences = np.array(a[:pairs]) - np.array(b[:pairs])
    if pairs > 5 and differences.any():
        assert wilcoxon(differences).p == pytest.approx(stats.wilcoxon(differences).pvalue)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_holm_equals_that_of_statsmodels(p):
    assert holm(np.array(p)).tolist() == pytest.approx(multipletests(p, method="holm")[1].tolist())


def test_seeds_needed_reach_the_power_of_statsmodels():
    differences = np.array([0.0, 1.0, 2.0, 1.0, -1.0])
    needed = needed_pairs(differences, 0.05)
    power = TTestPower()
    size = differences.mean() / differences.std(ddof=1)
    assert power.power(size, needed.estimate, 0.05) >= 0.8 > power.power(size, needed.estimate - 1, 0.05)
    assert needed.low < needed.estimate < needed.high == math.inf  # 0 is not excluded
    assert needed_pairs(differences, 0.05, detect=1.0).high < math.inf
    assert needed_runs(np.array(RIGHT), np.array(LEFT), 0.05).estimate == 12


@pytest.mark.parametrize(
    ("scores", "told"),
    [
        ({"a": [1.0], "b": [2.0, 3.0, 4.0]}, ("none", math.nan, "one run has no spread")),
        ({"a": [0.91, 0.92], "b": [0.90, 0.91]}, ("sign", 0.5, "no spread")),
        ({"a": [0.91, 0.92, 0.93], "b": [0.90, 0.91, 0.92]}, ("sign", 0.25, "no spread")),
        ({"a": [1.0, 2.0, 3.0], "b": [1.0, 2.0, 3.0]}, ("sign", 1.0, "no spread")),
        (
            {"a": [1.0, 1.0, 1.0, math.nan], "b": [2.0, 2.5, 2.25, 2.0]},
            ("paired t", THREE_PAIRS, "left out without a finite value: 1 of b"),
        ),
        (
            {"a": [1.0, 1.0, 1.0, math.inf], "b": [2.0, 2.5, 2.25, 2.0]},
            ("paired t", THREE_PAIRS, "left out without a finite value: 1 of b"),
        ),
        ({"a": [math.nan] * 3, "b": [2.0, 2.5, 2.25]}, ("none", math.nan, "nothing to compare")),
        ({"a": [1.0, 1.2, 1.1, 1.3], "b": [2.0, 2.5]}, ("Welch t", FOUR_AND_TWO, "fewer than 3 common seeds")),
        ({"a": [1e6 + 0.1, 1e6 + 0.2, 1e6 + 0.5], "b": [1e6, 1e6 + 0.1, 1e6 + 0.4]}, ("sign", 0.25, "no spread")),
        ({"a": [1e300, 1e300, 1e300], "b": [2e300, 2.5e300, 2.25e300]}, ("paired t", THREE_PAIRS, "")),
        ({"a": [1e-300, 1e-300, 1e-300], "b": [2e-300, 2.5e-300, 2.25e-300]}, ("paired t", THREE_PAIRS, "")),
    ],
)
def test_what_has_no_ordinary_answer_has_the_right_one(scores, told):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        row = compared(scores).iloc[0]
    test, p, note = told
    assert row["test"] == test
    assert row["p"] == pytest.approx(p, rel=1e-9, nan_ok=True)
    assert note in row["note"]


def test_equal_levels_are_as_good_as_each_other():
    row = compared({"a": LEFT, "b": LEFT}).iloc[0]
    assert (row["p"], row["p_better"], row["wins"]) == (1.0, 0.5, "0/5")
    assert math.isnan(row["seeds_needed"])


def test_diverged_runs_can_count_as_the_worst():
    scores = {"a": [2.0, 3.0, 4.0, math.nan], "b": [1.0, 2.0, 3.0, 1.0]}
    assert compared(scores).iloc[0]["p_better"] == pytest.approx((2.5 + 3.5 + 4) / 12)
    worst = compared(scores, missing="worst").iloc[0]
    assert (worst["p_better"], worst["wins"]) == (pytest.approx((2.5 + 3.5 + 4) / 16), "3/4")
    assert compared(scores, missing="worst", best="min").iloc[0]["a"] == "b"


def test_family_depends_on_what_is_compared():
    scores = {"a": LEFT, "b": RIGHT, "c": [one - 0.05 for one in LEFT[::-1]]}
    best = compared(scores)
    assert best[["a", "b"]].to_numpy().tolist() == [["b", "a"], ["b", "c"]]
    assert best["note"].str.contains("selected as the best").all()
    every = compared(scores, against="all")
    assert len(every) == 3
    assert every["p_holm"].tolist() == pytest.approx(multipletests(every["p"], method="holm")[1].tolist())
    named = compared(scores, against="a")
    assert named[["a", "b"]].to_numpy().tolist() == [["b", "a"], ["c", "a"]]
    assert named["difference"].gt(0).tolist() == [True, False]
    with pytest.raises(InvalidKeyError, match="there is no level 'd'; there are a, b, c"):
        compared(scores, against="d")


def test_order_of_the_runs_does_not_matter():
    rng = np.random.default_rng(3)
    scores = {(model, task): rng.normal(size=6) for model in "ab" for task in "xyz"}
    runs = frame(scores, tasks=True)
    one = runs.compare("score", "model", "seed", "data", best="max")
    other = DataFrame(runs.sample(frac=1, random_state=1)).compare("score", "model", "seed", "data", best="max")
    pd.testing.assert_frame_equal(one, other)


def test_unit_of_several_tasks_is_the_task():
    rng = np.random.default_rng(0)
    scores = {(model, task): rng.normal(at, 0.3, 5) for model, at in (("a", 0), ("b", 0.2)) for task in range(8)}
    runs = frame(scores, tasks=True)
    row = runs.compare("score", "model", "seed", "data", best="max").iloc[0]
    means = {model: [scores[model, task].mean() for task in range(8)] for model in "ab"}
    assert row["test"] == "over tasks"
    assert row["p"] == pytest.approx(stats.ttest_rel(means["b"], means["a"]).pvalue)
    assert row["iqm_a"] == pytest.approx(interquartile_mean(np.concatenate([scores["b", task] for task in range(8)])))
    assert row["iqm_low_a"] < row["iqm_a"] < row["iqm_high_a"]
    assert row["rank_a"] + row["rank_b"] == 3
    exactly = runs.compare("score", "model", "seed", "data", best="max", test="stratified").iloc[0]
    differences = [scores["b", task] - scores["a", task] for task in range(8)]
    error = math.sqrt(sum(one.var(ddof=1) / 5 for one in differences)) / 8
    assert (exactly["test"], exactly["difference"]) == ("stratified", pytest.approx(row["difference"]))
    assert (exactly["high"] - exactly["low"]) / 2 == pytest.approx(error * 2.04, rel=0.03)  # t of about 30 freedoms
    each = runs.compare("score", "model", "seed", "data", best="max", per="task")
    assert each["task"].tolist() == list(range(8))
    assert each["p"].tolist() == pytest.approx(
        [stats.ttest_rel(scores["a", t], scores["b", t]).pvalue for t in range(8)]
    )


def test_metrics_of_one_run_are_averaged_first():
    runs = frame({"a": LEFT, "b": RIGHT}).assign(other=[0.5] * 5 + [0.6] * 5)
    row = runs.compare(["score", "other"], "model", "seed", best="max").iloc[0]
    assert row["difference"] == pytest.approx((0.0112 + 0.1) / 2)


def test_interval_of_the_interquartile_mean_is_that_of_sorting():
    rng = np.random.default_rng(5)
    tasks = [rng.normal(size=9), rng.normal(1, 2, size=9)]
    scaled = np.concatenate([task.mean() + (task - task.mean()) * math.sqrt(9 / 8) for task in tasks])
    drawn = np.random.default_rng(1).integers(0, 9, (20_000, 18)) + np.repeat([0, 9], 9)
    means = np.sort(scaled[drawn], axis=1)[:, 4:14].mean(axis=1)
    assert interval_of_iqm(tasks, 0.05) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.03)
    assert interval_of_iqm(tasks, 0.05) == interval_of_iqm(tasks, 0.05)
    assert all(map(math.isnan, interval_of_iqm([np.array([1.0])], 0.05)))
    assert interval_of_iqm([np.array([1.0, 1.0, 1.0])], 0.05) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"paired": ()}, "name what the runs of one level differ in"),
        ({"between": ()}, "name the key whose levels are compared"),
        ({"test": "anova"}, "test is 't' or 'wilcoxon' or 'stratified', not 'anova'"),
        ({"test": "stratified"}, "needs tasks="),
        ({"test": "wilcoxon"}, "5 pairs cannot reach 5 % by Wilcoxon's exact test, which takes 6"),
        ({"per": "task"}, "needs tasks="),
        ({"alpha": 5}, "alpha is between 0 and 1"),
        ({"ratio": True, "detect": 0}, "detect is a ratio that matters"),
        ({"best": "lowest"}, "best is 'max' or 'min'"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(options, told):
    with pytest.raises(InvalidKeyError, match=told):
        compared({"a": LEFT, "b": RIGHT}, **options)


@pytest.mark.parametrize("seeds", [{"paired": "seed"}, {"over": "seed"}])
def test_repeated_seeds_are_an_error_or_are_averaged(seeds):
    runs = frame({"a": LEFT, "b": RIGHT})
    twice = DataFrame(pd.concat([runs, runs.iloc[:1]], ignore_index=True))
    with pytest.raises(InvalidKeyError, match="seed=0 occurs 2 times with model=a: runs 0, 10"):
        twice.compare("score", "model", **seeds, best="max")
    averaged = twice.compare("score", "model", **seeds, best="max", repeats="mean")
    pd.testing.assert_frame_equal(averaged, runs.compare("score", "model", **seeds, best="max"))


def test_ratio_is_that_of_geometric_means_with_the_interval_of_logarithms():
    slow, fast = np.array([100.0, 110.0, 130.0]), np.array([50.0, 60.0, 61.0])
    row = compared({"a": slow, "b": fast}, best="min", ratio=True).iloc[0]
    oracle = stats.ttest_rel(np.log(fast), np.log(slow))
    assert (row["a"], row["test"], row["mean_b"]) == ("b", "paired t", pytest.approx(stats.gmean(slow)))
    assert row["ratio"] == pytest.approx(stats.gmean(fast) / stats.gmean(slow))
    assert row[["low", "high"]].tolist() == pytest.approx(np.exp(oracle.confidence_interval()).tolist())
    assert row["p"] == pytest.approx(oracle.pvalue)
    with pytest.raises(InvalidKeyError, match="a ratio is of values above 0, and there is 0"):
        compared({"a": [0.0, 1.0], "b": [1.0, 2.0]}, ratio=True)


def curves_of(*runs):
    """Return two levels with three seeds each, and for each run the accuracy after every 10 tokens."""
    steps = [list(range(1, len(run) + 1)) for run in runs]
    named = {
        "val.acc": runs,
        "val.epoch": steps,
        "val.tokens": [[10 * step for step in of_run] for of_run in steps],
    }
    metrics = {name: pd.array(values, dtype="metric") for name, values in named.items()}
    return DataFrame({"config.model": list("aaabbb"), "config.seed": [1, 2, 3] * 2, **metrics})


SPEEDS = curves_of([0.5, 0.9], [0.9], [0.5, 0.9], [0.5, 0.9], [0.1, 0.2, 0.3, 0.9, 0.9], [0.1, math.nan])


def test_run_that_never_gets_there_counts_with_the_last_step_and_ranks_last():
    row = SPEEDS.compare("val.acc.rises_to(0.9)", "model", "seed").iloc[0]
    assert (row["a"], row["n_b"], row["mean_a"], row["mean_b"]) == ("a", 3, pytest.approx(5 / 3), pytest.approx(11 / 3))
    assert row["note"] == "1 of b never got there, and count with the last step of all"
    assert (row["wins"], row["p_better"]) == ("2/3", pytest.approx(8 / 9))


def test_speeds_are_of_the_steps_that_are_named():
    row = SPEEDS.compare("val.acc.rises_to(0.9)", "model", "seed", ratio=True, step="tokens").iloc[0]
    assert row["mean_a"] == pytest.approx(stats.gmean([20, 10, 20]))
    assert row["mean_b"] == pytest.approx(stats.gmean([20, 40, 50]))
    with pytest.raises(InvalidKeyError, match=r"there is no metric 'val\.words'"):
        SPEEDS.compare("val.acc.rises_to(0.9)", "model", "seed", step="words")


def test_another_key_that_varies_is_refused():
    runs = frame({"a": LEFT, "b": RIGHT}).assign(**{"config.lr": [0.1, 0.1, 1.0, 1.0, 1.0] * 2})
    with pytest.raises(InvalidKeyError, match="lr varies too"):
        DataFrame(runs).compare("score", "model", "seed", best="max")


def test_direction_that_is_not_told_is_a_warning():
    with pytest.warns(UserWarning, match="high values of score are taken as good"):
        compared({"a": LEFT, "b": RIGHT}, best=None)


def test_compare_with_a_frame_is_that_of_pandas():
    runs = frame({"a": LEFT})
    other = runs.assign(score=1.0)
    pd.testing.assert_frame_equal(
        pd.DataFrame(runs.compare(other)), pd.DataFrame(runs).compare(pd.DataFrame(other)), check_frame_type=False
    )
