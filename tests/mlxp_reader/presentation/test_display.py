"""What a frame of runs shows of itself, in a terminal and in Jupyter, and what it reads for that."""

import re
import time

import numpy as np
import pandas as pd
import pytest

from mlxp_reader import DataFrame, Reader


def sweep(log_runs, **more):
    """Return twelve runs that vary in two keys; one of them failed."""
    return log_runs(
        *(
            (
                {"optimizer": {"lr": lr}, "seed": seed, "depth": 3, **more},
                {"train": [{"loss": 1.0 + seed, "epoch": 0}, {"loss": lr + seed, "epoch": 1}]},
                "FAILED" if (lr, seed) == (1.0, 3) else "COMPLETE",
            )
            for lr in (0.1, 0.5, 1.0)
            for seed in range(4)
        )
    )


def test_the_first_line_says_how_many_runs_vary_in_what(log_runs):
    first = repr(sweep(log_runs)).splitlines()[0]
    assert first == "12 runs · 2 keys vary (optimizer.lr ×3, seed ×4) · 1 constant · 1 not COMPLETE"


def test_then_come_id_status_what_varies_and_the_last_values(log_runs):
    lines = [line.split() for line in repr(sweep(log_runs)).splitlines()]
    assert lines[1] == ["log_id", "status", "optimizer.lr", "seed", "train.loss"]
    assert lines[2] == ["1", "COMPLETE", "0.1", "0", "0.1"]
    assert lines[13] == ["12", "FAILED", "1", "3", "4"]


def test_a_key_called_like_the_status_or_the_id_has_its_full_name(log_runs):
    runs = log_runs(*[({"status": name, "log_id": name}, {}) for name in "ab"])
    assert repr(runs).splitlines()[1].split() == ["log_id", "status", "config.status", "config.log_id"]


def test_it_says_how_to_get_the_display_of_pandas(log_runs):
    runs = sweep(log_runs)
    assert "runs.toPandas() shows all columns as pandas does" in repr(runs)
    assert "config.depth" in runs.toPandas().to_string()


def test_constants_are_what_does_not_vary(log_runs):
    assert sweep(log_runs, layers=[64, 64]).constants == {"config.depth": 3, "config.layers": [64, 64]}


def test_no_runs_have_no_constants(log_runs):
    runs = log_runs(({"lr": 0.1}, {})).iloc[:0]
    assert runs.constants == {}
    assert repr(runs) == "0 runs"
    assert runs._repr_html_() == "<p>0 runs</p>"


def test_of_many_runs_the_first_and_the_last_are_shown_and_read(log_runs, tmp_path):
    sweep(log_runs)
    runs = Reader(tmp_path / "logs").filter()
    with pd.option_context("display.max_rows", 6, "display.min_rows", 4):
        lines = repr(runs).splitlines()
    assert [line.split()[0] for line in lines[2:7]] == ["1", "2", "...", "11", "12"]
    assert runs["train.loss"].array.source[0].loaded == 4


def test_of_very_many_runs_no_metric_is_read(log_runs, tmp_path, monkeypatch):
    monkeypatch.setattr("mlxp_reader.presentation.display.MOST_RUNS", 11)
    runs = sweep(log_runs)
    assert "metrics are not loaded: runs.head() shows them" in repr(runs)
    assert "metrics are not loaded" in runs._repr_html_()
    assert runs["train.loss"].array.source[0].loaded == 0


def test_columns_that_do_not_fit_are_counted(log_runs, monkeypatch):
    runs = sweep(log_runs)
    for columns, left_out in (("30", "2 more keys that vary"), ("40", "1 more metric\n")):
        monkeypatch.setenv("COLUMNS", columns)
        assert f"not shown: {left_out}" in repr(runs)


def test_jupyter_shows_a_small_picture_of_each_curve(log_runs):
    page = sweep(log_runs)._repr_html_()
    assert page.count("<svg") == 12
    assert page.count("<tr>") == 13
    assert 'stroke="currentColor"' in page


