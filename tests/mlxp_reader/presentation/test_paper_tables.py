"""Tables for papers: the right numbers in the right cells, what is marked, and text that other programs read."""

import importlib
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mlxp.errors import InvalidKeyError
from mlxp_reader import DataFrame

STAT = "test.acc.last"


def results(scores, **more):
    """Return runs by a dict of (model, data) and the scores of their seeds."""
    runs = [(model, data, seed, [score]) for (model, data), of in scores.items() for seed, score in enumerate(of)]
    model, data, seed, score = zip(*runs, strict=True)
    config = {"config.model": model, "config.data": data, "config.seed": seed}
    return DataFrame({**config, "test.acc": pd.array(list(score), dtype="metric"), **more})


SCORES = {("mlp", "A"): [0.70, 0.72], ("mlp", "B"): [0.5, 0.5], ("vit", "A"): [0.90, 0.94], ("vit", "B"): [0.6, 0.7]}


def tabulated(scores=SCORES, **options):
    return results(scores).table("model", "data", STAT, "seed", **options)


def test_the_data_are_mean_std_and_count_of_each_cell():
    data = tabulated().data
    assert data.loc["vit", ("A", "mean")] == pytest.approx(0.92)
    assert data.loc["vit", ("A", "std")] == pytest.approx(np.std([0.90, 0.94], ddof=1))
    assert data.loc["mlp", ("B", "count")] == 2
    assert (data.index.name, list(data.columns.names)) == ("config.model", ["config.data", "statistic"])


def test_a_table_as_text():
    assert [line.split() for line in tabulated(fmt="{mean:.2f}").to_table().splitlines()] == [
        ["model", "A", "B"],
        ["-------", "----", "----"],
        ["mlp", "0.71", "0.50"],
        ["vit", "0.92", "0.65"],
    ]


@settings(max_examples=40)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from("abc"), st.sampled_from("xy")),
        st.lists(st.floats(0, 1), min_size=1, max_size=4),
        min_size=1,
    )
)
def test_the_data_are_those_of_a_pivot_table_of_pandas(scores):
    data = tabulated(scores).data
    plain = pd.DataFrame([(m, d, s) for (m, d), of in scores.items() for s in of], columns=["m", "d", "s"])
    for statistic in ("mean", "std", "count"):
        by_hand = plain.pivot_table(index="m", columns="d", values="s", aggfunc=statistic, dropna=False)
        mine = data.xs(statistic, axis=1, level="statistic").replace(0 if statistic == "count" else np.inf, np.nan)
        np.testing.assert_allclose(mine.astype(float), by_hand.astype(float).reindex_like(mine), atol=1e-12)


def test_by_default_the_digits_are_those_that_the_spread_leaves_certain():
    assert "0.920 ± 0.004" in tabulated({("a", "A"): [0.9172, 0.9228]}).to_markdown()
    assert "92 ± 28" in tabulated({("a", "A"): [72.0, 112.0]}).to_markdown()


@pytest.mark.parametrize(
    ("fmt", "cell"),
    [
        ("{mean:.1f} ± {std:.1f}", "0.7 ± 0.0"),
        ("{mean:.1%} (n={count})", "71.0% (n=2)"),
        ("{min} to {max}", "0.7 to 0.72"),
        ("{mean:.2f} ± {ci95:.2f}", f"0.71 ± {0.01 * stats.t.ppf(0.975, 1):.2f}"),
    ],
)
def test_a_cell_is_formatted_as_asked(fmt, cell):
    assert cell in tabulated(fmt=fmt).to_markdown()


@pytest.mark.parametrize("fmt", ["{mean:.1q}", "{mean", "{count:.1%z}", "mean}"])
def test_what_is_no_format_is_answered_in_one_sentence(fmt):
    with pytest.raises(InvalidKeyError, match=r"is not a format of a cell, such as '\{mean:.1f\} ± \{std:.1f\}': "):
        tabulated(fmt=fmt)


def test_a_format_of_tables_that_does_not_exist_is_an_error():
    with pytest.raises(InvalidKeyError, match="there is no table format 'excel'; there are asciidoc, "):
        tabulated().to_table("excel")


def test_a_single_run_has_no_spread():
    assert "| 0.5 |" in tabulated({("a", "A"): [0.5]}, fmt="{mean:.1f} ± {std:.1f}").to_markdown()
    assert "| 0.5 |" in tabulated({("a", "A"): [0.5]}, fmt="{mean:.1f} ({std:.1f})").to_markdown()
    assert "| 0.5 |" in tabulated({("a", "A"): [0.5]}).to_markdown()


