"""`mlxpsub --local N`: the runs of a script on this computer, some at a time."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from mlxp.jobs.run_state import run_states
from mlxp_reader import Reader

TASK = """import os, time
import mlxp

@mlxp.launch(config_path="./configs")
def task(ctx: mlxp.Context) -> None:
    print("device", os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("SLURM_SUBMIT_DIR"), flush=True)
    for epoch in range(ctx.config.num_epoch):
        if ctx.should_stop():
            return
        ctx.logger.log_metrics({"epoch": epoch}, "train")
        while ctx.config.seed == 3 and os.path.exists(os.environ["GATE"]) and not ctx.should_stop():
            time.sleep(0.02)
    if ctx.config.seed == 2:
        raise ValueError("seed 2")

task()
"""
SCRIPT = """#!/bin/bash
#SBATCH --time=1
cd $SLURM_SUBMIT_DIR
python main.py num_epoch=1 seed=1,2,3,4
"""
CALL = [sys.executable, "-c", "import sys; from mlxp.commands.mlxpsub import main; sys.exit(main())"]


@pytest.fixture
def here(desk, tmp_path):
    desk.write(TASK, "main.py")
    desk.write(SCRIPT)
    desk.env["GATE"] = str(tmp_path / "gate")
    return desk


def states(desk):
    logs = desk.directory / "logs"
    return [str(one.status) for one in run_states(logs)] if logs.exists() else []


def wait_for(condition):
    deadline = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_runs_are_done_here_as_jobs_would_do_them(here):
    result = here.mlxpsub("--local", "2", "script.sh", "--name", "tried", CUDA_VISIBLE_DEVICES="4,5")
    assert result.returncode == 1
    lines = result.stdout.splitlines()
    assert [line for line in lines if line.startswith("run 2: ")] == [
        "run 2: python main.py num_epoch=1 seed=2",
        "run 2: FAILED: ValueError: seed 2",
    ]
    assert lines[-1] == "4 runs: 3 COMPLETE, 1 FAILED"
    assert states(here) == ["COMPLETE", "FAILED", "COMPLETE", "COMPLETE"]
    printed = [(here.directory / f"logs/{one}/log.stdout").read_text() for one in (1, 2)]
    assert printed == [f"device {device} {here.directory}\n" for device in (4, 5)]
    assert "ValueError: seed 2" in (here.directory / "logs/2/log.stderr").read_text()
    assert [run["batch"] for run in json.loads(here.mlxp("status", "--json").stdout)] == ["tried"] * 4
    assert not (here.directory / "logs/.launch").exists()
    assert not (here.home / "calls").exists(), "a scheduler was asked"
    # All that was asked for is done: the same command does it once more, or what is missing.
    again = here.mlxpsub("--local", "9", "--only-missing", "script.sh")
    assert [line for line in again.stdout.splitlines() if line.startswith("run ")][:1] == [
        "run 5: python main.py num_epoch=1 seed=2"
    ]
    assert again.stdout.splitlines()[-1] == "1 run: 1 FAILED"


def test_interrupted_command_goes_on_with_what_is_not_done(here, tmp_path):
    (tmp_path / "gate").touch()
    command = [*CALL, "--local", "1", "script.sh"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=here.directory, env=here.env, **pipes)
    wait_for(lambda: len(list(here.directory.glob("logs/3/metrics/train.json"))) == 1)
    assert here.mlxpsub("--local", "2", "script.sh").returncode == 1, "two processes did the same"
    assert states(here) == ["COMPLETE", "FAILED", "RUNNING", "PREPARED"]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 128 + signal.SIGINT
    assert "interrupted; 2 of 4 runs are not done. The same command goes on with them." in errors
    assert states(here) == ["COMPLETE", "FAILED", "KILLED", "PREPARED"]
    assert here.mlxp("resubmit").stdout == "no run to submit\n"
    (tmp_path / "gate").unlink()
    again = here.mlxpsub("--local", "1", "script.sh")
    assert (again.returncode, again.stderr) == (1, "")
    assert states(here) == ["COMPLETE", "FAILED", "COMPLETE", "COMPLETE"]
    assert [one for one in again.stdout.splitlines() if "python" in one] == [
        "run 3: python main.py num_epoch=1 seed=3",
        "run 4: python main.py num_epoch=1 seed=4",
    ]
    assert here.app.log_ids() == [1, 2, 3, 4]
    assert [here.app.info(one)["attempt"] for one in (1, 3, 4)] == [1, 2, 1]
    assert Reader(here.directory / "logs").filter()["train.epoch"][2].tolist() == [0]


def test_killed_command_leaves_runs_that_go_on_to_themselves(here, tmp_path):
    (tmp_path / "gate").touch()
    here.write(SCRIPT.replace("1,2,3,4", "2,3"))
    process = subprocess.Popen([*CALL, "--local", "2", "script.sh"], cwd=here.directory, env=here.env)
    wait_for(lambda: states(here) == ["FAILED", "RUNNING"])
    process.kill()
    process.wait(timeout=60)
    again = here.mlxpsub("--local", "1", "script.sh")
    assert "run 2: goes on in process" in again.stdout
    assert again.stdout.splitlines()[-1].endswith("; the same command goes on with 1")
    assert here.mlxp("cancel", "seed == 3").stdout == "cancelled the jobs of 1 run: 2\n"
    wait_for(lambda: states(here)[1] == "KILLED")
    last = here.mlxpsub("--local", "1", "script.sh")
    assert last.stdout == "2 runs: 1 FAILED, 1 KILLED\n", "a cancelled run was begun again"


def test_waiting_run_can_be_cancelled(here, tmp_path):
    (tmp_path / "gate").touch()
    here.write(SCRIPT.replace("1,2,3,4", "3,4"))
    process = subprocess.Popen([*CALL, "--local", "1", "script.sh"], cwd=here.directory, env=here.env)
    wait_for(lambda: states(here) == ["RUNNING", "PREPARED"])
    assert here.mlxp("cancel", "seed == 4").stdout == "cancelled the jobs of 1 run: 2\n"
    (tmp_path / "gate").unlink()
    assert process.wait(timeout=100) == 1
    assert states(here) == ["COMPLETE", "KILLED"]
    assert Reader(here.directory / "logs").filter()["info.status"].tolist() == ["COMPLETE", "KILLED"]


def test_script_that_fails_before_its_run_is_refused(here):
    here.write('#!/bin/bash\n[ -n "$MLXP_PLAN" ] || exit 7\npython main.py\n')
    result = here.mlxpsub("--local", "1", "script.sh")
    assert result.returncode == 1
    assert "run 1: REFUSED: its script ended with exit code 7 before the run began" in result.stdout


def test_plan_is_shown_and_options_of_schedulers_are_refused(here):
    dry = here.mlxpsub("--local", "2", "script.sh", "--dry-run").stdout
    assert dry.startswith("4 runs, 2 at a time on this computer:\n  run 1: num_epoch=1 seed=1\n")
    assert f"the script of the first run, {here.directory}/logs/1/script.sh:" in dry
    assert not (here.directory / "logs").exists()
    for words in (["--array"], ["--per-job", "2"], ["--scheduler", "SLURM"], ["script.sh", "--time=2:00:00"]):
        refused = here.mlxpsub("--local", "2", *words, *([] if "script.sh" in words else ["script.sh"]))
        assert (refused.returncode, "without one; omit it" in refused.stderr) == (1, True), refused.stderr
    assert os.listdir(here.directory / "configs")
