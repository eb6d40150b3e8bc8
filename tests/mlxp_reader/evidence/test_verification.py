"""Notes beside tables, figures and numbers: they hold as long as the runs are as they were, and name what is not."""

import json
import os
import pickle
import shutil

import matplotlib.pyplot as plt
import numpy as np
import pytest
import yaml

from mlxp.commands.main import main
from mlxp.errors import InvalidKeyError, LogDirectoryError, MLXPError
from mlxp_reader import DataFrame, Reader, numbers
from mlxp_reader.verification import verify

QUERY = "info.status == 'COMPLETE'"


def write_run(logs, log_id, model, seed, accs, status="COMPLETE"):
    directory = logs / str(log_id)
    (directory / "metadata").mkdir(parents=True)
    (directory / "metrics").mkdir()
    info = {"status": status, "logger": {"log_id": log_id}}
    (directory / "metadata/info.yaml").write_text(yaml.safe_dump(info))
    (directory / "metadata/config.yaml").write_text(yaml.safe_dump({"model": model, "seed": seed}))
    lines = [json.dumps({"epoch": epoch, "acc": acc}) for epoch, acc in enumerate(accs)]
    (directory / "metrics/test.json").write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def project(tmp_path):
    """Return a directory with logs of six runs, and a paper with a table in two formats, a figure and two numbers."""
    logs, paper = tmp_path / "logs", tmp_path / "paper"
    for log_id, (model, seed) in enumerate([(model, seed) for model in "ab" for seed in (1, 2, 3)], start=1):
        write_run(logs, log_id, model, seed, [0.1 * seed, 0.5 + 0.01 * log_id])
    (paper / "tables").mkdir(parents=True)
    runs = Reader(logs).filter(QUERY)
    table = runs.table("model", value=["test.acc.last", "test.acc@test.epoch.max"], over="seed", best="max")
    table.to_latex(paper / "tables/main.tex")
    table.to_markdown(paper / "tables/main.md")
    runs.plot_metric("test.acc", hue="model", over="seed").figure.savefig(paper / "curves.pdf")
    plt.close("all")
    macros = numbers(paper / "numbers.tex")
    macros["accA"] = runs.value("test.acc.last", "model == 'a'", over="seed", fmt="{mean:.1%} ± {std:.1%}")
    macros["first"] = runs.value("test.acc.first", "model == 'a' & seed == 1")
    return tmp_path


def failures(project, *logs):
    return {one.file.name: one.failures for one in verify([project / "paper"], list(logs)) if one.failures}


def test_all_holds_as_long_as_nothing_has_changed(project):
    found = {one.file.name: (one.count, one.broken, one.failures) for one in verify([project / "paper"])}
    assert found == {
        "curves.pdf": (2, 0, []),
        "numbers.tex": (2, 0, []),
        "main.md": (4, 0, []),
        "main.tex": (4, 0, []),
    }
    assert (project / "paper/numbers.tex").read_text().splitlines() == [
        r"\newcommand{\accA}{52.0\% \ensuremath{\pm} 1.0\%}",
        r"\newcommand{\first}{0.1}",
    ]
    note = (project / "paper/tables/main.json").read_text()
    assert str(project) not in note
    assert json.loads(note)["files"]["main.tex"]["parts"][0]["logs"] == ["../../logs"]


def test_exactly_the_cells_of_an_edited_run_are_named(project):
    file = project / "logs/5/metrics/test.json"
    file.write_text(file.read_text().replace("0.55", "0.75"))
    found = failures(project)
    assert found == {
        "curves.pdf": ["model=b, test.acc: run 5 changed: it logged other values"],
        "main.md": [
            "model=b, test.acc.last: run 5 changed from 0.55 to 0.75",
            "model=b, test.acc@test.epoch.max: run 5 changed from 0.55 to 0.75",
        ],
        "main.tex": [
            "model=b, test.acc.last: run 5 changed from 0.55 to 0.75",
            "model=b, test.acc@test.epoch.max: run 5 changed from 0.55 to 0.75",
        ],
    }