def test_a_missing_cell_is_a_dash_and_one_with_fewer_seeds_is_marked():
    scores = {("mlp", "A"): [0.5, 0.6], ("vit", "A"): [0.7], ("vit", "B"): [0.5, 0.6]}
    text = tabulated(scores, fmt="{mean:.2f}").to_markdown()
    assert [line.split("|")[2:4] for line in text.splitlines()[2:4]] == [["  0.55 ", "    – "], [" 0.70† ", " 0.55 "]]
    assert text.endswith("† fewer than 2 runs")


def test_the_best_of_each_column_is_marked_and_the_second():
    scores = {("a", "A"): [0.9, 1.1, 1.0], ("b", "A"): [2.0, 1.9, 2.1], ("c", "A"): [3.1, 3.0, 2.9]}
    high = tabulated(scores, best="max", second=True, fmt="{mean:.0f}")
    low = tabulated(scores, best="min", fmt="{mean:.0f}")
    assert [line.split()[-1] for line in high.to_table().splitlines()[2:5]] == ["1", "_2_", "**3**"]
    assert [line.split()[-1] for line in low.to_table().splitlines()[2:5]] == ["**1**", "2", "3"]


def test_the_best_can_be_that_of_each_row():
    text = tabulated(best="max", best_in="row", ties=None, fmt="{mean:.2f}").to_table()
    assert [line.split()[1:] for line in text.splitlines()[2:]] == [["**0.71**", "0.50"], ["**0.92**", "0.65"]]


def test_what_the_intervals_do_not_separate_is_best_too():
    scores = {("a", "A"): [0.1, 0.12, 0.11], ("b", "A"): [0.8, 0.9, 0.85], ("c", "A"): [0.82, 0.92, 0.87]}
    assert tabulated(scores, best="max", ties="ci").to_markdown().count("**") == 4
    assert tabulated(scores, best="max", ties=None).to_markdown().count("**") == 2


FIVE = {("a", "A"): [0.900, 0.912, 0.921, 0.909, 0.898], ("b", "A"): [0.911, 0.924, 0.931, 0.921, 0.909]}


def bold(scores, **options):
    """Return the models whose cell is bold, and the rule."""
    lines = tabulated(scores, **{"best": "max", **options}).to_table().splitlines()
    return [line.split()[0] for line in lines[2:] if "**" in line], lines[-1]


def test_bold_is_what_a_test_over_common_seeds_does_not_separate_from_the_best():
    names, rule = bold(FIVE)
    assert names == ["b"]
    assert rule == (
        "bold: the best mean and all that a paired t test over 5 common seeds (Holm, per column) does not separate"
        " from it at 5 %; bold does not mean equal"
    )
    assert bold({("a", "A"): FIVE["b", "A"][::-1], **{key: FIVE[key] for key in [("b", "A")]}})[0] == ["a", "b"]
    assert bold(FIVE, best="min")[0] == ["a"]
    assert "Welch's t test (Holm" in bold({("a", "A"): [1.0, 1.1, 1.3, 1.2], ("b", "A"): [1.1, 1.0]})[1]


@pytest.mark.parametrize(
    "wild", [[0.95], [0.95, np.nan, np.nan], [0.95, 0.96, 0.955, np.inf], [0.95, 0.96, np.nan, 0.955]]
)
def test_a_cell_whose_spread_is_not_known_is_never_bold_alone(wild):
    names, _ = bold({**FIVE, ("w", "A"): wild})
    assert names == (["b"] if np.inf in wild else ["b", "w"])


def test_a_single_run_that_is_not_the_best_is_not_bold_and_alone_none_is():
    assert bold({**FIVE, ("w", "A"): [0.1]})[0] == ["b"]
    names, rule = bold({("a", "A"): [0.1], ("b", "A"): [0.2]})
    assert (names, rule) == ([], "nothing is bold: testing a difference takes two cells with several runs each")
    assert bold({("a", "A"): FIVE["a", "A"]}) == ([], rule)


def test_best_that_nothing_was_tested_against_is_told():
    names, rule = bold({("a", "A"): [0.1, 0.2, 0.3], ("b", "A"): [0.9, np.inf, np.inf]})
    assert names == ["a"]
    assert rule == "bold: the best mean; no other cell has several finite runs, so nothing was tested"


