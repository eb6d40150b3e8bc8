"""Several runs in one submission: arrays, and jobs that do one run after another."""

import re
import subprocess

import pytest

TASKS = {"SLURM": "101_{}", "SGE": "101.{}", "LSF": "101[{}]"}
DIRECTIVES = {"SLURM": "#SBATCH --time=1", "SGE": "#$ -l h_rt=60", "OAR": "#OAR -l core=1", "LSF": "#BSUB -W 1"}


@pytest.fixture
def words(make_desk):
    return lambda scheduler: make_desk("words", scheduler)


def submit(desk, *arguments, **env):
    script = f"#!/bin/bash\n{DIRECTIVES[desk.scheduler]}\npython main.py a=1,2,3,4,5\n"
    return desk.submit(script, *arguments, **env)


def start_task(desk, script, *arguments, **env):
    """Do what a task of an array does."""

    return subprocess.run([script, *arguments], env=desk.env | env, cwd=desk.home, check=False, timeout=60)


def words_of(desk, log_id):
    file = desk.directory / f"logs/{log_id}/ran.jsonl"
    return len(file.read_text(encoding="utf-8").splitlines()) if file.exists() else 0


@pytest.mark.parametrize("scheduler", ["SLURM", "SGE", "LSF"])
def test_array_is_one_submission_and_each_run_knows_its_task(words, scheduler):
    desk = words(scheduler)
    submit(desk, "--array", "--max-parallel", "2")
    assert len(desk.calls()) == 1
    ids = [desk.submission(log_id)["scheduler_job_id"] for log_id in range(1, 6)]
    assert ids == [TASKS[scheduler].format(task) for task in range(1, 6)]


def test_limits_of_arrays_are_spelled_as_each_scheduler_wants(words):
    for scheduler, expected in (
        ("SLURM", "--array=1-5%2"),
        ("SGE", "-t 1-5 -tc 2"),
        ("LSF", "-J logs-1-5-TOKEN[1-5]%2"),
    ):
        desk = words(scheduler)
        submit(desk, "--array", "--max-parallel", "2")
        assert expected in " ".join(desk.calls()[0]).replace(desk.submission(1)["token"], "TOKEN")


def test_jobs_of_an_array_of_oar_have_ids_of_their_own(words):
    desk = words("OAR")
    result = submit(desk, "--array", "--max-parallel", "2")
    assert [desk.submission(log_id)["scheduler_job_id"] for log_id in (1, 5)] == ["101", "105"]
    assert "cannot limit" in result.stderr


def test_scheduler_without_arrays_gets_single_jobs_and_says_so(make_desk):
    desk = make_desk("words", "PBS")
    result = desk.submit("#!/bin/bash\n#PBS -l walltime=1\npython main.py a=1,2,3\n", "--array", "--max-parallel", "2")
    assert "single jobs are submitted, and all may run at once" in result.stderr
    assert len(desk.calls()) == 3


def test_arrays_are_cut_at_the_limit_of_the_site(words):
    desk = words("SLURM")
    submit(desk, "--array", FAKE_ARRAY_SIZE="3")
    arrays = [word for call in desk.calls() for word in call if word.startswith("--array")]
    assert arrays == ["--array=1-2", "--array=1-2", "--array=1-1"]


def test_task_does_its_own_run_and_writes_into_its_directory(words):
    desk = words("SLURM")
    submit(desk, "--array")
    (script,) = desk.directory.glob("logs/.launch/*/1.sh")
    assert start_task(desk, script, SLURM_ARRAY_TASK_ID="2").returncode == 0
    assert [words_of(desk, log_id) for log_id in range(1, 6)] == [0, 1, 0, 0, 0]
    assert (desk.directory / "logs/2/log.stdout").exists()


def test_task_of_oar_is_told_its_number_as_an_argument(words):
    desk = words("OAR")
    submit(desk, "--array")
    (script,) = desk.directory.glob("logs/.launch/*/1.sh")
    start_task(desk, script, "4")
    assert words_of(desk, 4) == 1


def test_job_does_several_runs_after_one_another(words):
    desk = words("SLURM")
    submit(desk, "--per-job", "2")
    assert len(desk.calls()) == 3
    (script,) = desk.directory.glob("logs/.launch/*/3.sh")
    start_task(desk, script)
    assert [words_of(desk, log_id) for log_id in range(1, 6)] == [0, 0, 1, 1, 0]


