"""Several runs at once in one job."""

import json
import signal
import subprocess
import time

import pytest

from mlxp.jobs.packing import Packing
from mlxp.jobs.several_runs import job_body

TASK = """import os, sys, time
import mlxp

@mlxp.launch(config_path="./configs")
def task(ctx: mlxp.Context) -> None:
    print("device", os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
    there = os.path.join(os.environ["MEETING"], str(ctx.config.seed))
    open(there, "w").close()
    deadline = time.monotonic() + 60
    while len(os.listdir(os.environ["MEETING"])) < 3:  # all three are there at once, or this fails
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if ctx.config.seed == 2:
        sys.exit(7)
    if os.environ.get("STAY"):
        time.sleep(60)

task()
"""


@pytest.fixture
def job(desk, tmp_path):
    """Start a job that does three runs at once, and return its process."""
    desk.write(TASK, "main.py")
    desk.submit("#!/bin/bash\n#SBATCH --time=1\npython main.py seed=1,2,3\n", "--per-job", "3", "--at-once")
    (tmp_path / "meeting").mkdir()
    (script,) = desk.directory.glob("logs/.launch/*/1.sh")

    def start(**env):
        env = {"MEETING": str(tmp_path / "meeting"), "SLURM_JOB_ID": "101", **env}
        return subprocess.Popen([script], env=desk.env | env, cwd=desk.home)

    return desk, start


def states(desk):
    return [one["status"] for one in json.loads(desk.mlxp("status", "--json", FAKE_STATE="").stdout)]


def test_runs_of_a_job_are_done_at_once_and_one_that_fails_leaves_the_others(job):
    desk, start = job
    assert desk.submission(1)["packing"]["side_by_side"] is True
    assert start(CUDA_VISIBLE_DEVICES="4,5").wait(timeout=100) == 7
    logs = [(desk.directory / f"logs/{one}/log.stdout").read_text() for one in (1, 2, 3)]
    assert logs == ["device 4\n", "device 5\n", "device 4\n"]
    assert states(desk) == ["COMPLETE", "FAILED", "COMPLETE"]


def test_signal_to_the_job_reaches_all_its_runs_which_say_so(job, tmp_path):
    desk, start = job
    process = start(STAY="yes", CUDA_VISIBLE_DEVICES="0")
    deadline = time.monotonic() + 100
    while len(list((tmp_path / "meeting").iterdir())) < 3 or "FAILED" not in states(desk):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    infos = [(desk.directory / f"logs/{one}/metadata/info.yaml").read_text() for one in (1, 2, 3)]
    assert ["status: KILLED" in info for info in infos] == [True, False, True]
    assert (desk.directory / "logs/1/log.stdout").read_text() == "device 0\n"


@pytest.mark.parametrize(("devices", "dealt"), [("0,1,2,3,4", ["0,3", "1,4", "2"]), ("", [""] * 3), ("7", ["7"] * 3)])
def test_devices_are_dealt_out(tmp_path, devices, dealt):
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "script.sh").write_text('echo "$CUDA_VISIBLE_DEVICES"\n')
    (tmp_path / "list").write_text("\t".join(str(tmp_path / str(number)) for number in range(3)) + "\n")
    script = job_body(Packing(3, side_by_side=True), task="1", interpreter="/bin/bash", list_file=tmp_path / "list")
    for shell in ("bash", "sh"):
        subprocess.run(
            [shell, "-c", script], env={"CUDA_VISIBLE_DEVICES": devices, "PATH": "/usr/bin:/bin"}, check=True
        )
    found = [(tmp_path / str(number) / "log.stdout").read_text().split("\n")[:2] for number in range(3)]
    assert found == [[one, one] for one in dealt]


def test_at_once_needs_to_know_how_many(desk):
    result = desk.mlxpsub(desk.write("#!/bin/bash\n#SBATCH --time=1\npython main.py\n").name, "--at-once")
    assert (result.returncode, "say how many with --per-job" in result.stderr) == (1, True)
