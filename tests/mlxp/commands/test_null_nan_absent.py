"""Null, NaN and what is not there are three things to who looks at runs."""

import pytest

from mlxp.commands.main import main
from mlxp.run_directory.layout import RunDirectory


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