def test_numbers_that_would_be_long_have_an_exponent():
    text = tabulated({("a", "A"): [1e-10, 3e-10], ("b", "A"): [1e-10, 2e-10]}).to_markdown()
    assert "2e-10 ± 1.4e-10" in text
    assert "3e+30 ± 1.4e+30" in tabulated({("a", "A"): [1.0, 3.0], ("b", "A"): [2e30, 4e30]}).to_markdown()


def test_one_wild_method_does_not_make_others_bold():
    rng = np.random.default_rng(0)
    scores = {("a", "A"): rng.normal(0, 1, 8), ("b", "A"): rng.normal(-5, 1, 8), ("w", "A"): rng.normal(-30, 10, 8)}
    assert bold(scores)[0] == ["a"]


def test_several_values_have_columns_of_their_own():
    runs = results(SCORES)
    runs["info.duration"] = range(8)
    table = runs.table(
        "model", "data", [STAT, "info.duration"], "seed", best={STAT: "max", "info.duration": "min"}, ties=None
    )
    assert list(table.data.columns.names) == ["config.data", "value", "statistic"]
    assert table.data.loc["vit", ("A", "info.duration", "mean")] == 4.5
    assert table._repr_html_().count("<b>") == 4


def test_without_columns_there_is_one_for_each_value():
    runs = results({("mlp", "A"): [0.5, 0.7], ("vit", "A"): [0.2, 0.4]})
    assert runs.table("model", value=STAT, over="seed").data["mean"].round(6).tolist() == [0.6, 0.3]


def test_labels_replace_names():
    text = tabulated(labels={"mlp": "MLP", "config.model": "Model", "A": "CIFAR-10"}).to_markdown()
    assert all(label in text for label in ("MLP", "Model", "CIFAR-10"))


def test_a_cell_that_would_mix_settings_is_refused():
    runs = results(SCORES).assign(**{"config.lr": [0.1, 1.0] * 4})
    with pytest.raises(InvalidKeyError, match="lr varies too, so a mean would mix different settings"):
        runs.table("model", "data", STAT, "seed")
    assert runs.table("model", "data", STAT, ["seed", "lr"]).data.shape == (2, 6)
    assert runs.table("model", "data", STAT, "seed", exclude="lr").data.shape == (2, 6)


def test_a_repeated_seed_is_told():
    runs = results(SCORES).assign(**{"config.seed": [0] * 8})
    with pytest.warns(UserWarning, match="seed=0 occurs 2 times with model=mlp, data=A"):
        runs.table("model", "data", STAT, "seed")


def test_no_runs_make_an_empty_table():
    table = results(SCORES).iloc[:0].table("model", "data", STAT, "seed", best="max")
    assert table.data.empty
    assert table.to_latex()
    assert table.to_markdown()
    assert table._repr_html_()


def test_runs_without_the_metric_make_a_table_of_dashes():
    runs = results(SCORES)
    runs["test.acc"] = pd.array([np.nan] * 8, dtype="metric")
    assert runs.table("model", "data", STAT, "seed", best="max").to_markdown().count("–") == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fmt": "{mode}"}, "'{mode}' is not a field of a cell's format; there are mean, std, sem, ci95, median, "),
        ({"best": "highest"}, "best is 'max' or 'min', not 'highest'"),
        ({"best": {"acc": "max"}}, "best names 'acc', and the values are test.acc.last"),
        ({"fmt": {"acc": "{mean}"}}, "fmt names 'acc', and the values are test.acc.last"),
        ({"ties": "t"}, "ties is 'test', 'ci' or None, not 't'"),
    ],
)
def test_an_unknown_choice_is_answered_with_those_there_are(options, message):
    with pytest.raises(InvalidKeyError, match=message):
        tabulated(**options)


def test_html_escapes_what_comes_from_the_runs():
    page = tabulated({("<script>", "<b>"): [1.0], ("a&b", "x"): [2.0]})._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "a&amp;b" in page


def test_files_are_written(tmp_path):
    table = tabulated()
    for write, name in ((table.to_latex, "t.tex"), (table.to_markdown, "t.md"), (table.to_csv, "t.csv")):
        assert write(tmp_path / name) == (tmp_path / name).read_text(encoding="utf-8")
    read = pd.read_csv(tmp_path / "t.csv", header=[0, 1], index_col=0)
    np.testing.assert_allclose(read.to_numpy(), table.data.to_numpy())


