"""`python main.py mlxp.use_scheduler=true`: a program that submits its own runs, as its settings say."""

import subprocess
import sys

import pytest
import yaml

SETTINGS = {
    "name": "SLURM",
    "option_cmd": ["--time=6:00:00", "--nice=3"],
    "shell_config_cmd": "export GREETING='hello  world'",
    "env_cmd": ["cd configs", "export SEEN=$PWD", "cd -"],
    "post_cmd": "echo after",
}


def start(desk, *arguments, program="main.py", **env):
    return subprocess.run(
        [sys.executable, "-u", program, *arguments],
        cwd=desk.directory,
        env=desk.env | env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def configure(desk, **settings):
    desk.write(yaml.safe_dump({"use_scheduler": True, "scheduler": SETTINGS | settings}), "configs/mlxp.yaml")


@pytest.fixture(scope="module")
def submitted(make_desk):
    desk = make_desk("quickstart", "SLURM")
    configure(desk)
    desk.result = start(desk, "optimizer.lr=10.,1.", "seed=1,2")
    assert desk.result.returncode == 0, desk.result.stderr
    return desk


def test_each_combination_becomes_a_job_and_none_runs_here(submitted):
    assert len(submitted.calls()) == 4
    assert submitted.app.log_ids() == [1, 2, 3, 4]
    assert not (submitted.directory / "logs/1/metadata/info.yaml").exists()
    assert [submitted.submission(log_id)["scheduler_job_id"] for log_id in (1, 4)] == ["101", "104"]


def test_one_line_is_printed_per_run(submitted):
    lines = submitted.result.stdout.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("run 1: job 101: ")


def test_script_holds_what_the_settings_say_in_their_order(submitted):
    directory = submitted.directory
    assert submitted.job(3).replace(sys.executable, "PYTHON") == (
        "#!/bin/bash\n"
        "#SBATCH --job-name=logs/3\n"
        f"#SBATCH --error={directory}/logs/3/log.stderr\n"
        f"#SBATCH --output={directory}/logs/3/log.stdout\n"
        "#SBATCH --time=6:00:00\n"
        "#SBATCH --nice=3\n"
        "\n"
        f"cd {directory} || exit 1\n"
        f"export MLXP_RUN_DIRECTORY={directory}/logs/3\n"
        "export GREETING='hello  world'\n"
        "cd configs\n"
        "export SEEN=$PWD\n"
        "cd -\n"
        "PYTHON -u main.py optimizer.lr=1. seed=1 mlxp.use_scheduler=false\n"
        "echo after\n"
    )


def test_job_does_its_run_and_submits_nothing(submitted):
    job = submitted.run_job(3)
    assert job.returncode == 0, job.stderr
    assert job.stdout.endswith("after\n")
    assert submitted.app.info(3)["status"] == "COMPLETE"
    assert submitted.app.info(3)["overrides"] == ["optimizer.lr=1.", "seed=1"]
    assert len(submitted.calls()) == 4


def test_job_whose_environment_was_cleared_submits_nothing(submitted):
    last = next(line for line in submitted.job(2).splitlines() if "main.py" in line)
    subprocess.run(["bash", "-c", last], cwd=submitted.directory, env=submitted.env, check=True, stdout=-3)
    assert len(submitted.calls()) == 4


@pytest.mark.parametrize("name", ["SLURM", "SLURMScheduler", "#SBATCH"])
def test_names_of_mlxp_1_are_understood_on_the_command_line(desk, name):
    options = '["--time=1","--nice=2"]'
    result = start(
        desk, "+mlxp.use_scheduler=true", f"+mlxp.scheduler.name='{name}'", f"+mlxp.scheduler.option_cmd={options}"
    )
    assert result.returncode == 0, result.stderr
    assert "#SBATCH --time=1\n#SBATCH --nice=2\n" in desk.job(1)
    assert desk.commands() == [f"{sys.executable} -u main.py mlxp.use_scheduler=false"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "SLURMY"}, "unknown scheduler 'SLURMY'; it is one of SLURM, OAR, PBS, SGE, MWM, LSF"),
        ({"name": "NoScheduler"}, "mlxp.scheduler.name is not set; set it to one of SLURM, OAR, PBS, SGE, MWM, LSF"),
        ({"name": "OAR"}, "the command oarsub, which submits '#OAR' scripts, is not on PATH; nothing was submitted"),
        ({"option_cmd": 3}, "mlxp.scheduler.option_cmd must be a text or a list of texts, not 3"),
        ({"options": "x"}, "unknown setting mlxp.scheduler.options; did you mean mlxp.scheduler.option_cmd?"),
        ({"shell_path": "/usr/bin/perl"}, "begin it with a line for one of bash, sh"),
        ({"before_cmd": "my_launcher"}, "mlxp.scheduler.before_cmd is 'my_launcher', which does not make one command"),
    ],
)
def test_wrong_settings_are_one_sentence_before_anything_is_created(desk, settings, message):
    configure(desk, **settings)
    result = start(desk, "seed=1,2")
    assert result.returncode == 1
    assert message in result.stderr
    assert not (desk.directory / "logs").exists()


def test_launcher_before_the_command_is_a_part_of_the_jobs_only(desk):
    configure(desk, before_cmd="A=1 srun -n 2")
    assert start(desk, "seed=1").returncode == 0
    assert desk.commands() == [f"A=1 srun -n 2 {sys.executable} -u main.py seed=1 mlxp.use_scheduler=false"]


def test_refusal_is_told_and_the_exit_code_is_1(desk):
    configure(desk)
    result = start(desk, "seed=1,2,3", FAKE_REFUSED="2")
    assert result.returncode == 1
    assert [desk.submission(log_id)["status"] for log_id in (1, 2, 3)] == ["SUBMITTED", "REFUSED", "SUBMITTED"]


def test_job_of_the_scheduler_never_submits(desk):
    configure(desk)
    result = start(desk, "seed=1,2", SLURM_JOB_ID="17")
    assert "inside job 17 of SLURM" in result.stderr
    assert result.returncode == 1
    assert not (desk.directory / "logs").exists()


@pytest.mark.parametrize("arguments", [["hydra.mode=RUN"], ["hydra/sweeper=basic", "seed=1,2"]])
def test_runs_that_are_not_known_in_advance_do_not_start_here_instead(desk, arguments):
    configure(desk)
    result = start(desk, *arguments)
    assert "these runs would start here" in result.stderr
    assert result.returncode == 1
    assert not list(desk.directory.glob("logs/[0-9]*"))


def test_settings_that_differ_between_runs_are_refused(desk):
    configure(desk)
    result = start(desk, "mlxp.scheduler.option_cmd='--nice=1','--nice=2'")
    assert "differ between the runs" in result.stderr
    assert not (desk.directory / "logs").exists()


def test_mlxpsub_submits_such_a_program_as_any_other(desk):
    configure(desk)
    desk.submit("#!/bin/bash\n#SBATCH --time=1\npython main.py seed=1,2\n")
    assert desk.commands()[1] == "python main.py seed=2 mlxp.use_scheduler=false"
    assert desk.run_job(2).returncode == 0
    assert (desk.app.log_ids(), len(desk.calls())) == ([1, 2], 2)


def test_program_called_from_python_says_that_it_cannot_submit(desk):
    configure(desk)
    desk.write("from main import my_task\nmy_task.sweep(['seed=1,2'])\n", "other.py")
    result = start(desk, program="other.py")
    assert "these runs would start here" in result.stderr
    assert not (desk.directory / "logs").exists()
