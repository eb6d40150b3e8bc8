"""Submitted runs of a program whose code is managed: they run from the copy, and what is asked is asked once."""

import subprocess

import pytest
import yaml


@pytest.fixture(scope="module")
def submitted(make_desk):
    desk = make_desk("quickstart", "SLURM")
    identity = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    desk.write("logs/\n.work_dir/\n", ".gitignore")
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *command], cwd=desk.directory, check=True)
    desk.write("untracked\n", "new_file")
    line = "python main.py mlxp.use_version_manager=true seed="
    desk.result = desk.submit(f"#!/bin/bash\n#SBATCH --time=1\n{line}1,2\n{line}3\n")
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