def scored(values, **options):
    """Return a table of the scores 0, 1, 2, ... of some values of a key."""
    runs = DataFrame({"config.x": values, "score": [float(at) for at in range(len(values))]})
    return runs.table("x", value="score", **options)


def test_values_are_rows_by_what_they_are_and_not_by_their_texts():
    table = scored(pd.array([1000000.0, 1000001.0, None, "1000000.0"], dtype="mixed"))
    assert table.data["mean"].tolist() == [0.0, 1.0, 3.0, 2.0]
    rows = [line.split()[0] for line in table.to_table().splitlines()[2:]]
    assert rows == ["1000000.0", "1000001.0", "'1000000.0'", "null"]


def test_rows_stand_in_the_order_that_is_wanted():
    table = scored(["a", "b", "c"], order={"x": ["c", "a"]})
    assert table.data["mean"].tolist() == [2.0, 0.0, 1.0]


def test_long_texts_are_cut_where_they_are_read_and_whole_in_the_data():
    prompts = ["You are helpful. " * 6000 + end for end in "ab"]
    table = scored(prompts)
    for text in (repr(table), table._repr_html_(), table.to_latex(), table.to_markdown()):
        assert len(text) < 1000
    assert [line.split("  ")[0] for line in table.to_table().splitlines()[2:]] == [
        f"You are helpful. You ar… ({at})" for at in (1, 2)
    ]
    assert table.data.index.tolist() == prompts


def test_of_a_large_table_the_first_and_the_last_rows_and_columns_are_shown():
    table = scored(list(range(10_000)))
    assert [line.split()[0] for line in repr(table).splitlines()[2:]] == [
        *map(str, range(5)),
        "⋮",
        *map(str, range(9_995, 10_000)),
    ]
    assert len(table._repr_html_()) < 5_000
    assert len(table.to_markdown().splitlines()) == 10_002
    runs = DataFrame({"config.x": range(100), "config.y": [1] * 100, "score": range(100)})
    wide = runs.table("y", "x", "score")
    assert wide._repr_html_().count("<th>") == 21
    assert wide.to_markdown().count("x=") == 100


NASTY = [r"a_b & 50% $x$ #1 {c} ~ ^ \d", "[t] <x> | y -1", "Grüße, naïve – 1, λ ≤ −Δ"]


