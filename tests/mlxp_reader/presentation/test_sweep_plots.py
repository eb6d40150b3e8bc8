"""Pictures of sweeps: the means along a key, in a heat map, and side by side."""

import numpy as np
import pandas as pd
import pytest

matplotlib = pytest.importorskip("matplotlib", reason="without matplotlib, NO picture is tested")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402 - after the choice of the backend

from mlxp.errors import InvalidKeyError  # noqa: E402
from mlxp_reader import DataFrame  # noqa: E402

STAT = "test.acc.last"


@pytest.fixture(autouse=True)
def _no_figures_left():
    yield
    plt.close("all")


def sweep():
    """Return two seeds of each of three learning rates and two models."""
    settings = [(lr, model, seed) for lr in (1e-3, 1e-2, 1.0) for model in ("mlp", "vit") for seed in range(2)]
    lr, model, seed = zip(*settings, strict=True)
    scores = pd.array([[float(score)] for score in range(12)], dtype="metric")
    return DataFrame({"config.lr": lr, "config.model": model, "config.seed": seed, "test.acc": scores})


def labels(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_a_line_per_hue_goes_through_the_means():
    axes = sweep().plot_sweep("lr", STAT, over="seed", hue="model", band=None)
    assert [line.get_ydata().tolist() for line in axes.get_lines()] == [[0.5, 4.5, 8.5], [2.5, 6.5, 10.5]]
    assert (axes.get_xscale(), axes.get_xlabel(), axes.get_ylabel()) == ("log", "lr", STAT)
    assert labels(axes) == ["mlp (n=2)", "vit (n=2)"]


def test_error_bars_are_as_long_as_the_spread():
    axes = sweep().plot_sweep("lr", STAT, over=["seed", "model"])
    low, high = np.array(axes.collections[0].get_segments()[0])[:, 1]
    values = np.arange(4.0)
    assert (low, high) == pytest.approx((values.mean() - values.std(ddof=1), values.mean() + values.std(ddof=1)))


def test_values_that_are_no_numbers_stand_in_a_row():
    axes = sweep().plot_sweep("model", STAT, over=["seed", "lr"])
    assert [text.get_text() for text in axes.get_xticklabels()] == ["mlp", "vit"]


def test_two_keys_make_a_heat_map_with_a_dash_where_there_is_no_run():
    runs = sweep()
    axes = (
        runs[(runs["config.lr"] < 1) | (runs["config.model"] == "vit")]
        .iloc[1:]
        .plot_sweep(["lr", "model"], STAT, over="seed")
    )
    assert [text.get_text() for text in axes.texts] == ["1†", "2.5", "4.5", "6.5", "–", "10.5"]
    np.testing.assert_array_equal(axes.images[0].get_array().filled(np.nan), [[1.0, 2.5], [4.5, 6.5], [np.nan, 10.5]])
    assert axes.get_title("right") == "† fewer than 2 runs"


def test_a_picture_goes_into_given_axes():
    _, cells = plt.subplots(1, 2)
    assert sweep().plot_sweep("lr", STAT, over="seed", hue="model", ax=cells[0]) is cells[0]
    assert sweep().plot_parallel(STAT, over="seed", ax=cells[1]) is cells[1]


def test_a_mean_of_different_settings_is_refused():
    with pytest.raises(InvalidKeyError, match="model varies too, so a mean would mix different settings"):
        sweep().plot_sweep("lr", STAT, over="seed")


@pytest.mark.parametrize(
    ("keys", "options"),
    [
        (["lr", "model", "seed"], {}),
        ([], {}),
        (["lr", "model"], {"hue": "seed"}),
        (["lr", "lr"], {}),
        ("lr", {"band": "sd"}),
    ],
)
def test_what_cannot_be_drawn_is_refused(keys, options):
    with pytest.raises(InvalidKeyError, match=r"one key, or two without hue|band is one of"):
        sweep().plot_sweep(keys, STAT, **options)


def test_parallel_coordinates_have_an_axis_per_key_and_a_line_per_setting():
    axes = sweep().plot_parallel(STAT, over="seed")
    assert [text.get_text() for text in axes.get_xticklabels()] == ["lr", "model", STAT]
    lines = [line.get_ydata() for line in axes.get_lines() if len(line.get_xdata()) == 3]
    np.testing.assert_allclose(lines[0], [0.0, 0.0, 0.0])
    np.testing.assert_allclose(lines[3], [1 / 3, 1.0, 0.6])
    np.testing.assert_allclose(lines[-1], [1.0, 1.0, 1.0])


def test_no_runs_and_missing_metrics_make_pictures_all_the_same():
    runs, empty = sweep(), sweep().iloc[:0]
    runs["test.acc"] = pd.array([np.nan] * 12, dtype="metric")
    for frame in (runs, empty):
        lines = frame.plot_sweep("lr", STAT, over="seed", hue="model").get_lines()
        assert all(np.isnan(line.get_ydata()).all() for line in lines)
        assert [text.get_text() for text in frame.plot_sweep(["lr", "model"], STAT, over="seed").texts] == [
            "nothing was logged"
        ]
        assert [text.get_text() for text in frame.plot_parallel(STAT, over="seed").texts][-1] == "nothing was logged"


@pytest.mark.parametrize(("length", "angle"), [(1, 0.0), (20, 30.0)])
def test_long_values_along_an_axis_stand_at_an_angle(length, angle):
    runs = DataFrame(
        {"config.model": [letter * length for letter in "abcde"], "config.lr": range(5), "score": range(5)}
    )
    for axes in (runs.plot_sweep("model", "score", exclude="lr"), runs.plot_sweep(["lr", "model"], "score")):
        assert {label.get_rotation() for label in axes.get_xticklabels()} == {angle}


def test_numbers_that_are_close_have_no_labels_each():
    runs = DataFrame({"config.lr": [1, 2, 3], "score": [0.0, 0.99, 1.0]})
    texts = [text.get_text() for text in runs.plot_parallel("score").texts]
    assert texts == ["1", "2", "3", "0", "0.25", "0.5", "0.75", "1"]


def test_values_are_shown_as_they_are_though_they_look_like_mathematics():
    runs = DataFrame({"config.name": [r"$\a{$", "b"], "config.$x": [1, 2], "score": [1.0, 2.0]})
    pictures = [runs.plot_sweep("name", "score", hue="$x"), runs.plot_sweep(["$x", "name"], "score")]
    for axes in (*pictures, runs.plot_parallel("score")):
        axes.figure.canvas.draw()
    assert [text.get_text() for text in pictures[0].get_xticklabels()] == [r"\$\a{\$", "b"]


def test_keys_that_only_follow_the_seed_have_no_axis_and_are_told():
    runs = sweep()
    runs["config.out"] = [f"run-{seed}" for seed in runs["config.seed"]]
    with pytest.warns(UserWarning, match="out only follows seed"):
        axes = runs.plot_parallel(STAT, over="seed")
    assert [text.get_text() for text in axes.get_xticklabels()] == ["lr", "model", STAT]


def dropouts(*values):
    """Return two seeds of each value of a key, whose scores are twice its place, and one more."""
    column = pd.array([value for value in values for _ in range(2)], dtype="mixed")
    count = len(values)
    scores = [float(at) for at in range(2 * count)]
    return DataFrame({"config.dropout": column, "config.seed": [1, 2] * count, "score": scores})


def ticks(axes):
    return dict(zip([text.get_text() for text in axes.get_xticklabels()], axes.get_xticks(), strict=True))


def test_none_and_nan_have_a_place_beside_the_numbers_and_no_line_goes_there():
    axes = dropouts(0.1, None, 0.5, np.nan).plot_sweep("dropout", "score", over="seed", band=None)
    joined, others = axes.get_lines()
    assert (joined.get_xdata().tolist(), joined.get_ydata().tolist()) == ([0.1, 0.5], [0.5, 4.5])
    assert (others.get_linestyle(), others.get_ydata().tolist()) == ("None", [2.5, 6.5])
    assert list(ticks(axes)) == ["0.1", "0.5", "null", "nan"]
    assert others.get_xdata().tolist() == [ticks(axes)["null"], ticks(axes)["nan"]]


def test_zero_stands_beside_a_logarithmic_axis():
    axes = dropouts(0, 1e-5, 1e-3).plot_sweep("dropout", "score", over="seed", band=None)
    assert axes.get_xscale() == "log"
    assert list(ticks(axes)) == ["0", "1e-05", "0.001"]
    assert 0 < ticks(axes)["0"] < 1e-5
    assert dropouts(0, 1e-5, 1e-3).plot_sweep("dropout", "score", over="seed", logx=False).get_xscale() == "linear"


def test_the_axis_is_logarithmic_on_request_and_refuses_what_has_no_place():
    assert dropouts(2, 4).plot_sweep("dropout", "score", over="seed", logx=True).get_xscale() == "log"
    with pytest.raises(InvalidKeyError, match="a logarithmic axis cannot show the values of dropout"):
        dropouts(-1, 4).plot_sweep("dropout", "score", over="seed", logx=True)


def test_categories_are_not_joined_by_a_line():
    axes = sweep().plot_sweep("model", STAT, over=["seed", "lr"], band=None)
    assert [line.get_linestyle() for line in axes.get_lines()] == ["None"]


@pytest.mark.parametrize("key", ["lr", "model"])
def test_error_bars_of_several_hues_stand_beside_each_other(key):
    other = "model" if key == "lr" else "lr"
    axes = sweep().plot_sweep(key, STAT, over="seed", hue=other)
    axes.figure.canvas.draw()
    bars = [bar.get_transform().transform(bar.get_segments()[0])[0, 0] for bar in axes.collections]
    assert len({round(place) for place in bars}) == len(bars) > 1


@pytest.mark.parametrize("values", [("a", "b"), (0.1, 0.5)])
def test_a_strip_has_a_dot_for_each_run(values):
    axes = dropouts(*values).plot_sweep("dropout", "score", over="seed", kind="strip")
    means, dots = axes.get_lines()
    assert means.get_ydata().tolist() == [0.5, 2.5]
    assert sorted(dots.get_ydata().tolist()) == [0.0, 1.0, 2.0, 3.0]


def test_boxes_stand_in_a_row_and_have_the_median_in_them():
    axes = dropouts(0.001, 0.1, None).plot_sweep("dropout", "score", over="seed", kind="box")
    assert ticks(axes) == {"0.001": 0, "0.1": 1, "null": 2}
    assert len(axes.patches) == 3
    medians = [line.get_ydata().tolist() for line in axes.get_lines() if len(set(line.get_ydata())) == 1]
    assert [0.5, 0.5] in medians


def test_values_stand_in_the_order_that_is_wanted():
    axes = sweep().plot_sweep(
        "model", STAT, over=["seed", "lr"], order={"model": ["vit", "mlp"]}, labels={"vit": "ViT"}
    )
    assert ticks(axes) == {"ViT": 0, "mlp": 1}


def test_none_is_a_row_of_a_heat_map_and_a_place_in_parallel_coordinates():
    runs = dropouts(0.1, None, 0.5).assign(**{"config.model": list("ababab"), "config.seed": 1})
    assert [
        text.get_text() for text in runs.plot_sweep(["dropout", "model"], "score", over="seed").get_yticklabels()
    ] == ["0.1", "0.5", "null"]
    axes = runs.plot_parallel("score", over="seed")
    lines = [line.get_ydata() for line in axes.get_lines() if len(line.get_xdata()) == 3]
    assert len(lines) == 6
    assert np.isfinite(lines).all()
    assert {text.get_text() for text in axes.texts} >= {"0.1", "0.5", "null", "a", "b"}


def test_numbers_that_agree_in_six_digits_are_two_places_with_two_names():
    runs = dropouts(1000000.0, 1000001.0)
    axes = runs.plot_sweep("dropout", "score", over="seed", band=None)
    assert axes.get_lines()[0].get_ydata().tolist() == [0.5, 2.5]
    heat = runs.assign(**{"config.model": list("abab"), "config.seed": 1}).plot_sweep(
        ["dropout", "model"], "score", over="seed"
    )
    assert [text.get_text() for text in heat.get_yticklabels()] == ["1000000.0", "1000001.0"]


def test_an_infinite_mean_is_said_and_has_no_colour():
    runs = dropouts("a", "b").assign(score=[1.0, np.inf, 3.0, 4.0], **{"config.model": ["x", "x", "y", "y"]})
    axes = runs.plot_sweep(["dropout", "model"], "score", over="seed")
    assert [text.get_text() for text in axes.texts] == ["inf", "–", "–", "3.5"]


def test_what_stands_beside_a_scale_has_the_name_that_users_give_it():
    labels = {None: "off", "dropout": "Dropout"}
    axes = dropouts(0.1, None, 0.5).plot_sweep("dropout", "score", over="seed", labels=labels)
    assert (list(ticks(axes)), axes.get_xlabel()) == (["0.1", "0.5", "off"], "Dropout")


@pytest.mark.parametrize("kind", ["mean", "strip", "box"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_setting_without_a_mean_has_a_cross_at_the_edge(kind, bad):
    runs = dropouts(0.1, 0.5, 0.9).assign(score=[1.0, 2.0, bad, bad, 3.0, 4.0])
    axes = runs.plot_sweep("dropout", "score", over="seed", kind=kind, band=None)
    axes.figure.canvas.draw()
    (crosses,) = (drawn for drawn in axes.collections if isinstance(drawn, matplotlib.collections.PathCollection))
    assert crosses.get_offsets().tolist() == [[{"box": 1.0}.get(kind, 0.5), 0.97]]
    assert labels(axes)[-1] == "NaN, ∞ or nothing"


def test_settings_that_are_not_drawn_are_counted():
    runs = dropouts(0.1, 0.5, 0.9).assign(score=[1.0, 2.0, np.nan, np.nan, 3.0, 4.0])
    assert runs.plot_parallel("score", over="seed").get_title("right") == "1 setting without score: not drawn"
    assert dropouts(0.1, 0.5).plot_parallel("score", over="seed").get_title("right") == ""
