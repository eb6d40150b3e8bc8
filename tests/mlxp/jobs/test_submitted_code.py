"""Submitted runs of a program whose code is managed: they run from the copy, and what is asked is asked once."""

import os
import subprocess
import sys

import pytest
import yaml

LINE = "python main.py mlxp.use_version_manager=true seed="
SCRIPT = f"#!/bin/bash\n#SBATCH --time=1\n{LINE}1,2\n{LINE}3\n"
QUESTION = "Files to add, separated by commas"


@pytest.fixture(scope="module")
def make_repository(make_desk):
    """A function that makes a desk whose program lies in a git repository, with one file that is not in it."""

    def make():
        desk = make_desk("quickstart", "SLURM")
        identity = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
        desk.write("logs/\n.work_dir/\nscript.sh\n", ".gitignore")
        for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "first"]):
            subprocess.run(["git", *command], cwd=desk.directory, check=True)
        desk.write("untracked\n", "new_file")
        return desk

    return make


@pytest.fixture(scope="module")
def submitted(make_repository):
    desk = make_repository()
    desk.result = desk.submit(SCRIPT)
    desk.write("raise SystemExit('changed after the submission')\n", "main.py")
    desk.finished = desk.run_job(3)
    return desk


def test_job_starts_the_program_in_the_copy(submitted):
    assert f"cd {submitted.directory}/.work_dir/quickstart/" in submitted.job(3)


def test_run_has_its_own_directory_and_not_one_beside_the_copy(submitted):
    assert submitted.finished.returncode == 0, submitted.finished.stderr
    assert submitted.app.info(3)["status"] == "COMPLETE"
    assert submitted.app.log_ids() == [1, 2, 3]


def test_version_of_the_code_is_recorded(submitted):
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=submitted.directory, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert submitted.app.info(3)["version_manager"]["commit_hash"] == commit
    assert ".work_dir" in submitted.app.info(3)["work_dir"]


def test_nothing_is_asked_without_a_terminal(submitted):
    assert QUESTION not in submitted.result.stderr + submitted.result.stdout
    assert "new_file" in submitted.result.stderr


def test_questions_are_asked_once_per_submission_on_a_terminal(make_repository, on_a_terminal):
    desk = make_repository()
    desk.write(SCRIPT)
    command = [
        sys.executable,
        "-c",
        "import sys; from mlxp.commands.mlxpsub import main; sys.exit(main())",
        "script.sh",
    ]
    identity = {f"GIT_{who}_{what}": "me" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    shown, code = on_a_terminal(command, "new_file\ny\n", cwd=desk.directory, env=desk.env | identity)
    assert code == 0, shown
    assert shown.count(QUESTION) == 1
    assert shown.count("Commit them now?") == 1
    assert [desk.run_job(log_id).returncode for log_id in (1, 3)] == [0, 0]
    (work_dir,) = {desk.app.info(log_id)["work_dir"] for log_id in (1, 3)}
    assert os.path.exists(os.path.join(work_dir, "new_file"))


def test_settings_of_the_job_cannot_submit_or_sweep_again(make_desk):
    desk = make_desk("quickstart", "SLURM")
    config = yaml.safe_load((desk.directory / "configs/config.yaml").read_text(encoding="utf-8"))
    config |= {"hydra": {"sweeper": {"params": {"seed": "5,6"}}}}
    desk.write(yaml.safe_dump(config), "configs/config.yaml")
    desk.submit("#!/bin/bash\n#SBATCH --time=1\npython main.py model.num_units=1\n")
    assert desk.commands() == [f"python main.py seed={seed} model.num_units=1" for seed in (5, 6)]
    assert desk.run_job(2).returncode == 0
    assert desk.app.config(2)["seed"] == 6
    assert desk.app.log_ids() == [1, 2]