def compiled(folder, packages, body):
    document = rf"\documentclass{{article}}{packages}\begin{{document}}{body}\end{{document}}"
    (folder / "main.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]


def has_siunitx():
    asked = shutil.which("kpsewhich")
    return asked and subprocess.run([asked, "siunitx.sty"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not has_siunitx(), reason="no siunitx: its tables are NOT compiled here")
@pytest.mark.skipif(shutil.which("pdffonts") is None, reason="no pdffonts: what is bold is NOT looked at here")
def test_siunitx_shows_what_is_bold(tmp_path):
    bold = []
    for best in ("max", None):
        tabulated(METHODS, best=best).to_latex(tmp_path / "tab.tex", siunitx=True)
        compiled(tmp_path, r"\usepackage{booktabs,siunitx}", r"\input{tab}")
        fonts = subprocess.run(["pdffonts", "main.pdf"], cwd=tmp_path, capture_output=True, text=True, check=True)
        bold.append("CMBX" in fonts.stdout)
    assert bold == [True, False]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex: the LaTeX tables are NOT compiled here")
@pytest.mark.parametrize("values", [STAT, [STAT, "info.negative"]])
def test_latex_compiles_and_shows_what_is_in_the_runs(tmp_path, values):
    runs = results({(name, data): [0.5, 0.6][: 2 - (name == NASTY[1])] for name in NASTY for data in ("d_1", "d&2")})
    runs["info.negative"] = -np.arange(len(runs), dtype=float)
    table = runs.table("model", "data", values, "seed", best="max", second=True, ties=None)
    table.to_latex(tmp_path / "tab.tex", caption=r"Accuracy, $n=2$.", label="tab:acc")
    packages = r"\usepackage[T1]{fontenc}\usepackage{booktabs}\pdfpagewidth=2000pt\textwidth=1900pt"
    body = r"\input{tab}Table~\ref{tab:acc}"
    compiled(tmp_path, packages, body)
    if shutil.which("pdftotext"):
        text = subprocess.run(
            ["pdftotext", "-layout", "main.pdf", "-"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert "a_b & 50% $x$ #1 {c}" in text.stdout
        assert "[t] <x> | y" in text.stdout


def test_a_cell_of_seeds_says_nan_where_all_have_logged_nan(log_runs):
    losses = {"a": [1.0, 3.0], "b": [float("nan")] * 2, "c": [None, None], "d": [float("nan"), None]}
    runs = log_runs(
        *(
            ({"m": m, "seed": seed}, {"train": [{"loss": loss}]})
            for m, pair in losses.items()
            for seed, loss in enumerate(pair)
        ),
        *(({"m": "e", "seed": seed}, {}) for seed in (0, 1)),
    )
    lines = runs.table("m", value="train.loss.last", over="seed").to_table().splitlines()
    assert [line.split(maxsplit=1)[1] for line in lines[2:]] == ["2.0 ± 1.4", "nan", "null", "nan", "–"]


METHODS = {
    ("a", "A"): [0.912, 0.921, 0.917],
    ("b", "A"): [0.701, 0.722, 0.711],
    ("a", "B"): [0.512, 0.533, 0.521],
    ("b", "B"): [0.611, 0.598, 0.607],
}


def test_a_bold_cell_and_another_do_not_read_the_same():
    scores = {("a", "A"): [1.0, 2.0, 3.0], ("b", "A"): [1.02, 2.02, 3.03]}
    text = tabulated(scores, best="max", ties=None).to_markdown()
    assert "**2.02 ± 1.01**" in text  # of 1.0, two digits are certain: 2.0 ± 1.0 would be both
    assert "2.00 ± 1.00 |" in text
    assert tabulated(scores, fmt="auto").to_markdown() == tabulated(scores).to_markdown()


def test_a_summary_counts_the_columns_that_every_row_has():
    lines = tabulated(METHODS, best="max", ties=None, summary=["mean", "rank"]).to_table().splitlines()
    assert lines[0].split() == ["model", "A", "B", "mean", "rank"]
    assert [line.split()[-2:] for line in lines[2:4]] == [["0.719", "1.50"], ["0.658", "1.50"]]
    partly = {**METHODS, ("a", "C"): [0.1, 0.2]}
    assert "0.719" in tabulated(partly, best="max", ties=None, summary="mean").to_table()
    apart = {("a", "A"): [1.0, 2.0], ("b", "B"): [1.0, 2.0]}
    assert tabulated(apart, summary="mean").to_table().splitlines()[2].split()[-1] == "–"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"summary": "median"}, "summary is 'mean', 'rank' or both, not 'median'"),
        ({"summary": "rank"}, "summary='rank' needs best="),
        ({"best_in": "seed"}, "best_in is 'column', 'row' or one of model, data, not 'seed'"),
    ],
)
def test_what_no_summary_or_block_is_is_one_sentence(options, message):
    with pytest.raises(InvalidKeyError, match=message):
        tabulated(METHODS, **options)
    with pytest.raises(InvalidKeyError, match="summary needs columns="):
        results(METHODS).table(["model", "data"], value=STAT, over="seed", summary="mean")


def test_the_best_can_be_that_of_each_block_of_rows():
    table = results(METHODS).table(["data", "model"], value=STAT, over="seed", best="max", ties=None, best_in="data")
    assert [line.split()[:2] for line in table.to_table().splitlines()[2:] if "**" in line] == [["A", "a"], ["B", "b"]]


def blocks():
    """Return runs of four models of two families on two datasets."""
    scores = {
        (family, model, data): [1.0 * at, 1.0 * at + 0.5]
        for at, (family, model, data) in enumerate(
            (family, f"{family}{size}", data) for family in ("cnn", "vit") for size in "SL" for data in ("A", "B")
        )
    }
    rows = [(*key, seed, score) for key, of in scores.items() for seed, score in enumerate(of)]
    names = ["config.family", "config.model", "config.data", "config.seed", "score"]
    return DataFrame(dict(zip(names, zip(*rows, strict=True), strict=True)))


def test_headings_of_several_keys_are_grouped():
    table = blocks().table("data", ["family", "model"], "score", "seed", fmt="{mean:.2f}")
    assert table.to_latex().splitlines()[2:6] == [
        r" & \multicolumn{2}{c}{cnn} & \multicolumn{2}{c}{vit} \\",
        r"\cmidrule(lr){2-3}\cmidrule(lr){4-5}",
        r"data & "
        + " & ".join(rf"\multicolumn{{1}}{{c}}{{{name}}}" for name in ("cnnL", "cnnS", "vitL", "vitS"))
        + r" \\",
        r"\midrule",
    ]
    assert '<th colspan="2" style="text-align:center">cnn</th>' in table.to_html()
    assert table.to_table().splitlines()[0].split("  ")[-1].strip() == "vit, vitS"