def test_run_that_fails_does_not_stop_the_next_one_but_fails_the_job(words):
    desk = words("SLURM")
    desk.submit("#!/bin/bash\n#SBATCH --time=1\npython main.py a=1,2\n[ ! -e broken ] || exit 4\n", "--per-job", "2")
    (desk.directory / "broken").touch()
    (script,) = desk.directory.glob("logs/.launch/*/1.sh")
    assert start_task(desk, script).returncode == 4
    assert [words_of(desk, 1), words_of(desk, 2)] == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "shape", "task"),
    [
        (
            ["--array", "--max-parallel", "2"],
            "one SLURM job each, as tasks of 2 arrays, 2 at once",
            "$SLURM_ARRAY",
        ),
        (["--per-job", "2"], "3 SLURM jobs of at most 2 runs", "1"),
        (["--array", "--per-job", "2"], "3 SLURM jobs of at most 2 runs, as tasks of 1 array", "$SLURM_ARRAY"),
    ],
)
def test_dry_run_tells_jobs_and_submissions_and_creates_nothing(words, arguments, shape, task):
    desk = words("SLURM")
    result = submit(desk, "--dry-run", *arguments, FAKE_ARRAY_SIZE="4")
    assert result.stdout.startswith(f"5 runs, {shape}:\n  run 1: a=1\n")
    assert f"\ntask={task}" in result.stdout
    assert "python main.py a=1\n" in result.stdout
    assert not (desk.directory / "logs").exists()
    assert not (desk.home / "calls").exists()


@pytest.mark.parametrize(("runs", "arrays"), [(1000, "1 array"), (1001, "2 arrays")])
def test_thousand_tasks_are_one_submission(words, runs, arrays):
    desk = words("SLURM")
    desk.write(f"#!/bin/bash\n#SBATCH --time=1\npython main.py a={','.join(map(str, range(runs)))}\n")
    assert f"as tasks of {arrays}:" in desk.mlxpsub("--dry-run", "--array", "script.sh").stdout


def test_dry_run_tells_what_is_then_submitted(words):
    desk = words("SLURM")
    planned = submit(desk, "--dry-run", "--array").stdout
    submit(desk, "--array")
    (script,) = desk.directory.glob("logs/.launch/*/1.sh")
    text = script.read_text(encoding="utf-8").replace(script.parent.name, "NAME")
    assert text in re.sub(r"\d{8}-\d{6}-\w{6}", "NAME", planned)
    assert desk.job(1) in planned


def test_refused_array_marks_all_its_runs(words):
    desk = words("SLURM")
    script = desk.write("#!/bin/bash\n#SBATCH --time=1\npython main.py a=1,2\n").name
    assert desk.mlxpsub(script, "--array", FAKE_REFUSED="1").returncode == 1
    assert [desk.submission(log_id)["status"] for log_id in (1, 2)] == ["REFUSED", "REFUSED"]
    assert desk.mlxp("resubmit").returncode == 0
    assert [desk.submission(log_id)["status"] for log_id in (1, 2)] == ["SUBMITTED", "SUBMITTED"]


def test_first_number_of_a_task_is_the_schedulers_choice(words):
    desk = words("SLURM")
    desk.write(
        "import dataclasses\nfrom mlxp.scheduler import SLURM, register\n"
        "array = dataclasses.replace(SLURM.array, first=0)\n"
        "register(dataclasses.replace(SLURM, name='MINE', directive='#MINE', array=array))\n",
        "my_cluster.py",
    )
    desk.submit("#!/bin/bash\n#MINE --time=1\npython main.py a=1,2,3\n", "--array", "--plugin", "my_cluster")
    assert "--array=0-2" in desk.calls()[0]
    assert [desk.submission(log_id)["scheduler_job_id"] for log_id in (1, 2, 3)] == ["101_0", "101_1", "101_2"]
    (script,) = desk.directory.glob("logs/.launch/*/1.sh")
    start_task(desk, script, SLURM_ARRAY_TASK_ID="0")
    assert [words_of(desk, log_id) for log_id in (1, 2, 3)] == [1, 0, 0]


def test_runs_are_submitted_again_as_they_were_put_into_jobs(words):
    desk = words("SLURM")
    script = desk.write("#!/bin/bash\n#SBATCH --time=1\npython main.py a=1,2,3,4,5,6\n").name
    options = ["--array", "--max-parallel", "2", "--per-job", "2"]
    assert desk.mlxpsub(script, *options, FAKE_REFUSED="1").returncode == 1
    assert desk.mlxp("resubmit").returncode == 0
    assert "--array=1-3%2" in desk.calls()[-1]
    assert [desk.submission(log_id)["scheduler_job_id"] for log_id in (1, 2, 5)] == ["102_1", "102_1", "102_3"]
    *_, again = sorted(desk.directory.glob("logs/.launch/*/1.sh"))
    assert "#SBATCH --time=1\n" in again.read_text(encoding="utf-8")
    start_task(desk, again, SLURM_ARRAY_TASK_ID="3")
    assert [words_of(desk, log_id) for log_id in range(1, 7)] == [0, 0, 0, 0, 1, 1]
