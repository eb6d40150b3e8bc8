"""Frozen jobs run the code and the configuration of their submission; other jobs say if the code has changed."""

import json
import re
import shutil
import subprocess

import pytest

from mlxp_reader import Reader

MAIN = """\
import mlxp
from lib.model import loss


@mlxp.launch(config_path="configs")
def task(ctx: mlxp.Context) -> None:
    with open("data/numbers.txt") as file:
        ctx.logger.log_metrics({"loss": loss(ctx.config.lr), "data": file.read()}, "train")


if __name__ == "__main__":
    task()
"""
SCRIPT = "#!/bin/bash\n#SBATCH --time=1\npython main.py seed=1,2\n"


def git(directory, *words):
    command = ["git", "-c", "user.name=me", "-c", "user.email=me@example.org", *words]
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def project(make_desk):
    """A program that lies in no repository yet, with a module, data that git ignores, and a folder with a setup."""
    desk = make_desk("quickstart", "SLURM")
    shutil.rmtree(desk.directory / "configs")
    for name, text in {
        "main.py": MAIN,
        "lib/model.py": "def loss(lr):\n    return lr\n",
        "configs/config.yaml": "lr: 0.5\nseed: 0\n",
        "data/numbers.txt": "1 2 3",
        ".gitignore": "data/\n",
    }.items():
        desk.write(text, name)
    desk.records = desk.app.records
    return desk


@pytest.fixture
def repository(project):
    git(project.directory, "init", "-q")
    git(project.directory, "add", "-A")
    git(project.directory, "commit", "-q", "-m", "start")
    return project


def edit_everything(desk):
    desk.write("raise SystemExit('edited')\n", "main.py")
    desk.write("def loss(lr):\n    return -1\n", "lib/model.py")
    desk.write("lr: 100\nseed: 0\n", "configs/config.yaml")


def copies(desk):
    return sorted((desk.directory / "logs/.store/copies").iterdir())


def test_frozen_jobs_run_the_code_and_configuration_of_their_submission(repository):
    repository.write("def loss(lr):\n    return lr * 7\n", "lib/model.py")  # not committed
    repository.write("x = 1\n", "lib/new.py")
    result = repository.submit(SCRIPT, "--frozen")
    (copy,) = copies(repository)
    assert result.stderr.splitlines()[-1] == f"mlxpsub: the jobs run the code of now, in {copy}"
    edit_everything(repository)
    for log_id in (1, 2):
        job = repository.run_job(log_id)
        assert job.returncode == 0, job.stderr
        assert repository.records("train", log_id) == [{"loss": 3.5, "data": "1 2 3"}]
    info = repository.app.info(1)
    assert (info["code_changed"], info["work_dir"], info["code"]["copy"]) == (False, str(copy), str(copy))
    assert info["code"]["top"] == str(repository.directory)
    assert info["git"]["branch"] in ("main", "master")
    assert (info["git"]["dirty"], info["version_manager"]) == (True, None)
    assert repository.app.log_ids() == [1, 2]
    assert not list(copy.rglob("submission.yaml"))


def test_jobs_that_are_not_frozen_say_that_the_code_has_changed(repository):
    result = repository.submit(SCRIPT)
    assert result.stderr.splitlines()[-1] == (
        "mlxpsub: the jobs run whatever code is there when they start; --frozen keeps that of now"
    )
    repository.write("0.5\n", "results.csv")  # of a run, which is no code
    assert repository.run_job(1).returncode == 0
    repository.write("def loss(lr):\n    return -1\n", "lib/model.py")
    job = repository.run_job(2)
    assert "mlxp: the code has changed since the submission: lib/model.py" in job.stderr
    assert [repository.app.info(log_id)["code_changed"] for log_id in (1, 2)] == [False, True]
    assert repository.app.info(2)["code"]["changed"] == ["lib/model.py"]
    frame = Reader(str(repository.directory / "logs")).filter()
    assert frame["info.code_changed"].tolist() == [False, True]
    shown = repository.mlxp("status").stdout
    assert re.search(
        r"^ +2  COMPLETE +job 102  the code has changed since the submission: lib/model.py$", shown, re.MULTILINE
    )
    assert [run["code_changed"] for run in json.loads(repository.mlxp("status", "--json").stdout)] == [False, True]