def test_rows_of_several_keys_are_blocks():
    table = blocks().table(["family", "model"], "data", "score", "seed", fmt="{mean:.2f}")
    lines = table.to_latex().splitlines()[4:9]
    assert lines == [
        r"cnn & cnnL & 2.25 & 3.25 \\",
        r" & cnnS & 0.25 & 1.25 \\",
        r"\midrule",
        r"vit & vitL & 6.25 & 7.25 \\",
        r" & vitS & 4.25 & 5.25 \\",
    ]
    assert table.to_html().count('rowspan="2">cnn</th>') == 1


def test_the_best_can_be_that_of_each_block_of_columns():
    text = blocks().table("data", ["family", "model"], "score", "seed", best="max", ties=None, best_in="family")
    assert [line.count("**") // 2 for line in text.to_table().splitlines()[2:4]] == [2, 2]


def test_a_summary_stands_below_if_the_best_of_each_row_is_looked_for():
    chosen = {"best": "max", "ties": None, "best_in": "row", "summary": ["mean", "rank"], "fmt": "{mean:.2f}"}
    table = blocks().table("data", ["family", "model"], "score", "seed", **chosen)
    assert [line.split() for line in table.to_table().splitlines()[4:6]] == [
        ["mean", "2.75", "0.75", "6.75", "4.75"],
        ["rank", "3.00", "4.00", "1.00", "2.00"],
    ]
    assert table.to_latex().splitlines()[8:12] == [
        r"\midrule",
        r"mean & 2.75 & 0.75 & 6.75 & 4.75 \\",
        r"rank & 3.00 & 4.00 & 1.00 & 2.00 \\",
        r"\bottomrule",
    ]


def test_several_values_have_a_summary_each():
    runs = blocks().assign(loss=lambda frame: -frame["score"])
    chosen = {"best": {"score": "max", "loss": "min"}, "ties": None, "summary": "rank", "fmt": "{mean:.2f}"}
    table = runs.table(["family", "model"], "data", ["score", "loss"], "seed", **chosen)
    assert [line.split()[-2:] for line in table.to_table().splitlines()[2:4]] == [["3.00", "3.00"], ["4.00", "4.00"]]


def test_labels_may_be_latex_and_headings_say_the_direction():
    labels = {"model": r"\textsc{model}", "a": "$\\alpha_1$", STAT: "accuracy"}
    latex = results(METHODS).table("model", value=STAT, over=["seed", "data"], labels=labels, best="max").to_latex()
    assert r"\textsc{model} & " in latex
    assert r"$\alpha_1$ & " in latex
    assert r"{accuracy $\uparrow$}" in latex


def test_numbers_may_be_those_of_siunitx():
    scores = {**METHODS, ("c", "A"): [0.95], ("d", "B"): [-10.1, -12.2]}
    latex = tabulated(scores, best="max", second=True).to_latex(siunitx=True)
    assert latex.startswith("% In the preamble:\n% \\usepackage{booktabs,siunitx}")
    look = "uncertainty-mode=separate,mode=text,reset-text-series=false"
    assert rf"\begin{{tabular}}{{lS[table-format=1.3(2),{look}]S[table-format=-2.3(4),{look}]}}" in latex
    rows = {line.split(" & ")[0]: line for line in latex.splitlines() if " & " in line}
    assert "{--}" in rows["c"]
    assert r"\bfseries 0.605(7)" in rows["b"]


def test_rule_of_the_simulations_is_that_of_tables(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    simulated = importlib.import_module("marking_rules")
    scores = np.concatenate([simulated.columns(15, 4, lead) for lead in (0.0, 3.0)])
    marked_by_rule = simulated.bold(scores, "paired t + Holm")
    for column, expected in zip(scores, marked_by_rule, strict=True):
        names, _ = bold({(name, "A"): values.tolist() for name, values in zip("abcd", column, strict=True)})
        assert names == [name for name, is_bold in zip("abcd", expected, strict=True) if is_bold]


def test_best_test_value_is_told_to_be_too_good():
    with pytest.warns(UserWarning, match=r"the best value of a noisy curve .*: test\.acc@val\.acc\.max"):
        results(METHODS).table("model", "data", "test.acc.max", "seed")
