"""What a user sees of real schedulers; started by the script `run` in this folder, once for each of them."""

import json
import os
import subprocess
import sys
import time

import pytest

SCHEDULER = os.environ.get("REAL_SCHEDULER")
pytestmark = pytest.mark.skipif(SCHEDULER is None, reason="needs a real scheduler: tests/schedulers/run starts some")

DIRECTIVES = {
    "SLURM": "#SBATCH --time=0:05:00",
    "SGE": "#$ -l h_rt=300",
    "OAR": "#OAR -l core=1,walltime=0:05:00",
}
SHORT = {"SLURM": "#SBATCH --time=0:01:00", "SGE": "#$ -l h_rt=6", "OAR": "#OAR -l core=1,walltime=0:00:06"}
COMMANDS = {name: f"import sys; from mlxp.{name} import main; sys.exit(main())" for name in ("mlxpsub", "cli")}
ENDED = {"COMPLETE", "FAILED", "KILLED", "LOST", "REFUSED"}


class Cluster:
    """A program in a directory of its own, and the scheduler that runs it."""

    def __init__(self, app):
        self.app = app

    def script(self, body, directive=None):
        paths = f'export PATH="{os.path.dirname(sys.executable)}:$PATH" PYTHONPATH="{os.environ.get("PYTHONPATH", "")}"'
        text = f"#!/usr/bin/env bash\n{directive or DIRECTIVES[SCHEDULER]}\n{paths}\n{body}\n"
        (self.app.directory / "script.sh").write_text(text, encoding="utf-8")

    def submit(self, body, directive=None, *arguments):
        self.script(body, directive)
        result = self.call("mlxpsub", "script.sh", *arguments)
        assert result.returncode == 0, result.stderr
        return result

    def call(self, command, *arguments):
        return subprocess.run(
            [sys.executable, "-c", COMMANDS[command], *arguments],
            cwd=self.app.directory,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def status(self):
        runs = json.loads(self.call("cli", "status", "--json").stdout)
        return {run["log_id"]: run["status"] for run in runs}

    def wait(self, expected, seconds=150):
        """Wait until the runs have these states; return what `mlxp status` then prints."""
        deadline = time.monotonic() + seconds
        while (found := list(self.status().values())) != expected:
            assert time.monotonic() < deadline, f"{found} and not {expected}\n{self.call('cli', 'status').stdout}"
            time.sleep(1)
        return self.call("cli", "status").stdout


@pytest.fixture
def cluster(app):
    cluster = Cluster(app("actions"))
    yield cluster
    cluster.call("cli", "cancel", "info.status == 'RUNNING' | info.status == 'SUBMITTED'")


@pytest.fixture
def quickstart(app):
    return Cluster(app("quickstart"))


def test_sweep_of_two_commands_completes(quickstart):
    quickstart.submit("python main.py optimizer.lr=10.,1. seed=1,2\npython main.py model.num_units=100,200 seed=1,2")
    printed = quickstart.wait(["COMPLETE"] * 8)
    assert printed.startswith("8 runs in logs: 8 COMPLETE")
    assert (quickstart.app.directory / "logs/8/log.stdout").read_text(encoding="utf-8").startswith("seed: 2")
    assert quickstart.app.info(8)["scheduler"]["scheduler_job_id"]
    assert quickstart.app.log_ids() == list(range(1, 9))


def test_every_end_gets_its_state(cluster):
    crash_in_the_job = '[ -z "$SLURM_JOB_ID$JOB_ID$OAR_JOB_ID" ] || exit 4'
    cluster.submit(f"python main.py action=value,fail,exit number=3\n{crash_in_the_job}\npython main.py seed=8")
    printed = cluster.wait(["COMPLETE", "FAILED", "FAILED", "FAILED"])
    assert "ZeroDivisionError: division by zero" in printed
    assert "sys.exit(3)" in printed
    assert "the run never started, see" in printed


def test_cancelled_runs_are_killed_and_can_be_resubmitted(cluster):
    cluster.submit("python main.py action=sleep number=1,2")
    cluster.wait(["RUNNING", "RUNNING"])
    assert cluster.call("cli", "cancel", "number == 2").returncode == 0
    cluster.wait(["RUNNING", "KILLED"])
    cluster.call("cli", "cancel", "info.status == 'RUNNING'")
    cluster.wait(["KILLED", "KILLED"])
    assert cluster.call("cli", "resubmit", "info.status in ['FAILED', 'KILLED', 'LOST'] & number == 1").returncode == 0
    cluster.wait(["RUNNING", "KILLED"])
    assert cluster.app.info(1)["attempt"] == 2
    assert (cluster.app.directory / "logs/1/log.stdout.1").exists()
    cluster.call("cli", "cancel", "seed == 0")
    cluster.wait(["KILLED", "KILLED"])


def test_job_that_waits_is_submitted_and_can_be_cancelled(cluster):
    cluster.submit("python main.py action=sleep number=1,2,3,4,5,6,7,8")
    assert cluster.status()[8] == "SUBMITTED"
    assert cluster.call("cli", "cancel", "seed == 0").returncode == 0
    cluster.wait(["KILLED"] * 8)


def test_run_that_takes_too_long_is_killed(cluster):
    # The shortest limit of Slurm is a minute, and it looks every half a minute; the program sleeps for one.
    in_the_job = '[ -z "$SLURM_JOB_ID" ] || sleep 45'
    cluster.submit(f"{in_the_job}\npython main.py action=sleep number=1", SHORT[SCHEDULER])
    cluster.wait(["KILLED"], seconds=200)


def test_jobs_do_not_submit_again_while_the_submission_goes_on(quickstart):
    quickstart.submit("python main.py seed=1,2\nsleep 8\n# python main.py seed=3")
    quickstart.wait(["COMPLETE"] * 2)
    assert quickstart.app.log_ids() == [1, 2]


def test_directory_with_a_space_is_no_problem(quickstart):
    place = quickstart.app.directory.with_name("my project")
    quickstart.app.directory.rename(place)
    quickstart.app.directory = place
    quickstart.submit("python main.py seed=1")
    quickstart.wait(["COMPLETE"])
    assert quickstart.app.info()["work_dir"] == str(place)
    assert (place / "logs/1/log.stdout").exists()


def test_nasty_lines_do_what_they_say(cluster):
    cluster.submit(
        """
if [ -n "$SLURM_JOB_ID$JOB_ID$OAR_JOB_ID" ]; then LAUNCHER='env A=1'; fi
VALUE="a (b) 'c' "'"d" $HOME ${x}; # |'
export VALUE
for number in 4 5; do
    $LAUNCHER python -u main.py action=config number=$number \\
        "+note='\\$HOME; (x)'" '+sizes=[1, 2]' '+tree={a: 1}'
done
cd configs && nice python ../main.py action=exit number=0
"""
    )
    cluster.wait(["COMPLETE"] * 3)
    assert cluster.app.config(2)["note"] == "$HOME; (x)"
    assert cluster.app.config(2)["number"] == 5
    assert cluster.app.info(3)["work_dir"].endswith("configs")


@pytest.mark.skipif(SCHEDULER != "SLURM", reason="srun is Slurm's")
def test_launcher_starts_the_run_in_the_job_only(quickstart):
    quickstart.submit("srun python main.py seed=1,2")
    quickstart.wait(["COMPLETE"] * 2)
    job = int(quickstart.app.info(1)["scheduler"]["scheduler_job_id"])
    assert int(quickstart.app.info(2)["scheduler"]["scheduler_job_id"]) == job + 1


def test_output_follows_a_run_to_its_end(cluster):
    cluster.submit("python main.py action=say")
    printed = cluster.call("cli", "output", "1", "-f").stdout
    assert {"said by python", "said by a child"} <= set(printed.splitlines())
    assert "complained by a child" in cluster.call("cli", "output", "1", "--stderr").stdout
