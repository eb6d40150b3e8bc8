"""Several processes of one run, as torchrun and srun start them."""

import os
import subprocess

import pytest
import yaml

import mlxp
from mlxp.run_directory.layout import RunDirectory
from mlxp.run_directory.outcome import outcome

LAUNCHERS = {
    "torchrun": ("RANK", "WORLD_SIZE"),
    "srun": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
}


class Ranks:
    def __init__(self, program, launcher):
        self.program = program
        self.names = LAUNCHERS[launcher]
        self.run = RunDirectory(program.directory / "logs/1")
        self.run.metadata.mkdir(parents=True)
        # Here, what a process does is in its configuration.
        self.submission = {"scheduler": "SLURM", "status": "SUBMITTED", "attempt": 1, "accept_changes": True}
        self.run.submission_file.write_text(yaml.safe_dump(self.submission), encoding="utf-8")

    def start(self, rank, *arguments):
        variables = dict(zip(self.names, (str(rank), "3"), strict=True))
        env = os.environ | variables | {"MLXP_RUN_DIRECTORY": str(self.run.path), "SLURM_JOB_ID": "7"}
        return subprocess.Popen(
            self.program.command(*arguments),
            cwd=self.program.directory,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, rank, *arguments):
        process = self.start(rank, *arguments)
        process.communicate(timeout=60)
        return process.returncode

    def own_word(self):
        """What the reader, and whoever asks the scheduler, say of a run that has no exit."""
        frame = mlxp.Reader(self.run.path.parent).filter()
        known, _ = outcome(self.run.info(), self.run.submission())
        assert list(frame["info.status"]) == [known]
        return str(known)

    def status(self):
        """What the run itself, and the reader, say; they must agree."""
        info = self.run.info()
        frame = mlxp.Reader(self.run.path.parent).filter()
        assert list(frame["info.status"]) == [info["status"]]
        assert list(frame["info.exit.reason"]) == [info["exit"]["reason"]]
        return info["status"], info["exit"]["reason"]


@pytest.fixture(params=list(LAUNCHERS))
def processes(app, request):
    return Ranks(app("actions"), request.param)


@pytest.fixture
def ranks(app):
    return Ranks(app("actions"), "srun")


FAILED_JOB = {"phase": "FAILED", "words": "FAILED (exit code 137)", "begun": 1}
FAILED = ("FAILED", "rank 2: ZeroDivisionError: division by zero")


def test_run_is_not_complete_if_a_process_failed_before_the_first_returned(processes):
    assert processes.finish(2, "action=fail") == 1
    assert processes.finish(0) == 0
    assert processes.status() == FAILED
    # Who looks into the file alone is told, too.
    assert yaml.safe_load(processes.run.info_file.read_text(encoding="utf-8"))["status"] == "FAILED"


def test_run_is_not_complete_if_a_process_fails_after_the_first_returned(ranks):
    assert ranks.finish(0) == 0
    assert ranks.status() == ("COMPLETE", "returned")
    assert ranks.finish(1) == 0
    assert ranks.status() == ("COMPLETE", "returned")
    assert ranks.finish(2, "action=fail") == 1
    assert ranks.status() == FAILED


def test_each_process_writes_a_file_of_its_own(ranks):
    ranks.finish(0)
    info = ranks.run.info_file.read_text(encoding="utf-8")
    ranks.finish(2, "action=exit", "number=3")
    assert ranks.run.info_file.read_text(encoding="utf-8") == info
    assert [path.name for path in (ranks.run.metadata / "ranks").iterdir()] == ["2.yaml"]
    assert ranks.status() == ("FAILED", "rank 2: sys.exit(3)")


def test_process_that_a_signal_ended_is_no_completion(ranks):
    ranks.finish(0)
    assert ranks.finish(1, "action=signal", "signal=SIGTERM") == 143
    assert ranks.status() == ("KILLED", "rank 1: SIGTERM")


def test_run_is_under_way_until_all_processes_have_returned(ranks):
    other = ranks.start(2, "action=sleep")
    ranks.program.wait_for("started-0")
    assert ranks.finish(0) == 0
    assert ranks.own_word() == "RUNNING"
    other.kill()
    other.communicate(timeout=60)
    assert ranks.own_word() == "RUNNING"
    ranks.run.submission_file.write_text(yaml.safe_dump(ranks.submission | {"verdict": FAILED_JOB}), encoding="utf-8")
    assert ranks.own_word() == "FAILED"
    assert ranks.finish(2) == 0
    assert ranks.status() == ("COMPLETE", "returned")


def test_first_failure_explains_why_the_launcher_ended_the_others(ranks):
    first = ranks.start(0, "action=sleep")
    ranks.program.wait_for("started-0")
    ranks.finish(2, "action=fail")
    first.terminate()
    first.communicate(timeout=60)
    assert ranks.status() == FAILED


def test_failure_that_follows_the_end_of_all_does_not_explain_it(ranks):
    assert ranks.finish(0, "action=signal", "signal=SIGTERM") == 143
    assert ranks.finish(2, "action=fail") == 1
    assert ranks.status() == ("KILLED", "SIGTERM")


def test_next_attempt_is_not_held_to_the_failure_of_the_last(ranks):
    ranks.finish(2, "action=fail")
    ranks.finish(0, "action=fail")
    for rank in (0, 1, 2):
        assert ranks.finish(rank) == 0
    assert ranks.status() == ("COMPLETE", "returned")


def test_failure_of_the_first_process_is_its_own(ranks):
    ranks.finish(2, "action=fail")
    ranks.finish(0, "action=exit", "number=4")
    assert ranks.status() == ("FAILED", "sys.exit(4)")


@pytest.mark.parametrize("content", ["status: [", "status: 5\n", "- FAILED\n", ""])
def test_damaged_file_of_a_process_is_nobody(ranks, content):
    ranks.finish(0)
    ranks.run.rank_file(1).parent.mkdir()
    ranks.run.rank_file(1).write_text(content, encoding="utf-8")
    assert ranks.status() == ("COMPLETE", "returned")
