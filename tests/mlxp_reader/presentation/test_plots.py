"""Pictures of curves: what is drawn is what pandas and scipy say, and the labels say what it is."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

matplotlib = pytest.importorskip("matplotlib", reason="without matplotlib, NO picture is tested")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402 - after the choice of the backend
from scipy import stats  # noqa: E402

from mlxp.errors import InvalidKeyError  # noqa: E402
from mlxp_reader import DataFrame  # noqa: E402


@pytest.fixture(autouse=True)
def _no_figures_left():
    yield
    plt.close("all")


def runs_of(curves, **config):
    """Return runs with a loss at epochs 0, 1, ... and a time."""
    metrics = {
        "val.loss": curves,
        "val.epoch": [list(range(len(curve))) for curve in curves],
        "val.time": [[2.0 * at + seed for at in range(len(curve))] for seed, curve in enumerate(curves)],
    }
    columns = {name: pd.array(cells, dtype="metric") for name, cells in metrics.items()}
    return DataFrame({**{f"config.{name}": values for name, values in config.items()}, **columns})


def grid(n=20):
    """Return the runs of two models, two learning rates and three seeds; one of them ended early."""
    rng = np.random.default_rng(0)
    settings = [(model, lr, seed) for model in "ab" for lr in (0.1, 1.0) for seed in range(3)]
    curves = [list(rng.random(n - 5 * (setting == ("b", 1.0, 2)))) for setting in settings]
    model, lr, seed = zip(*settings, strict=True)
    return runs_of(curves, model=model, lr=lr, seed=seed)


UNEQUAL = runs_of([[3.0, 2.0, 1.0], [5.0, 4.0], [4.0, 6.0, 8.0]], seed=[1, 2, 3])
TABLE = np.array([[3.0, 2.0, 1.0], [5.0, 4.0, np.nan], [4.0, 6.0, 8.0]])


def drawn(axes):
    return axes.get_lines()[0].get_ydata()


def band_of(axes):
    """Return the lowest and the highest of the band at each place."""
    points = axes.collections[0].get_paths()[0].vertices
    by_place = pd.Series(points[:, 1]).groupby(points[:, 0])
    return by_place.min().to_numpy(), by_place.max().to_numpy()


def labels(axes):
    """Return the texts of the one legend, which stands in the figure if there are several panels."""
    (legend,) = axes.figure.legends or [axes.get_legend()]
    return [text.get_text() for text in legend.get_texts()]


def test_each_run_is_a_line():
    axes = UNEQUAL.plot_metric("val.loss")
    assert [line.get_ydata().tolist() for line in axes.get_lines()] == [[3.0, 2.0, 1.0], [5.0, 4.0], [4.0, 6.0, 8.0]]


def test_the_line_over_seeds_is_the_mean_of_what_is_there_and_its_label_says_how_many_runs():
    axes = UNEQUAL.plot_metric("val.loss", over="seed")
    np.testing.assert_allclose(drawn(axes), np.nanmean(TABLE, axis=0))
    assert labels(axes) == ["n=3→2"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "val.loss")


def texts(axes):
    return [(text.get_text(), text.xy[0]) for text in axes.texts]


def test_a_key_that_follows_the_hue_makes_no_lines_that_look_alike():
    runs = runs_of([[1.0, 2.0]] * 4, lr=[0.1, 0.1, 1.0, 1.0], name=["a", "a", "b", "b"], seed=[1, 2] * 2)
    assert len(runs.plot_metric("val.loss", hue="lr", over="seed").get_lines()) == 2


def test_runs_that_look_alike_share_a_label():
    axes = grid().plot_metric("val.loss", hue="model", style="lr")
    assert labels(axes) == ["model", "a", "b", "lr", "0.1", "1"]


@pytest.mark.parametrize("name", ["loss", "val.los", ""])
def test_a_metric_that_does_not_exist_is_answered_in_one_sentence(name):
    with pytest.raises(InvalidKeyError, match=f"there is no metric '{name}'; "):
        UNEQUAL.plot_metric(name)
    with pytest.raises(InvalidKeyError, match=f"there is no metric '{name}'; "):
        UNEQUAL.history(name)


def test_places_where_runs_end_have_a_tick_and_say_how_many_go_on():
    runs = runs_of([[1.0] * 9, [2.0] * 9, [3.0] * 3, [4.0] * 6], seed=[1, 2, 3, 4])
    axes = runs.plot_metric("val.loss", over="seed")
    assert texts(axes) == [("n=4→3", 3), ("n=3→2", 6)]
    (line,) = axes.get_lines()
    assert line.get_xdata()[line.get_markevery()].tolist() == [3, 6]


def test_runs_that_end_close_to_one_another_are_told_once():
    runs = runs_of([[1.0] * 20, [2.0] * 19, [3.0] * 18], seed=[1, 2, 3])
    axes = runs.plot_metric("val.loss", over="seed", max_points=4)
    assert texts(axes) == [("n=3→1", 18)]
    assert labels(axes) == ["n=3→1"]


def test_runs_that_all_go_on_to_the_end_have_no_ticks():
    late = runs_of([[float("nan"), 1.0, 2.0], [1.0, 2.0, 3.0]], seed=[1, 2])
    axes = late.plot_metric("val.loss", over="seed")
    assert (axes.get_lines()[0].get_marker(), texts(axes)) == ("None", [])
    assert labels(axes) == ["n=1..2"]


def test_steps_that_are_whole_numbers_have_no_fractions_on_the_axis():
    axes = UNEQUAL.plot_metric("val.loss")
    assert [tick for tick in axes.get_xticks() if tick % 1] == []


@pytest.mark.parametrize(
    ("band", "low", "high"),
    [
        ("std", lambda t: t.mean() - t.std(ddof=1), lambda t: t.mean() + t.std(ddof=1)),
        ("sem", lambda t: t.mean() - stats.sem(t), lambda t: t.mean() + stats.sem(t)),
        (
            "ci95",
            *(lambda t, end=end: stats.t.interval(0.95, len(t) - 1, t.mean(), stats.sem(t))[end] for end in (0, 1)),
        ),
        ("min-max", np.min, np.max),
        ("iqr", lambda t: np.quantile(t, 0.25), lambda t: np.quantile(t, 0.75)),
    ],
)
def test_the_band_is_that_of_scipy(band, low, high):
    found = band_of(UNEQUAL.plot_metric("val.loss", over="seed", band=band))
    columns = [column[~np.isnan(column)] for column in TABLE.T]
    np.testing.assert_allclose(found, [[low(column) for column in columns], [high(column) for column in columns]])


def test_the_middle_of_quartiles_is_the_median():
    axes = UNEQUAL.plot_metric("val.loss", over="seed", band="iqr")
    np.testing.assert_allclose(drawn(axes), np.nanmedian(TABLE, axis=0))


def test_one_seed_has_a_line_without_a_band():
    axes = UNEQUAL.iloc[:1].plot_metric("val.loss", over="seed")
    assert drawn(axes).tolist() == [3.0, 2.0, 1.0]
    assert labels(axes) == ["n=1"]


def test_hues_have_colours_and_styles_dashes_and_the_labels_no_prefixes():
    axes = grid().plot_metric("val.loss", hue="lr", style="model", over="seed")
    lines = axes.get_lines()
    assert len({line.get_color() for line in lines}) == len({line.get_linestyle() for line in lines}) == 2
    assert labels(axes) == ["lr", "0.1 (n=3)", "1 (n=2..3)", "model", "a", "b"]


def test_columns_have_axes_of_their_own_on_the_same_scale():
    axes = grid().plot_metric("val.loss", hue="lr", col="model", over="seed")
    assert [axis.get_title() for axis in axes] == ["model=a", "model=b"]
    assert axes[0].get_ylim() == axes[1].get_ylim()
    assert labels(axes[0]) == ["0.1 (n=3)", "1 (n=2..3)"]
    assert [axis.get_legend() for axis in axes] == [None, None]


def test_a_picture_goes_into_the_cell_of_a_grid():
    _, cells = plt.subplots(1, 2)
    assert grid().plot_metric("val.loss", hue="lr", over=["seed", "model"], ax=cells[1]) is cells[1]
    assert not cells[0].get_lines()


def test_a_key_that_varies_but_is_not_drawn_is_told():
    with pytest.warns(UserWarning, match="model varies too, so several lines look alike"):
        grid().plot_metric("val.loss", hue="lr", over="seed")


def test_curves_can_be_drawn_against_another_metric_and_are_interpolated_then():
    runs = runs_of([[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]], seed=[0, 1])
    axes = runs.plot_metric("val.loss", x="time", over="seed", band=None)
    assert axes.get_lines()[0].get_xdata().tolist() == [0, 1, 2, 3, 4, 5]
    assert drawn(axes).tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert axes.get_xlabel() == "time"


def test_between_different_steps_the_mean_is_one_of_all_runs():
    curves = {"val.loss": [[0.0, 4.0, 8.0], [10.0, 14.0]], "val.step": [[0, 2, 4], [1, 3]]}
    runs = DataFrame({"config.seed": [1, 2], **{name: pd.array(cells, "metric") for name, cells in curves.items()}})
    axes = runs.plot_metric("val.loss", over="seed")
    assert drawn(axes).tolist() == [0.0, 6.0, 8.0, 10.0, 8.0]
    assert drawn(runs.plot_metric("val.loss", over="seed", align="union")).tolist() == [0.0, 10.0, 4.0, 14.0, 8.0]


def test_smoothing_is_the_weighted_mean_of_pandas():
    axes = UNEQUAL.iloc[:1].plot_metric("val.loss", smooth=0.6)
    np.testing.assert_allclose(drawn(axes), pd.Series([3.0, 2.0, 1.0]).ewm(alpha=0.4).mean())


def test_axes_are_logarithmic_on_request():
    axes = UNEQUAL.plot_metric("val.loss", logx=True, logy=True)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


def test_of_many_points_few_are_drawn_but_the_extremes_stay():
    values = np.sin(np.arange(10_000))
    values[5_432], values[1_234] = 9.0, -9.0
    runs = runs_of([values.tolist(), values.tolist()], seed=[0, 1])
    axes = runs.plot_metric("val.loss", over="seed", band="min-max", max_points=500)
    assert len(drawn(axes)) <= 502
    assert (drawn(axes).min(), drawn(axes).max()) == (-9.0, 9.0)
    assert (min(band_of(axes)[0]), max(band_of(axes)[1])) == (-9.0, 9.0)
    assert axes.get_lines()[0].get_xdata()[[0, -1]].tolist() == [0, 9_999]


def test_nan_leaves_a_gap():
    axes = runs_of([[1.0, np.nan, 3.0]], seed=[0]).plot_metric("val.loss")
    np.testing.assert_array_equal(drawn(axes), [1.0, np.nan, 3.0])


def test_many_lines_are_labelled_by_colour():
    curves = [[float(at), 1.0] for at in range(20)]
    axes = runs_of(curves, lr=[0.1, 1.0] * 10).plot_metric("val.loss", hue="lr")
    assert labels(axes) == ["0.1", "1"]
    assert axes.get_legend().get_title().get_text() == "lr"


def test_of_very_many_shades_some_are_labelled():
    runs = runs_of([[float(at), 1.0] for at in range(40)], lr=[at / 8 for at in range(40)])
    legend = runs.plot_metric("val.loss", hue="lr").get_legend()
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["0", "1.125", "2.375", "3.625", "4.875"]
    assert legend.get_title().get_text() == "lr: 40 values"


def test_no_runs_make_a_picture_that_says_so():
    assert [text.get_text() for text in UNEQUAL.iloc[:0].plot_metric("val.loss").texts] == ["nothing was logged"]
    assert UNEQUAL.iloc[:0].plot_metric("val.loss", over="seed", col="seed").shape == (1,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"band": "sd"}, "band is one of 'std', .*, not 'sd'"),
        ({"smooth": 1.0}, "smooth is a number from 0"),
        ({"x": "wall"}, "there is no metric 'val.wall'"),
        ({"hue": "optimiser"}, "there is no key 'optimiser'"),
        ({"over": "seed", "align": "all"}, "there is no alignment 'all'"),
        ({"col": "seed", "ax": 1}, "leave out either col or ax"),
    ],
)
def test_an_unknown_choice_is_answered_in_one_sentence(options, message):
    with pytest.raises(InvalidKeyError, match=message):
        UNEQUAL.plot_metric("val.loss", **options)


def in_new_process(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_reading_imports_neither_scipy_nor_matplotlib(log_runs, tmp_path):
    log_runs(({"seed": 1}, {"train": [{"loss": 1.0}]}))
    code = f"""