def test_what_comes_from_logs_is_escaped(log_runs):
    evil = "<script>alert(1)</script>"
    runs = log_runs(
        ({evil: 1, "name": evil}, {"train": [{evil: 1.0}, {evil: 2.0}]}), ({evil: 2, "name": "b"}, {}, "<b>")
    )
    page = runs._repr_html_()
    assert "<script>" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;" in page


def test_a_frame_that_is_not_of_runs_is_shown_as_pandas_does(log_runs):
    runs = sweep(log_runs)
    for frame in (runs[["config.seed"]], runs.groupby("config.seed").aggregate((len, "config.depth"), ungroup=True)):
        assert repr(frame) == repr(pd.DataFrame(frame))
        assert frame._repr_html_() == pd.DataFrame(frame)._repr_html_()


def test_html_can_be_turned_off_as_for_pandas(log_runs):
    with pd.option_context("display.notebook_repr_html", False):
        assert sweep(log_runs)._repr_html_() is None


@pytest.mark.parametrize("values", [[np.nan, np.nan], [1.0], ["a", "b"], [], [float("inf"), 1.0]])
def test_curves_that_cannot_be_drawn_are_shown_without_a_picture(values):
    runs = DataFrame({"info.logger.log_id": [1], "info.status": ["COMPLETE"], "train.x": pd.array([values], "metric")})
    assert "<svg" not in runs._repr_html_()
    assert "train.x" in repr(runs)


def made_up(count, length=20, metrics=6):
    """Return runs with twelve keys of all kinds that vary."""
    kinds = ([at % 7 / 3, f"text {at % 50}", None if at % 3 else at % 5, [at % 3, 64]] for at in range(count))
    columns = zip(*kinds, strict=True)
    config = {f"config.{kind}{at}": pd.array(column, "mixed") for kind, column in enumerate(columns) for at in range(3)}
    curves = np.random.default_rng(0).random((count, length))
    measured = {f"train.metric{at}": pd.array(list(curves), "metric") for at in range(metrics)}
    return DataFrame({"info.logger.log_id": range(count), "info.status": ["COMPLETE"] * count, **config, **measured})


@pytest.mark.parametrize("count", [60, 1_000, 10_000])
def test_what_a_notebook_shows_is_small_and_soon_there(count):
    runs = made_up(count, length=1_000 if count == 60 else 20)
    displays = {
        "runs": runs._repr_html_,
        "groups": runs.groupby("config.00")._repr_html_,
        "run": runs[0]._repr_html_,
        "over": lambda: repr(runs.over("00", exclude="*")),
        "table": lambda: runs.table("00", "10", "20", exclude="*")._repr_html_(),
    }
    for name, display in displays.items():
        took = []
        for _ in range(3):
            start = time.process_time()
            shown = display()
            took.append(time.process_time() - start)
        assert len(shown) < 200_000, name
        assert min(took) < 0.3, name


def test_a_notebook_that_leaves_pictures_out_shows_the_number_alone(log_runs):
    page = sweep(log_runs)._repr_html_()
    texts = re.findall(r"<td[^>]*>([^<]*?)(?: <svg.*?</svg>)?</td>", page)
    assert len(texts) == 12 * 5
    without = re.sub(r"<[^>]*>", "|", page)  # all that a sanitizer could leave of the text
    assert " to " not in without.replace("runs.toPandas()", "")
    assert 'title="0.1 to 1"' in page


def test_long_texts_of_cells_are_cut_for_people_and_whole_for_programs():
    runs = DataFrame({"config.prompt": ["word " * 20_000, "b"]})
    assert len(runs.to_table().splitlines()[2]) <= 200
    assert len(runs.to_table(tablefmt="github")) < 1_000
    assert runs.to_table(tablefmt="tsv").count("word") == 20_000


def test_numbers_that_agree_in_six_digits_are_told_apart(log_runs):
    runs = log_runs(*[({"n": n}, {}) for n in (1000000.0, 1000001.0)])
    assert [line.split()[-1] for line in repr(runs).splitlines()[2:4]] == ["1000000.0", "1000001.0"]
    assert [line.split()[0] for line in runs.to_table().splitlines()[2:]] == ["1000000", "1000001"]
    assert [line.split()[0] for line in runs.to_table(floatfmt=".1f").splitlines()[2:]] == ["1000000.0", "1000001.0"]
