"""A run that was told to stop has its job put back into the queue, at most as often as it says, and is one curve."""

import os
import signal
import subprocess
import sys
import time

import pytest

from mlxp.run_directory.layout import RunDirectory
from mlxp_reader import Reader

TASK = """import os, time
import mlxp

@mlxp.launch(config_path="./configs")
def task(ctx: mlxp.Context) -> None:
    try:
        epoch = ctx.logger.load_checkpoint("last")
    except FileNotFoundError:
        epoch = 0
    while epoch < ctx.config.num_epoch:
        if ctx.should_stop():
            return
        ctx.logger.log_metrics({"epoch": epoch, "attempt": ctx.info.attempt}, log_name="train")
        epoch += 1
        if epoch % 2:
            ctx.logger.log_checkpoint(epoch, "last")
        time.sleep(0.02)

task()
"""
CALL = [sys.executable, "-c", "import sys; from mlxp.commands.mlxpsub import main; sys.exit(main())"]
COMMAND = "python main.py num_epoch=1000000 mlxp.requeue=2"
SLURM = f"#!/bin/bash\n#SBATCH --time=1\n{COMMAND}\n"


class Queue:
    """What starts a job as often as it is put back, and ends it as a scheduler would."""

    def __init__(self, desk):
        self.desk = desk
        self.asked = desk.home / "asked"
        self.run = RunDirectory(desk.directory / "logs/1")
        (desk.home / "own").mkdir()
        desk.env["PATH"] = f"{desk.home / 'own'}:{desk.env['PATH']}"
        self.fake("squeue", "echo RUNNING")
        self.fake("scontrol", f'echo "$@" >> "{self.asked}"')

    def fake(self, name, line):
        file = self.desk.home / "own" / name
        file.write_text(f"#!/bin/sh\n{line}\n")
        file.chmod(0o755)

    def start(self, script=None, **variables):
        found = script or max(self.desk.directory.glob("logs/.launch/*/*.sh"), key=os.path.getmtime)
        env = self.desk.env | {"SLURM_JOB_ID": "101", **variables}
        return subprocess.Popen([found], env=env, cwd=self.desk.home)

    def wait_for_records(self, log_id=1):
        file = RunDirectory(self.desk.directory / f"logs/{log_id}").metrics_file("train")
        before = file.stat().st_size if file.exists() else 0
        deadline = time.monotonic() + 100
        while not (file.exists() and file.stat().st_size > before):
            assert time.monotonic() < deadline, "the task has logged nothing"
            time.sleep(0.05)

    def preempted(self, name="SIGUSR1", **variables):
        """Start the job, warn it, and return its exit code and how the run says that it ended."""
        job = self.start(**variables)
        self.wait_for_records()
        job.send_signal(getattr(signal, name))
        code = job.wait(timeout=100)
        end = self.run.info()["exit"]
        return code, end["reason"], end.get("put_back")

    def commands(self):
        lines = self.asked.read_text().splitlines() if self.asked.exists() else []
        return [line for line in lines if line.startswith("requeue")]


@pytest.fixture
def queue(desk):
    desk.write(TASK, "main.py")
    return Queue(desk)


def test_preempted_run_is_put_back_as_often_as_it_says(queue):
    queue.desk.submit(SLURM)
    assert "--requeue" in queue.desk.calls()[-1]
    assert queue.desk.submission(1)["requeue"] == 2
    assert queue.preempted("SIGTERM")[1:] == ("PREEMPTED", 1)
    assert queue.commands() == ["requeue 101"]
    (queue.desk.home / "queue").write_text("101|PENDING|BeginTime\n")
    queue.fake("squeue", f'cat "{queue.desk.home}/queue"')
    assert "SUBMITTED  job 101  SLURM says PENDING (BeginTime)" in queue.desk.mlxp("status").stdout
    queue.fake("squeue", "echo RUNNING")
    assert queue.preempted()[1:] == ("PREEMPTED", 2)
    assert queue.commands() == ["requeue 101"] * 2
    assert queue.preempted()[1:] == ("PREEMPTED", None)
    assert queue.commands() == ["requeue 101"] * 2, "it was put back once more"
    (frame,) = [Reader(queue.desk.directory / "logs").filter()]
    assert frame["train.epoch"][0].tolist() == list(range(len(frame["train.epoch"][0])))
    assert {1, 3} <= set(frame["train.attempt"][0].tolist()) <= {1, 2, 3}
    # Whoever submits it again gives it as many times anew.
    (queue.desk.home / "queue").write_text("101|COMPLETED|None\n")
    queue.fake("squeue", f'cat "{queue.desk.home}/queue"')
    assert queue.desk.mlxp("resubmit", "seed == 0").stdout == "run 1: job 102\n"
    queue.fake("squeue", "echo RUNNING")
    assert queue.preempted(SLURM_JOB_ID="102")[1:] == ("PREEMPTED", 1)


def test_cancelled_job_does_not_come_back(queue):
    queue.desk.submit(SLURM)
    queue.fake("squeue", "exit 0")  # it is no longer running
    assert queue.preempted()[1:] == ("PREEMPTED", 1)
    assert queue.commands() == []
    queue.fake("squeue", "echo '101|RUNNING|None'")
    job = queue.start()
    queue.wait_for_records()
    queue.fake("scancel", f"kill -TERM {job.pid}")
    assert queue.desk.mlxp("cancel", "seed == 0").returncode == 0
    job.wait(timeout=100)
    assert queue.run.info()["exit"].get("put_back") is None
    assert queue.commands() == []