def test_value_that_no_number_shows_has_changed_too(project):
    file = project / "logs/1/metrics/test.json"
    file.write_text(file.read_text().replace("0.1}", "0.2}"))
    assert "model=a, test.acc.last: run 1 changed: it logged other values" in failures(project)["main.tex"]
    assert failures(project)["numbers.tex"][1] == "test.acc.first: run 1 changed from 0.1 to 0.2"


def test_runs_that_are_gone_or_were_added_are_named(project):
    shutil.rmtree(project / "logs/3")
    write_run(project / "logs", 8, "b", 4, [0.1, 0.2])
    write_run(project / "logs", 9, "c", 1, [0.1, 0.2])
    write_run(project / "logs", 10, "a", 5, [0.1, 0.2], status="FAILED")
    found = failures(project)
    assert found["main.tex"][:3] == [
        "model=a, test.acc.last: run 3 is missing",
        "model=b, test.acc.last: run 8 was added since",
        "model=a, test.acc@test.epoch.max: run 3 is missing",
    ]
    assert "model=c, test.acc.last: was added since, with runs 9" in found["main.tex"]
    assert found["numbers.tex"] == ["test.acc.last: run 3 is missing"]


@pytest.mark.parametrize("harm", [lambda file: file.write_text("0.99"), os.remove])
def test_file_that_was_changed_or_removed_is_told(project, harm):
    harm(project / "paper/tables/main.tex")
    assert len(failures(project)["main.tex"]) == 1


def test_number_that_was_changed_in_a_note_is_told(project):
    note = project / "paper/tables/main.json"
    content = json.loads(note.read_text())
    cell = content["files"]["main.tex"]["parts"][0]["cells"][0]
    cell["mean"] = 0.99
    note.write_text(json.dumps(content))
    assert failures(project) == {
        "main.tex": ["model=a, test.acc.last: the note says that its mean is 0.99, and it is 0.52"]
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"mlxp_note": 1, "files": {"main.tex"', "is a damaged note"),
        ('{"mlxp_note": 1, "files": {"main.tex": {}}}', "is a damaged note"),
        ('{"mlxp_note": 1, "files": {"main.tex": {"sha256": "", "parts": [{"logs": 3}]}}}', "is a damaged note"),
        ('{"mlxp_note": 1, "files": {"../x": {"sha256": "", "parts": []}}}', "is a damaged note"),
        ('{"mlxp_note": 2}', "is a note of another version of MLXP, of format 2; this one reads 1"),
    ],
)
def test_note_that_cannot_be_read_is_told(project, text, told):
    (project / "paper/tables/main.json").write_text(text)
    assert failures(project) == {"main.json": [told]}
    assert [one.failures for one in verify([project / "paper/tables/main.tex"])] == [[told]]
    table = Reader(project / "logs").filter(QUERY).table("model", value="test.acc.last", over="seed")
    with pytest.raises(LogDirectoryError, match=f"main.json {told}: rename it"):
        table.to_latex(project / "paper/tables/main.tex")


