"""The README and the example do what they say."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


README = (ROOT / "README.md").read_text(encoding="utf-8")


def file(name):
    return re.search(rf"`{name}`:\n\n```\w+\n(.*?)^```", README, re.MULTILINE | re.DOTALL)[1]


@pytest.fixture
def digits(tmp_path):
    directory = tmp_path / "digits"
    shutil.copytree(ROOT / "docs/examples/digits", directory, ignore=shutil.ignore_patterns("logs"))

    def run(*overrides):
        command = [sys.executable, "main.py", *overrides]
        return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=True).stdout

    run.logs = directory / "logs"
    return run


def test_quick_start_of_the_readme_runs_as_printed(tmp_path):
    (tmp_path / "main.py").write_text(file("main.py"), encoding="utf-8")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/config.yaml").write_text(file("configs/config.yaml"), encoding="utf-8")
    command = re.search(r"^python main.py .*$", README, re.MULTILINE)[0]
    result = subprocess.run(
        command.replace("python", sys.executable, 1),
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.count("COMPLETE") == 4
    assert len((tmp_path / "logs/4/metrics/train.json").read_text(encoding="utf-8").splitlines()) == 10


def test_digits_are_learnt(digits):
    printed = digits("num_epochs=15")
    last = (digits.logs / "1/metrics/test.json").read_text(encoding="utf-8").splitlines()[-1]
    assert printed == ""
    assert float(re.search(r'"accuracy":([\d.]+)', last)[1]) > 0.9


def test_digits_are_swept_and_resumed_from_the_checkpoint(digits):
    digits("num_epochs=2", "seed=1,2")
    digits("num_epochs=3", "seed=2", "mlxp.logger.forced_log_id=2")
    lines = {run: (digits.logs / run / "metrics/train.json").read_text(encoding="utf-8").splitlines() for run in "12"}
    assert [len(lines[run]) for run in "12"] == [2, 3]
    assert lines["2"][2].startswith('{"epoch":2,')


def test_same_seed_gives_the_same_curve(digits):
    digits("num_epochs=2", "seed=7", "mlxp.logger.forced_log_id=1")
    digits("num_epochs=2", "seed=7", "mlxp.logger.forced_log_id=2")
    first, second = ((digits.logs / run / "metrics/test.json").read_text(encoding="utf-8") for run in "12")
    assert first == second
