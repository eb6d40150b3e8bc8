"""Pictures of comparisons show what `compare` returns, and are like others in style and in what they refuse."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest

from mlxp.errors import InvalidKeyError
from mlxp_reader import DataFrame
from mlxp_reader.presentation.comparison_plots import critical_difference


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture
def runs():
    rng = np.random.default_rng(0)
    rows = [(model, task, seed) for model in "abc" for task in range(6) for seed in range(4)]
    model, task, seed = zip(*rows, strict=True)
    shifts = {"a": 0.0, "b": 0.5, "c": 1.0}
    scores = [shifts[one] + rng.normal() for one in model]
    return DataFrame({"config.model": model, "config.data": task, "config.seed": seed, "acc": scores})


def test_differences_are_those_of_the_comparison(runs):
    axes = runs.plot_compare("acc", "model", "seed", "data", best="max")
    found = runs.compare("acc", "model", "seed", "data", best="max")
    intervals = [list(line.get_xdata()) for line in axes.get_lines() if len(line.get_xdata()) == 2][:2]
    assert intervals == found[["low", "high"]].to_numpy().tolist()
    pairs = [f"{a} - {b}" for a, b in found[["a", "b"]].to_numpy()]
    assert [text.get_text() for text in axes.get_yticklabels()] == pairs
    assert axes.texts[0].get_text().startswith("p ")


def test_ratios_are_drawn_around_one(runs):
    runs["acc"] = np.exp(runs["acc"])
    axes = runs.plot_compare("acc", "model", "seed", "data", best="max", ratio=True)
    found = runs.compare("acc", "model", "seed", "data", best="max", ratio=True)
    assert [line.get_xdata()[0] for line in axes.get_lines() if line.get_marker() == "o"] == found["ratio"].tolist()
    assert axes.get_xlabel() == "ratio of acc"
    assert axes.get_yticklabels()[0].get_text() == "{a} / {b}".format(**found.iloc[0])


def test_profile_is_the_share_of_runs_that_are_at_least_as_good(runs):
    axes = runs.plot_compare("acc", "model", "seed", "data", best="max", kind="profile")
    line = axes.get_lines()[1]
    mine = runs[runs["config.model"] == "b"]
    at = len(line.get_xdata()) // 2
    bound, share = line.get_xdata()[at], line.get_ydata()[at]
    assert share == pytest.approx((mine["acc"] >= bound).groupby(mine["config.data"]).mean().mean())
    low = runs.plot_compare("acc", "model", "seed", "data", best="min", kind="profile").get_lines()[1]
    assert low.get_ydata()[at] == pytest.approx((mine["acc"] <= bound).groupby(mine["config.data"]).mean().mean())


def test_ranks_are_those_of_pandas_and_bars_join_what_is_not_separated(runs):
    axes = runs.plot_compare("acc", "model", "seed", "data", best="max", kind="rank", labels={"c": "ours"})
    means = runs.groupby(["config.data", "config.model"])["acc"].mean().unstack()
    ranks = means.rank(axis=1, ascending=False).mean()
    texts = {text.get_text() for text in axes.texts}
    assert {f"ours ({ranks['c']:.2f})", f"a ({ranks['a']:.2f})"} <= texts
    assert f"critical difference {critical_difference(3, 6):.2f} (6 tasks)" in texts


def test_critical_difference_is_that_of_the_tables():
    # Demšar 2006, table 5: q of 5 % is 2.343, 2.569 and 3.164 for 3, 4 and 10 methods.
    for levels, q in ((3, 2.343), (4, 2.569), (10, 3.164)):
        assert critical_difference(levels, 10) == pytest.approx(q * math.sqrt(levels * (levels + 1) / 60), abs=2e-3)


def test_level_with_one_run_has_no_interval():
    runs = DataFrame({"config.model": list("aab"), "config.seed": [1, 2, 1], "acc": [1.0, 1.1, 2.0]})
    axes = runs.plot_compare("acc", "model", over="seed", best="max")
    assert axes.texts[0].get_text() == "no test"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"kind": "box"}, "kind"),
        ({"kind": "rank", "tasks": ()}, "kind='rank' needs tasks="),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(runs, options, told):
    chosen = runs[runs["config.data"] == 1] if options.get("tasks") == () else runs
    with pytest.raises(InvalidKeyError, match=told):
        chosen.plot_compare("acc", "model", "seed", **{"tasks": "data", "best": "max", **options})
