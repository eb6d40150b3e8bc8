"""A task that is warned saves its state and returns; it is resumed later, and its curve is one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlxp.run_directory.layout import RunDirectory
from mlxp.running.preemption import forget_warnings, should_stop, take_warning
from mlxp.running.signals import Preempted, preempted_if_told
from mlxp_reader import Reader

PROGRAM = """
import time
from pathlib import Path

import mlxp


@mlxp.launch(config_path="configs")
def task(ctx):
    try:
        epoch = ctx.logger.load_checkpoint("last")
    except FileNotFoundError:
        epoch = 0
    while epoch < ctx.config.epochs:
        if ctx.should_stop():
            if not ctx.config.ignores:
                return
            Path("told").write_text("to stop")
        ctx.logger.log_metrics({"epoch": epoch, "loss": ctx.info.attempt}, log_name="train")
        epoch += 1
        ctx.logger.log_checkpoint(epoch, "last")
        time.sleep(ctx.config.pause)


if __name__ == "__main__":
    task()
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "main.py").write_text(PROGRAM)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/config.yaml").write_text("epochs: 100000\npause: 0.02\nignores: false\n")
    return tmp_path


def start(project, *overrides, **environment):
    command = [sys.executable, "main.py", *overrides]
    return subprocess.Popen(command, cwd=project, env=os.environ | environment)


def wait_for_file(file, size=0):
    end = time.monotonic() + 60
    while not (file.exists() and file.stat().st_size > size):
        assert time.monotonic() < end, f"the task has not written {file}"
        time.sleep(0.05)


def wait_for_records(project):
    wait_for_file(RunDirectory(project / "logs/1").metrics_file("train"), size=40)


def ending(project):
    info = RunDirectory(Path(project, "logs/1")).info()
    return info["status"], info["exit"]["reason"], info["exit"]["signal"]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGUSR2"])
def test_warned_task_returns_and_is_resumed_as_one_curve(project, name):
    process = start(project)
    wait_for_records(project)
    process.send_signal(getattr(signal, name))
    assert process.wait(timeout=60) == 128 + getattr(signal, name)
    assert ending(project) == ("KILLED", "PREEMPTED", name)
    logged = Reader(project / "logs").filter()["train.epoch"][0].tolist()
    again = start(project, "mlxp.logger.forced_log_id=1", f"epochs={len(logged) + 5}", "pause=0")
    assert again.wait(timeout=60) == 0
    assert ending(project)[:2] == ("COMPLETE", "returned")
    runs = Reader(project / "logs").filter()
    assert runs["train.epoch"][0].tolist() == list(range(len(logged) + 5))
    assert runs["train.loss"][0].tolist() == [1] * len(logged) + [2] * 5


@pytest.mark.parametrize(("code", "is_preempted"), [(None, True), (0, True), (3, False)])
def test_warned_task_that_exits_as_if_all_was_well_is_not_complete(code, is_preempted):
    forget_warnings()
    assert not should_stop()
    assert take_warning(signal.SIGTERM)
    with pytest.raises((Preempted, SystemExit)) as raised, preempted_if_told():
        raise SystemExit(code)
    assert isinstance(raised.value, Preempted) == is_preempted
    forget_warnings()
    with pytest.raises(SystemExit), preempted_if_told():
        raise SystemExit


def test_second_warning_interrupts(project):
    process = start(project, "ignores=true")
    wait_for_records(project)
    process.send_signal(signal.SIGTERM)
    wait_for_file(project / "told")
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert ending(project) == ("KILLED", "SIGTERM", "SIGTERM")


def test_time_limit_that_is_near_stops_the_task(project):
    near, far = (str(int(time.time()) + seconds) for seconds in (30, 3600))
    assert start(project, SLURM_JOB_END_TIME=near).wait(timeout=60) == 128 + signal.SIGTERM
    assert ending(project)[:2] == ("KILLED", "PREEMPTED")
    assert start(project, "mlxp.logger.forced_log_id=1", "epochs=3", SLURM_JOB_END_TIME=far).wait(timeout=60) == 0
    assert start(project, "epochs=3", "pause=0", SLURM_JOB_END_TIME="soon").wait(timeout=60) == 0


def test_run_that_is_killed_and_started_again_at_any_moment_is_one_curve():
    script = Path(__file__).parents[2] / "benchmarks/requeues.py"
    result = subprocess.run([sys.executable, script, "6"], capture_output=True, text=True, timeout=600, check=False)
    assert (result.returncode, ", each once; COMPLETE" in result.stdout) == (0, True), result.stdout + result.stderr
