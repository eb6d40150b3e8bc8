"""Null, NaN and what is not there are three things to who looks at runs."""

import csv
import io
import json
import pickle
import re

import pandas as pd
import pytest

from mlxp.commands.main import main
from mlxp.run_directory.layout import RunDirectory
from mlxp_reader import Reader


@pytest.fixture
def logs(tmp_path):
    """Three runs whose ``x`` is null, NaN and not there, and whose last loss is NaN, a number and not there."""
    configs = ["x: null\n", "x: .nan\n", "y: 1\n"]
    losses = ['{"loss": 1.5}\n{"loss": NaN}\n', '{"loss": 0.5}\n', ""]
    for log_id, (config, text) in enumerate(zip(configs, losses, strict=True), start=1):
        run = RunDirectory(tmp_path / "logs" / str(log_id))
        for folder in (run.metadata, run.metrics_keys_file.parent):
            folder.mkdir(parents=True, exist_ok=True)
        run.config_file.write_text(config)
        run.info_file.write_text("status: COMPLETE\n")
        run.metrics_keys_file.write_text("train: [loss]\n")
        run.metrics_file("train").write_text(text)
    return str(tmp_path / "logs")


def printed(capsys, *arguments):
    """Return the words of each line that a command prints."""
    assert main(arguments) == 0
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_diff_tells_them_apart(logs, capsys):
    lines = printed(capsys, "diff", "1", "2", "3", "--logs", logs)
    assert ["config.x", "null", "nan", "–"] in lines
    assert ["train.loss.last", "nan", "0.5", "–"] in lines


@pytest.mark.parametrize(
    ("log_id", "config", "loss"),
    [
        ("1", "x: null", ["train.loss", "nan", "1.5", "1.5", "2"]),
        ("2", "x: .nan", ["train.loss", "0.5", "0.5", "0.5", "1"]),
        ("3", "y: 1", ["train.loss", "–", "–", "–", "0"]),
    ],
)
def test_show_tells_them_apart(logs, capsys, log_id, config, loss):
    lines = printed(capsys, "show", log_id, "--logs", logs)
    assert config.split() in lines
    assert loss in lines


KINDS = {  # for each type of a column: what its runs have, and how a table shows it; the fourth run has nothing
    "float": (["0.5", "null", ".nan"], ["0.5", "null", "nan", "–"]),
    "int": (["3", "null", "4"], ["3", "null", "4", "–"]),
    "bool": (["true", "null", "false"], ["True", "null", "False", "–"]),
    "text": (["abc", "null", "nope"], ["abc", "null", "nope", "–"]),
    "mixed": (["[1, 2]", "null", ".nan"], ["[1, 2]", "null", "nan", "–"]),
}


@pytest.fixture(params=KINDS)
def four(request, tmp_path):
    """Four runs, with the values of ``x`` as they are shown; the last loss is a number, null, NaN and not there."""
    values, texts = KINDS[request.param]
    losses = ['{"loss": 0.25}\n', '{"loss": null}\n', '{"loss": NaN}\n', '{"other": 1}\n']
    for log_id, (value, text) in enumerate(zip([*values, None], losses, strict=True), start=1):
        run = RunDirectory(tmp_path / "logs" / str(log_id))
        run.metadata.mkdir(parents=True)
        run.metrics.mkdir()
        run.config_file.write_text("{}\n" if value is None else f"x: {value}\n")
        run.info_file.write_text(f"status: COMPLETE\nlogger: {{log_id: {log_id}}}\n")
        run.metrics_file("train").write_text(text)
    return str(tmp_path / "logs"), texts


LOSSES = ["0.25", "null", "nan", "–"]


def columns_of(text):
    """Return the texts of the columns of a table in Markdown."""
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text.splitlines() if "|" in line]
    return {head: list(cells) for head, _, *cells in zip(*rows, strict=True)}


def test_every_table_tells_them_apart(four, capsys):
    logs, texts = four
    runs = Reader(logs).filter()
    assert main(["table", "-c", "x,train.loss.last", "--format", "github", "--logs", logs]) == 0
    assert columns_of(capsys.readouterr().out) == {"x": texts, "train.loss.last": LOSSES}
    assert columns_of(runs.to_table(["x", "train.loss.min"], "pipe")) == {"x": texts, "train.loss.min": LOSSES}
    shown = columns_of(runs.table("x", value="train.loss.last").to_markdown().replace("\\", ""))
    assert sorted(zip(*shown.values(), strict=True)) == sorted(zip(texts, LOSSES, strict=True))


def test_a_frame_shows_them_apart_also_sorted_joined_and_pickled(four):
    logs, texts = four
    runs = Reader(logs).filter()
    parts = pd.concat([runs, runs])[:4]  # pandas 2 makes a part without any number anew
    for frame in (runs, pickle.loads(pickle.dumps(runs)), runs.iloc[::-1].sort("log_id"), parts):
        lines = [re.split(r"  +", line) for line in repr(frame).splitlines()[1:6]]
        x, loss = (lines[0].index(head) for head in ("x", "train.loss"))
        assert [line[x] for line in lines[1:]] == texts
        assert [line[loss] for line in lines[1:]] == LOSSES
        cells = re.findall(r"<td[^>]*>([^<]*)</td>", frame._repr_html_())
        assert {*texts, *LOSSES} <= set(cells)
    assert [runs[row]["x"] for row in (0, 1)] == [runs["config.x"].iloc[0], None]
    assert [re.search(r"config.x</th>\s*<td>(.*?)</td>", runs[row]._repr_html_())[1] for row in range(4)] == texts


def test_json_and_csv_tell_them_apart(four, capsys):
    logs, texts = four
    columns = ["-c", "log_id,x,train.loss.last", "--logs", logs]
    assert main(["table", *columns, "--format", "json"]) == 0
    first, *rest = json.loads(capsys.readouterr().out)
    assert first["train.loss.last"] == 0.25
    assert [row.get("x", "–") for row in rest] == [None, "nan" if texts[2] == "nan" else rest[1]["x"], "–"]
    assert [row.get("train.loss.last", "–") for row in rest] == [None, "nan", "–"]
    assert main(["table", *columns, "--format", "csv"]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows[1:] == [
        [str(at), "" if text == "–" else text, "" if loss == "–" else loss]
        for at, (text, loss) in enumerate(zip(texts, LOSSES, strict=True), start=1)
    ]


def test_diff_and_show_tell_them_apart_in_every_type(four, capsys):
    logs, texts = four
    assert main(["diff", *"1234", "--logs", logs]) == 0
    lines = [re.split(r"  +", line) for line in capsys.readouterr().out.splitlines()]
    assert ["config.x", *texts] in lines
    assert ["train.loss.last", *LOSSES] in lines
    assert main(["show", "3", "--json", "--logs", logs]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["metrics"]["train.loss"]["last"] == "nan"
    assert about["config"]["x"] == "nan" or texts[2] != "nan"
