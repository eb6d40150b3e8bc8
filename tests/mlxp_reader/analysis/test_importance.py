"""Importance of keys: equal to Optuna's, and refused where it tells nothing."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from mlxp.errors import InvalidKeyError
from mlxp_reader import DataFrame

# What get_param_importances of Optuna 5.0 returns, with its PedAnovaImportanceEvaluator, for the runs of `searched`:
# lr as a logarithmic range, drop as a range, opt and depth as categories.
OPTUNA = [
    (0, 300, "max", {"lr": 0.899637327583, "drop": 0.058913895395, "depth": 0.026284642274, "opt": 0.015164134749}),
    (1, 120, "min", {"lr": 0.893231101175, "drop": 0.065538812673, "depth": 0.035124594898, "opt": 0.006105491254}),
    (2, 60, "max", {"lr": 0.722805783102, "drop": 0.114134982469, "depth": 0.082238396497, "opt": 0.080820837932}),
]


def searched(seed, count):
    rng = np.random.default_rng(seed)
    lr, drop = 10 ** rng.uniform(-5, 0, count), rng.uniform(0.1, 0.9, count)
    opt, depth = rng.choice(["adam", "sgd", "rms"], count), rng.integers(1, 9, count)
    noise = rng.normal(size=count) * 0.1
    score = -np.abs(np.log10(lr) + 3) + 0.3 * (opt == "adam") + 0.05 * depth - drop**2 + noise
    keys = {"config.lr": lr, "config.drop": drop, "config.opt": opt, "config.depth": depth}
    return DataFrame({**keys, "score": score})


@pytest.mark.filterwarnings("ignore:.* settings are few")
@pytest.mark.parametrize(("seed", "count", "best", "expected"), OPTUNA)
def test_shares_are_those_of_optuna(seed, count, best, expected):
    found = searched(seed, count).importance("score", best=best)
    assert dict(zip(found["key"], found["importance"], strict=True)) == pytest.approx(expected, abs=1e-9)
    assert found["importance"].is_monotonic_decreasing
    assert dict(zip(found["key"], found["kind"], strict=True)) == {
        "lr": "log range",
        "drop": "range",
        "opt": "categories",
        "depth": "categories",
    }


def test_seeds_of_a_setting_are_averaged_first():
    runs = searched(0, 300)
    noise = np.random.default_rng(1).normal(size=300)
    sides = ((1, noise), (2, -noise))
    pairs = [runs.assign(**{"config.seed": seed, "score": runs["score"] + more}) for seed, more in sides]
    twice = DataFrame(pd.concat(pairs, ignore_index=True))
    found = twice.importance("score", over="seed", best="max").set_index("key")["importance"]
    assert found.to_dict() == pytest.approx(OPTUNA[0][3], abs=1e-9)


def test_values_of_any_kind_are_categories():
    runs = searched(0, 300)
    mixed = [None if value > 0.6 else [1, 2] if value > 0.3 else value < 0.2 for value in runs["config.drop"]]
    found = runs.assign(**{"config.drop": pd.array(mixed, dtype="mixed")}).importance("score", best="max")
    assert found.set_index("key").loc["drop", "kind"] == "categories"


def change(runs, at, value):
    scores = runs["score"].to_numpy().copy()
    scores[at] = value
    return runs.assign(score=scores)


@pytest.mark.parametrize(
    ("runs", "options", "told"),
    [
        (searched(0, 49), {}, "49 settings are too few: importance needs at least 50"),
        (change(searched(0, 60), 3, math.nan), {}, "1 settings have no finite score"),
        (change(searched(0, 60), 3, math.inf), {}, "1 settings have no finite score"),
        (searched(0, 60).assign(score=1.0), {}, "score is the same in all settings"),
        (searched(0, 60), {"quantile": 1.0}, "quantile is the share of the best settings"),
        (searched(0, 60), {"keys": "drap"}, "did you mean config.drop"),
    ],
)
def test_what_tells_nothing_is_refused(runs, options, told):
    with pytest.raises(InvalidKeyError, match=told):
        runs.importance("score", best="max", **options)


def test_few_settings_are_a_warning():
    with pytest.warns(UserWarning, match="60 settings are few"):
        searched(0, 60).importance("score", best="max")


def test_picture_shows_the_shares_with_their_intervals():
    runs = searched(0, 300)
    axes = runs.plot_importance("score", best="max", labels={"lr": "learning rate"})
    found = runs.importance("score", best="max")
    assert [bar.get_width() for bar in axes.patches] == found["importance"].tolist()
    assert axes.get_yticklabels()[0].get_text() == "learning rate"
    plt.close("all")
