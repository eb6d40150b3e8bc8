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
    assert result.stderr.splitlines()[-1] == f"mlxpsub: the jobs run the code as it is now, in {copy}"
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
        "mlxpsub: the jobs run whatever code is there when they start; --frozen keeps the present code"
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


def test_dry_run_tells_what_is_not_frozen_and_makes_nothing(repository):
    repository.write("lr: 0.25\nseed: 0\n", "configs/config.yaml")
    repository.write("x = 1\n", "lib/new.py")
    repository.write("TOKEN=1\n", ".env")
    result = repository.submit(SCRIPT, "--dry-run", "--frozen")
    lines = result.stdout.splitlines()
    top = repository.directory
    place = next(line for line in lines if line.startswith("frozen: ")).rpartition(" ")[2]
    assert place.startswith(f"{top}/logs/.store/copies/")
    start = lines.index(f"frozen: {top}, in {place}")
    assert lines[start + 1 : start + 4] == [
        "  with uncommitted changes: configs/config.yaml",
        "  with untracked files: lib/new.py, script.sh",
        "not frozen, reached by links: data, .env",
    ]
    assert f"cd {place} || {{ echo" in result.stdout
    assert not (top / "logs").exists()
    assert repository.submit(SCRIPT, "--frozen").returncode == 0
    assert [str(path) for path in copies(repository)] == [place]


def test_copy_that_is_gone_is_said_and_made_again(repository):
    repository.submit(SCRIPT, "--frozen")
    (copy,) = copies(repository)
    shutil.rmtree(copy)
    edit_everything(repository)
    job = repository.run_job(1)
    assert (job.returncode, job.stdout) == (1, "")
    assert f"mlxp: the copy of the code in {copy} is gone; mlxp resubmit makes it again" in job.stderr
    assert repository.mlxp("resubmit", "info.logger.log_id == 1", "--force").returncode == 0
    assert repository.run_job(1).returncode == 0
    assert repository.records("train", 1) == [{"loss": 0.5, "data": "1 2 3"}]
    (copy / "lib/model.py").write_text("def loss(lr):\n    return -7\n", encoding="utf-8")
    job = repository.run_job(2)
    assert "mlxp: the code has changed since the submission: lib/model.py" in job.stderr
    assert repository.app.info(2)["code_changed"] is True


def test_paths_of_the_repository_lead_into_the_copy_however_they_are_spelled(repository):
    top = repository.directory
    (top / "src/pkg").mkdir(parents=True)
    repository.write("def loss(lr):\n    return lr\n", "src/pkg/model.py")
    repository.write(MAIN.replace("lib.model", "pkg.model").replace('"data/', '"../data/'), "sub/main.py")
    (top / "configs").rename(top / "sub/configs")
    repository.write("data/\nhere/\n", ".gitignore")
    (top / "here").mkdir()
    text = f"""#!/bin/bash
#SBATCH --time=1
export ROOT={top} PYTHONPATH={top}/src
cd sub
(cd {top}/sub; python $PWD/main.py seed=1 mlxp.logger.parent_log_dir=../logs)
cd {top}/sub && python main.py seed=2 mlxp.logger.parent_log_dir=../logs
for i in 3; do cd "$ROOT/sub"; python ./main.py seed=$i mlxp.logger.parent_log_dir=../logs; cd ..; done
"""
    repository.write(text)
    result = repository.mlxpsub("script.sh", "--frozen")
    assert result.returncode == 0, result.stderr
    for path in ("sub/main.py", "src/pkg/model.py", "sub/configs/config.yaml"):
        repository.write("lr: [\nraise SystemExit('edited')\n", path)
    for log_id in repository.app.log_ids():
        job = repository.run_job(log_id)
        assert job.returncode == 0, job.stderr + repository.job(log_id)
        assert repository.records("train", log_id)[0]["loss"] == 0.5
    assert len(repository.app.log_ids()) == 3


def test_module_that_comes_from_the_original_is_refused(repository):
    repository.write(f"import sys\nsys.path.insert(0, {str(repository.directory)!r})\n{MAIN}", "main.py")
    repository.submit("#!/bin/bash\n#SBATCH --time=1\npython main.py\n", "--frozen")
    job = repository.run_job(1)
    assert job.returncode == 1
    assert f"these modules come from {repository.directory} instead of the copy" in job.stderr
    assert "lib.model" in job.stderr
    assert repository.app.info()["status"] == "FAILED"


def test_fifty_runs_cost_one_copy(repository):
    result = repository.submit(
        "#!/bin/bash\n#SBATCH --time=1\npython main.py 'seed=range(50)'\n", "--frozen", "--array"
    )
    assert result.stderr.splitlines()[-1].startswith("mlxpsub: the jobs run the code as it is now, in ")
    assert len(repository.app.log_ids()) == 50
    assert len(copies(repository)) == 1
    assert len(list((repository.directory / "logs/.store/trees").iterdir())) == 1
    assert repository.submission(50)["code"]["copy"] == str(copies(repository)[0])


def test_program_outside_of_git_is_frozen_by_the_same_rules(project):
    project.write("x" * 5_000_001, "large.txt")
    project.submit(SCRIPT, "--frozen")
    edit_everything(project)
    project.write("4 5 6", "data/numbers.txt")
    assert project.run_job(1).returncode == 0
    (copy,) = copies(project)
    assert (copy / "large.txt").is_symlink()
    assert project.app.info()["git"] is None
    assert project.records("train", 1) == [{"loss": 0.5, "data": "4 5 6"}]  # of data that .gitignore names