def test_everything_holds_elsewhere(project, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("another machine") / "é"
    shutil.copytree(project, elsewhere)
    assert failures(elsewhere) == {}
    shutil.move(elsewhere / "logs", elsewhere / "runs")
    assert "nothing can be recomputed" in failures(elsewhere)["main.tex"][0]
    assert failures(elsewhere, elsewhere / "runs") == {}


def test_runs_that_were_chosen_by_hand_are_those_that_are_verified(project):
    runs = Reader(project / "logs").filter(QUERY)
    chosen = runs[runs["config.seed"] > 1]
    chosen.table("model", value="test.acc.last", over="seed").to_latex(project / "paper/some.tex")
    write_run(project / "logs", 8, "b", 4, [0.1, 0.2])
    assert "some.tex" not in failures(project)
    narrowed = Reader(project / "logs").filter(QUERY).filter("seed > 1")
    narrowed.table("model", value="test.acc.last", over="seed").to_latex(project / "paper/most.tex")
    write_run(project / "logs", 9, "a", 4, [0.1, 0.2])
    assert failures(project)["most.tex"] == ["model=a, test.acc.last: run 9 was added since"]


def test_command_says_how_many_hold_and_fails_if_any_does_not(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    assert main(["verify", "paper"]) == 0
    assert "paper/tables/main.tex: 4 of 4 hold" in capsys.readouterr().out
    shutil.rmtree(project / "logs/1")
    assert main(["verify", "paper/tables/main.tex"]) == 1
    assert capsys.readouterr().out.splitlines()[0] == "paper/tables/main.tex: 2 of 4 hold"
    assert (main(["verify", "nowhere"]), main(["verify", "logs"])) == (1, 1)
    told = capsys.readouterr().err
    assert "mlxp: there is no nowhere" in told
    assert "there is no note in logs" in told


def test_runs_of_a_cell_can_be_looked_at(project):
    table = Reader(project / "logs").filter(QUERY).table("model", value="test.acc.last", over="seed")
    assert table.runs("a")["config.seed"].tolist() == [1, 2, 3]
    assert 'title="runs 1, 2, 3"' in table._repr_html_()
    with pytest.raises(InvalidKeyError, match="'c' names 0 cells; there are a, b"):
        table.runs("c")


def test_several_directories_have_notes_too(project):
    write_run(project / "more", 1, "a", 7, [0.1, 0.9])
    runs = Reader([project / "logs", project / "more"]).filter(QUERY)
    runs.table("model", value="test.acc.last", over="seed").to_latex(project / "paper/both.tex")
    assert "both.tex" not in failures(project)
    file = project / "more/1/metrics/test.json"
    file.write_text(file.read_text().replace("0.9", "0.8"))
    assert failures(project)["both.tex"] == ["model=a, test.acc.last: run 1/1 changed from 0.9 to 0.8"]


def test_what_cannot_be_noted_is_one_sentence_or_nothing(project):
    (project / "paper/other.json").write_text("{}")
    table = Reader(project / "logs").filter(QUERY).table("model", value="test.acc.last", over="seed")
    with pytest.raises(LogDirectoryError, match=r"other.json is not a note of MLXP: rename it, or other.tex"):
        table.to_latex(project / "paper/other.tex")
    plain = DataFrame({"config.model": ["a", "b"], "acc": [1.0, 2.0]}).table("model", value="acc")
    plain.to_latex(project / "paper/plain.tex")
    assert not (project / "paper/plain.json").exists()
    with pytest.raises(MLXPError, match="there is no note in "):
        verify([project / "logs"])


def test_number_of_a_text_is_that_of_one_setting():
    runs = DataFrame({"config.model": ["a", "a"], "config.seed": [1, 2], "config.lr": [1, 2], "acc": [0.5, np.nan]})
    with pytest.raises(InvalidKeyError, match="2 runs match: name what they differ in"):
        runs.value("acc")
    with pytest.raises(InvalidKeyError, match="no run matches"):
        runs.value("acc", "model == 'c'")
    with pytest.raises(InvalidKeyError, match="is not a format of a value"):
        runs.value("acc", "seed == 1", fmt="{mode}")
    assert runs.value("acc", "seed == 1", fmt="{mean} ({count})") == "0.5 (1)"


def test_macros_have_names_that_latex_allows(tmp_path):
    macros = numbers(tmp_path / "numbers.tex")
    with pytest.raises(InvalidKeyError, match="a name of letters only"):
        macros["acc_1"] = DataFrame({"config.seed": [1], "acc": [0.5]}).value("acc")
    with pytest.raises(InvalidKeyError, match=r"take .* from runs\.value"):
        macros["acc"] = "0.5"


def test_macros_show_what_latex_would_take_for_something_else(tmp_path):
    macros = numbers(tmp_path / "numbers.tex")
    runs = DataFrame({"config.seed": [1], "score": [-0.5]})
    macros["low"] = runs.value("score", fmt="{mean:.1f} ~ 50% of $x^2$")
    macros["exact"] = runs.value("score")
    assert (tmp_path / "numbers.tex").read_text().splitlines() == [
        r"\newcommand{\low}{\ensuremath{-}0.5 \textasciitilde{} 50\% of \$x\textasciicircum{}2\$}",
        r"\newcommand{\exact}{\ensuremath{-}0.5}",
    ]


def test_figure_with_a_note_can_be_pickled(project):
    axes = Reader(project / "logs").filter(QUERY).plot_metric("test.acc", over="seed")
    assert pickle.loads(pickle.dumps(axes.figure)).axes
    plt.close("all")