import sys, mlxp
runs = mlxp.Reader({str(tmp_path / "logs")!r}).filter("train.loss.last < 2")
assert runs.history("train.loss").shape == (1, 3)
assert not {{"scipy", "matplotlib"}} & set(sys.modules), sorted(sys.modules)
"""
    assert in_new_process(code).stderr == ""


def test_without_matplotlib_the_error_says_what_to_install():
    code = """
import sys
sys.modules["matplotlib"] = sys.modules["matplotlib.pyplot"] = None
import pandas as pd
from mlxp_reader import DataFrame
DataFrame({"val.loss": pd.array([[1.0]], dtype="metric")}).plot_metric("val.loss")
"""
    assert "plots need matplotlib; install it with: pip install 'mlxp[plot]'" in in_new_process(code).stderr


def test_a_dollar_in_a_name_is_no_mathematics(log_runs):
    axis = log_runs(({}, {"train": [{"$a^": 1.0}]})).plot_metric("train.$a^")
    axis.figure.canvas.draw()
    assert axis.get_ylabel() == r"train.\$a^"


def test_values_are_shown_as_they_are_though_they_look_like_mathematics_or_private_names():
    runs = runs_of([[1.0, 2.0]] * 4, name=[r"$\a{$", "_x"] * 2, seed=[1, 1, 2, 2])
    axes = runs.plot_metric("val.loss", hue="name", over="seed")
    facets = runs.plot_metric("val.loss", col="name")
    axes.figure.canvas.draw()
    facets[0].figure.canvas.draw()
    assert labels(axes) == [r"\$\a{\$ (n=2)", " _x (n=2)"]
    assert facets[0].get_title() == r"name=\$\a{\$"


def test_columns_without_hues_have_a_colour_and_a_label_per_run():
    axes = runs_of([[1.0, 2.0]] * 4, model=list("aabb"), seed=[1, 2, 1, 2]).plot_metric("val.loss", col="model")
    assert labels(axes[0]) == ["run=0", "run=1", "run=2", "run=3"]
    assert len({tuple(line.get_color()) for axis in axes for line in axis.get_lines()}) == 4


def test_lines_that_end_alike_are_told_once_above_the_highest():
    curves = [[1.0, 1.0, 1.0], [1.0, 1.0], [5.0, 5.0, 5.0], [5.0, 5.0]]
    axes = runs_of(curves, lr=[1, 1, 2, 2], seed=[1, 2, 1, 2]).plot_metric("val.loss", hue="lr", over="seed")
    assert [(text.get_text(), text.xy) for text in axes.texts] == [("n=2→1", (2.0, 5.0))]


def test_a_picture_with_none_below_it_has_labels_at_its_axis():
    axes = runs_of([[1.0, 2.0]] * 4, model=list("abcd")).plot_metric("val.loss", col="model")
    assert [axis.get_xlabel() for axis in axes] == ["", "epoch", "epoch", "epoch"]
    assert [axis.get_ylabel() for axis in axes] == ["val.loss", "", "", "val.loss"]
    assert [axis.xaxis.get_major_ticks()[0].label1.get_visible() for axis in axes] == [False, True, True, True]


def test_a_value_without_others_beside_it_is_a_point():
    axes = runs_of([[1.0], [2.0, np.nan, 3.0, 4.0, np.nan]]).plot_metric("val.loss")
    points = [line.get_ydata().tolist() for line in axes.get_lines() if line.get_marker() == "."]
    assert points == [[1.0], [2.0]]


def test_more_values_than_there_are_dashes_are_not_labelled():
    runs = runs_of([[1.0, 2.0]] * 26, model=list("abcdefghijklmnopqrstuvwxyz"), lr=[0.1, 1.0] * 13)
    assert labels(runs.plot_metric("val.loss", hue="lr", style="model")) == ["lr", "0.1", "1", "model: 26 values"]


INF, NAN = float("inf"), float("nan")


def test_smoothing_leaves_what_is_not_finite_and_averages_the_rest():
    axes = runs_of([[3.0, 2.0, INF, 1.5, NAN, 1.1]], seed=[1]).plot_metric("val.loss", smooth=0.5)
    finite = pd.Series([3.0, 2.0, 1.5, 1.1]).ewm(alpha=0.5).mean().tolist()
    np.testing.assert_allclose(drawn(axes), [*finite[:2], INF, finite[2], NAN, finite[3]])


@pytest.mark.parametrize("smooth", [0.0, 0.5, 0.99])
def test_smoothing_never_changes_how_many_runs_there_are(smooth):
    runs = runs_of([[3.0, 2.0, INF, 1.5, 1.2, 1.1], [3.0, 2.5, 2.0, NAN, NAN, NAN]], seed=[1, 2])
    axes = runs.plot_metric("val.loss", over="seed", smooth=smooth)
    assert labels(axes) == ["n=2→1", "then NaN or ∞"]
    assert np.isfinite(drawn(axes)).tolist() == [True, True, False, True, True, True]
    assert texts(axes) == [("n=2→1", 3)]


def test_the_last_value_before_a_run_diverges_has_a_cross():
    axes = runs_of([[1.0, 2.0, INF], [1.0, NAN, 3.0], [1.0, 2.0, 3.0]], seed=[1, 2, 3]).plot_metric("val.loss")
    crosses = [
        (line.get_xdata().tolist(), line.get_ydata().tolist()) for line in axes.get_lines() if line.get_marker() == "x"
    ]
    assert crosses == [([1], [2.0]), ([0], [1.0])]


def test_thinning_does_not_draw_across_a_gap():
    values = np.arange(10_000.0)
    values[3_000:3_010] = NAN
    line = runs_of([values.tolist()], seed=[1]).plot_metric("val.loss", max_points=100).get_lines()[0]
    at = line.get_xdata().tolist()
    assert {2_999, 3_000, 3_009, 3_010} <= set(at)
    assert np.isnan(line.get_ydata()[at.index(3_000)])


def test_none_nan_and_what_is_missing_are_colours_and_dashes_of_their_own():
    values = pd.array([0.1, None, NAN, 0.5], dtype="mixed")
    runs = runs_of([[1.0, 2.0]] * 4).assign(**{"config.dropout": values})
    axes = runs.plot_metric("val.loss", hue="dropout", style="dropout")
    assert labels(axes) == ["0.1", "0.5", "null", "nan"]
    assert len({handle.get_linestyle() for handle in axes.get_legend().legend_handles}) == 4
    assert len({line.get_color() for line in axes.get_lines()}) == 4
    assert [axis.get_title() for axis in runs.plot_metric("val.loss", col="dropout")][2:] == [
        "dropout=null",
        "dropout=nan",
    ]


def test_settings_that_agree_in_six_digits_have_colours_and_panels_of_their_own():
    runs = runs_of([[1.0, 2.0], [2.0, 3.0]], n=[1000000.0, 1000001.0])
    axes = runs.plot_metric("val.loss", hue="n")
    assert labels(axes) == ["1000000.0", "1000001.0"]
    assert len({line.get_color() for line in axes.get_lines()}) == 2
    assert runs.plot_metric("val.loss", col="n").shape == (2,)


def test_several_keys_for_a_colour_are_their_combinations():
    axes = grid().plot_metric("val.loss", hue=["model", "lr"], over="seed")
    assert axes.get_legend().get_title().get_text() == "model, lr"
    assert labels(axes) == ["a, 0.1 (n=3)", "a, 1 (n=3)", "b, 0.1 (n=3)", "b, 1 (n=3→2)"]


def test_rows_and_columns_make_a_grid_with_titles_at_its_edges():
    axes = grid().plot_metric("val.loss", row="model", col="lr", over="seed")
    assert axes.shape == (2, 2)
    assert [[axis.get_title() for axis in row] for row in axes] == [["lr=0.1", "lr=1"], ["", ""]]
    assert [text.get_text() for axis in axes[:, 1] for text in axis.texts if "model" in text.get_text()] == [
        "model=a",
        "model=b",
    ]
    np.testing.assert_allclose(drawn(axes[0, 1]), drawn(grid().iloc[3:6].plot_metric("val.loss", over="seed")))


def test_order_palette_and_labels_are_those_that_users_choose():
    runs = runs_of([[1.0, 2.0]] * 3, model=["mlp", "resnet", "vit"])
    chosen = {"order": {"model": ["vit", "mlp"]}, "labels": {"vit": "ViT", "model": "Model", "val.loss": "Loss"}}
    axes = runs.plot_metric("val.loss", hue="model", palette=["red", "blue", "green"], **chosen)
    assert labels(axes) == ["ViT", "mlp", "resnet"]
    assert [line.get_color() for line in axes.get_lines()] == ["blue", "green", "red"]
    assert (axes.get_legend().get_title().get_text(), axes.get_ylabel()) == ("Model", "Loss")
    by_value = runs.plot_metric("val.loss", hue="model", palette={"mlp": "red", "resnet": "blue", "vit": "black"})
    assert [line.get_color() for line in by_value.get_lines()] == ["red", "blue", "black"]


def test_panels_without_colours_say_how_many_runs_there_are():
    assert labels(grid().plot_metric("val.loss", row="model", col="lr", over="seed")[0, 0]) == ["n=2..3"]
    assert labels(grid().iloc[:6].plot_metric("val.loss", col="lr", over="seed")[0]) == ["n=3"]


def test_titles_of_rows_stand_beside_the_panels():
    axes = grid().plot_metric("val.loss", row="model", col="lr", over="seed", width="column")
    axes[0, 0].figure.canvas.draw()
    title = next(text for text in axes[0, 1].texts if text.get_text() == "model=a")
    assert title.get_window_extent().x0 >= axes[0, 1].get_window_extent().x1
    assert title.get_window_extent().x1 <= axes[0, 1].figure.bbox.x1


def test_a_dozen_models_have_a_dozen_colours():
    runs = runs_of([[1.0, 2.0]] * 12, model=list("abcdefghijkl"))
    assert len({line.get_color() for line in runs.plot_metric("val.loss", hue="model").get_lines()}) == 12


def test_the_swatches_of_the_legend_have_no_ticks():
    axes = UNEQUAL.plot_metric("val.loss", over="seed")
    assert [handle.get_marker() for handle in axes.get_legend().legend_handles] == ["None"]


def test_texts_of_ends_that_are_close_stand_above_each_other():
    curves = [[1.0] * 20, [1.0] * 12, [1.02] * 20, [1.02] * 13]
    axes = runs_of(curves, lr=[1, 1, 2, 2], seed=[1, 2] * 2).plot_metric("val.loss", hue="lr", over="seed")
    axes.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 2
    assert not boxes[0].overlaps(boxes[1])


@pytest.mark.parametrize(("width", "wide"), [("column", 3.35), ("page", 6.9), (5, 5.0)])
def test_a_figure_for_a_paper_has_its_width_and_a_legend_that_leaves_room(width, wide):
    axes = grid().plot_metric("val.loss", hue="lr", col="model", over="seed", width=width)
    figure = axes[0].figure
    figure.canvas.draw()
    assert figure.get_figwidth() == pytest.approx(wide)
    legend = figure.legends[0].get_window_extent()
    assert not any(legend.overlaps(axis.get_tightbbox()) for axis in axes)
    assert all(axis.get_position().width * wide > 1.0 for axis in axes)
    assert axes[0].xaxis.label.get_fontsize() == 8


def test_the_legend_of_one_panel_stands_beside_it():
    axes = grid().plot_metric("val.loss", hue="lr", style="model", over="seed")
    axes.figure.canvas.draw()
    assert axes.get_legend().get_window_extent().x0 >= axes.get_window_extent().x1


def test_letters_stay_letters_in_files_of_vectors(tmp_path):
    figure = UNEQUAL.plot_metric("val.loss", over="seed").figure
    figure.savefig(tmp_path / "f.pdf")
    figure.savefig(tmp_path / "f.svg")
    assert b"/Type3" not in (tmp_path / "f.pdf").read_bytes()
    assert "val.loss</text>" in (tmp_path / "f.svg").read_text(encoding="utf-8")


def two_files(steps):
    """Return a run that logs an accuracy per epoch, and a time per step in another file."""
    logs = {"val.acc": [0.5, 0.6, 0.7], "val.epoch": [0, 1, 2], "train.time": [float(at) for at in range(6)]}
    return DataFrame({name: pd.array([values], dtype="metric") for name, values in {**logs, **steps}.items()})


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ({}, "val counts by epoch and train counts by records"),
        ({"train.iteration": [0, 1, 2, 3, 4, 5]}, "val counts by epoch and train counts by iteration"),
        ({"train.epoch": [0, 0, 1, 1, 2, 2]}, "train has several records for one epoch of val"),
    ],
)
def test_a_metric_of_another_file_is_no_axis_if_records_do_not_belong_together(steps, why):
    with pytest.raises(InvalidKeyError, match=f"x='train.time' comes from another file than val.acc, .*: {why};"):
        two_files(steps).plot_metric("val.acc", x="train.time")


def test_a_metric_of_another_file_is_an_axis_by_a_step_that_both_have():
    axes = two_files({"train.epoch": [5, 4, 3, 2, 1, 0]}).plot_metric("val.acc", x="train.time")
    assert axes.get_lines()[0].get_xdata().tolist() == [3.0, 4.0, 5.0]
    assert drawn(axes).tolist() == [0.7, 0.6, 0.5]


def test_against_another_metric_what_was_logged_as_nan_is_a_gap_and_what_was_not_logged_is_none(log_runs):
    records = [{"time": 0.0, "acc": 0.5}, {"time": 1.0}, {"time": 2.0, "acc": NAN}, {"time": 3.0, "acc": 0.7}]
    axes = log_runs(({}, {"val": records})).plot_metric("val.acc", x="time")
    assert axes.get_lines()[0].get_xdata().tolist() == [0.0, 2.0, 3.0]
    np.testing.assert_array_equal(drawn(axes), [0.5, NAN, 0.7])


def test_a_metric_with_one_value_per_run_is_no_curve():
    runs = runs_of([[0.5], [0.6], [0.7]], lr=[0.1, 0.2, 0.3])
    with pytest.raises(
        InvalidKeyError, match=r"has one value per run, which is not a curve: plot_sweep\('lr', 'val.loss.last'\)"
    ):
        runs.plot_metric("val.loss")


def test_long_texts_are_cut_and_stay_apart():
    prompts = ["You are helpful. " * 6000 + end for end in "ab"]
    runs = runs_of([[1.0, 2.0], [2.0, 3.0]], prompt=prompts)
    for axes in (runs.plot_metric("val.loss", hue="prompt"), runs.plot_metric("val.loss", col="prompt")[0]):
        assert len(set(labels(axes))) == 2
        assert max(map(len, [*labels(axes), axes.get_title()])) < 50


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": "colum"}, "width is 'column', 'page' or a number of inches, not 'colum'"),
        ({"order": ["b", "a"]}, "order names the values of a key, such as"),
        ({"order": {"modle": ["b"]}}, "order names the key 'modle', which these runs do not have"),
        ({"hue": "seed", "palette": "virids"}, "matplotlib has no colour map 'virids'"),
        ({"hue": "seed", "palette": ["red"]}, "palette has 1 colours for 3 values"),
        ({"hue": "seed", "palette": {1: "red"}}, "palette has no colour for 2"),
        ({"row": "seed", "ax": 1}, "leave out either row or ax"),
    ],
)
def test_a_wrong_choice_of_looks_is_answered_in_one_sentence(options, message):
    with pytest.raises(InvalidKeyError, match=message):
        UNEQUAL.plot_metric("val.loss", **options)


@pytest.mark.parametrize("band", ["std", "sem", "ci95", "bootstrap", "min-max", "iqr", None])
@pytest.mark.parametrize("smooth", [0.0, 0.9])
def test_runs_that_diverge_are_drawn_with_every_band(band, smooth):
    runs = runs_of([[3.0, 2.0, INF, NAN], [3.0, NAN, 1.0, 0.5], [3.0, 2.5, -INF, 0.1]], seed=[1, 2, 3])
    axes = runs.plot_metric("val.loss", over="seed", band=band, smooth=smooth, logy=True)
    axes.figure.canvas.draw()
    assert drawn(axes)[0] == 3.0


def test_values_of_any_kind_have_the_same_texts_in_every_picture():
    columns = {
        "flag": [True, False],
        "day": pd.to_datetime(["2026-01-01", "2026-01-02"]),
        "kind": pd.Categorical(["x", "y"]),
        "shape": pd.array([[1, 2], {"a": 1}], "mixed"),
        "count": pd.array([2**60 + 1, pd.NA], "Int64"),
    }
    texts = {
        "flag": ["False", "True"],
        "day": ["2026-01-01 00:00:00", "2026-01-02 00:00:00"],
        "kind": ["x", "y"],
        "shape": ["[1, 2]", "{'a': 1}"],
        "count": ["1152921504606846977", "–"],
    }
    for key, values in columns.items():
        runs = runs_of([[1.0, 2.0]] * 2, **{key: values, "seed": [1, 1]}).assign(score=[1.0, 2.0])
        for axes in (
            runs.plot_metric("val.loss", hue=key),
            runs.plot_metric("val.loss", hue=key, over="seed"),
            runs.plot_sweep(key, "score", hue=key, over="seed"),
        ):
            assert [label.removesuffix(" (n=1)") for label in labels(axes)] == texts[key]
        assert [line.split("  ")[0] for line in runs.table(key, value="score").to_table().splitlines()[2:]] == texts[
            key
        ]


def test_a_column_called_run_is_a_key_like_any_other():
    runs = runs_of([[1.0, 2.0]] * 3).assign(run=["a", "b", "a"])
    assert labels(runs.plot_metric("val.loss", hue="run")) == ["a", "b"]