def test_job_asks_by_its_exit_code(make_desk):
    queue = Queue(make_desk("quickstart", "SGE"))
    queue.desk.write(TASK, "main.py")
    queue.desk.submit(f"#!/bin/bash\n#$ -l h_rt=60\n{COMMAND}\n")
    assert queue.desk.calls()[-1][1] == "-notify"
    assert queue.preempted(JOB_ID="101") == (99, "PREEMPTED", 1)
    assert not queue.run.put_back_file.exists()


def test_time_limit_is_known_from_the_scheduler_and_the_beginning_of_the_job(make_desk):
    queue = Queue(make_desk("quickstart", "OAR"))
    queue.desk.write(TASK, "main.py")
    queue.desk.submit(f"#!/bin/bash\n#OAR -l core=1\n{COMMAND}\n")
    assert queue.desk.calls()[-1][1:3] == ["-t", "idempotent"]
    assert queue.start(OAR_JOB_WALLTIME_SECONDS="61").wait(timeout=100) == 99
    assert queue.run.info()["exit"]["put_back"] == 1


def test_job_that_cannot_be_put_back_submits_the_next_one(make_desk):
    queue = Queue(make_desk("quickstart", "PBS"))
    queue.desk.write(TASK, "main.py")
    queue.desk.submit(f"#!/bin/bash\n#PBS -q gpu\n{COMMAND}\n")
    first = queue.desk.submission(1)
    assert queue.preempted(PBS_JOBID=first["scheduler_job_id"])[1:] == ("PREEMPTED", 1)
    second = queue.desk.submission(1)
    assert (second["status"], second["attempt"], second["put_back"]) == ("SUBMITTED", 2, 1)
    assert second["scheduler_job_id"] != first["scheduler_job_id"]
    assert second["token"] != first["token"]
    assert [one["scheduler_job_id"] for one in second["earlier"]] == [first["scheduler_job_id"]]
    # The job that was replaced does nothing any more.
    assert queue.start(PBS_JOBID=first["scheduler_job_id"]).wait(timeout=100) == 0
    assert queue.preempted(PBS_JOBID=second["scheduler_job_id"])[1:] == ("PREEMPTED", 2)
    third = queue.desk.submission(1)
    assert queue.preempted(PBS_JOBID=third["scheduler_job_id"])[1:] == ("PREEMPTED", None)
    assert queue.desk.submission(1) == third, "it was submitted once more"
    assert Reader(queue.desk.directory / "logs").filter()["info.attempt"].tolist() == [3]


def test_job_that_may_have_been_deleted_submits_no_other(make_desk):
    queue = Queue(make_desk("quickstart", "PBS"))
    queue.desk.write(TASK, "main.py")
    queue.desk.submit(f"#!/bin/bash\n#PBS -q gpu\n{COMMAND}\n")
    first = queue.desk.submission(1)
    assert queue.preempted("SIGTERM", PBS_JOBID=first["scheduler_job_id"])[1:] == ("PREEMPTED", None)
    assert queue.desk.submission(1) == first


@pytest.mark.parametrize("packing", [["--per-job", "2"], ["--per-job", "2", "--at-once"]])
def test_job_of_several_runs_is_put_back_once(queue, packing):
    script = SLURM.replace(COMMAND, f"{COMMAND} seed=1,2")
    queue.desk.submit(script, *packing)
    is_at_once = len(packing) == 3
    job = queue.start()
    queue.wait_for_records(2 if is_at_once else 1)
    queue.wait_for_records(1)
    job.send_signal(signal.SIGUSR1)
    job.wait(timeout=100)
    assert queue.commands() == ["requeue 101"]
    infos = [RunDirectory(queue.desk.directory / f"logs/{log_id}").info() for log_id in (1, 2)]
    ends = [(info.get("exit") or {}).get("put_back") for info in infos]
    assert ends == ([1, 1] if is_at_once else [1, None])


def test_array_is_put_back_task_by_task(queue):
    queue.desk.submit(SLURM, "--array")
    assert queue.preempted(SLURM_ARRAY_JOB_ID="101", SLURM_ARRAY_TASK_ID="1")[2] == 1
    assert queue.commands() == ["requeue 101_1"]


def test_run_can_be_warned_for_a_test(queue):
    queue.desk.write(f"#!/bin/bash\n{COMMAND}\n")
    process = subprocess.Popen(
        [*CALL, "--local", "1", "script.sh"],
        cwd=queue.desk.directory,
        env=queue.desk.env,
    )
    for times in (1, 2, None):
        queue.wait_for_records()
        while queue.run.info().get("status") != "RUNNING":
            time.sleep(0.05)
        assert queue.desk.mlxp("preempt", "1").stdout == "run 1: warned\n"
        deadline = time.monotonic() + 100
        while (queue.run.info().get("exit") or {}).get("reason") != "PREEMPTED":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert queue.run.info()["exit"].get("put_back") == times
    assert process.wait(timeout=100) == 1
    late = queue.desk.mlxp("preempt", "1")
    assert (late.returncode, late.stderr) == (1, "run 1: it is KILLED; only a run that goes on can be warned\n")
