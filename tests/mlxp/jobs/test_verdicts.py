"""What the scheduler says for the last time is written down, so that all who tell of a run say the same."""

import dataclasses
import os
import time
from datetime import datetime

import pytest
import yaml

from mlxp.job_state import JobState, Phase
from mlxp.jobs.run_state import run_states
from mlxp.run_directory.layout import RunDirectory
from mlxp.scheduler import SLURM, register
from mlxp_reader import Reader

ENDS = ["TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "CANCELLED"]


@pytest.fixture
def scheduler():
    """What the scheduler says of its job 7; a test changes it."""
    answer = {}
    register(dataclasses.replace(SLURM, name="FAKE", directive="#FAKE", state=lambda _: dict(answer), find=None))
    return answer


@pytest.fixture
def run(tmp_path):
    directory = RunDirectory(tmp_path / "logs/1")
    directory.metadata.mkdir(parents=True)
    directory.config_file.write_text("seed: 1\n", encoding="utf-8")
    write(directory.submission_file, status="SUBMITTED", scheduler="FAKE", scheduler_job_id="7", attempt=1)
    return directory


def write(file, age=0, **content):
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    os.utime(file, (0, time.time() - age))


def says(run, status, age=0, **info):
    exit_ = {"reason": "SIGTERM", "code": 143, "signal": "SIGTERM", "traceback": None} if status == "KILLED" else None
    known = {"hostname": "node", "process_id": 5, "attempt": 1, "heartbeat": 30.0, "exit": exit_}
    write(run.info_file, age, **{**known, "status": status, **info})


def told(run):
    """Return the status that everybody tells, and the reader's reason."""
    (state,) = run_states(run.path.parent)
    (again,) = run_states(run.path.parent)
    frame = Reader(run.path.parent).filter()
    assert state.status == again.status == frame["info.status"].iloc[0]
    reason = frame["info.exit.reason"].iloc[0] if "info.exit.reason" in frame.columns else None
    return str(state.status), reason


@pytest.mark.parametrize("reason", ENDS)
@pytest.mark.parametrize("word", [None, "STARTING", "RUNNING", "KILLED"])
def test_ends_from_outside_are_told_apart_and_can_be_queried(scheduler, run, reason, word):
    scheduler["7"] = JobState(Phase.ENDED, reason, reason=reason)
    if word is not None:
        says(run, word)
    assert told(run) == ("KILLED", reason)
    scheduler["7"] = JobState(Phase.FORGOTTEN)
    assert told(run) == ("KILLED", reason)
    assert len(Reader(run.path.parent).filter(f"info.exit.reason == '{reason}'")) == 1
    assert run.submission()["verdict"]["reason"] == reason


@pytest.mark.parametrize(
    ("word", "job", "expected"),
    [
        (None, JobState(Phase.WAITING), "SUBMITTED"),
        (None, JobState(Phase.RUNNING), "SUBMITTED"),
        (None, JobState(Phase.FAILED, "FAILED"), "FAILED"),
        (None, JobState(Phase.DONE, "COMPLETED"), "FAILED"),
        (None, JobState(Phase.UNKNOWN), "SUBMITTED"),
        ("RUNNING", JobState(Phase.RUNNING), "RUNNING"),
        ("RUNNING", JobState(Phase.FAILED, "FAILED"), "FAILED"),
        ("RUNNING", JobState(Phase.UNKNOWN), "RUNNING"),
        ("RUNNING", JobState(Phase.DONE, "COMPLETED"), "RUNNING"),
        ("COMPLETE", JobState(Phase.ENDED, "TIMEOUT", reason="TIMEOUT"), "COMPLETE"),
        ("FAILED", JobState(Phase.FAILED, "FAILED"), "FAILED"),
        ("KILLED", JobState(Phase.FORGOTTEN), "KILLED"),
    ],
)
def test_everybody_tells_the_same(scheduler, run, word, job, expected):
    scheduler["7"] = job
    if word is not None:
        says(run, word)
    assert told(run)[0] == expected


def test_run_that_is_silent_though_its_job_has_ended_is_lost_to_everybody(scheduler, run):
    scheduler["7"] = JobState(Phase.DONE, "COMPLETED")
    says(run, "RUNNING", age=1000)
    assert told(run)[0] == "LOST"


def test_run_that_begins_again_after_the_verdict_is_judged_anew(scheduler, run):
    scheduler["7"] = JobState(Phase.ENDED, "NODE_FAIL", reason="NODE_FAIL")
    says(run, "RUNNING")
    assert told(run) == ("KILLED", "NODE_FAIL")
    says(run, "RUNNING", attempt=2)
    scheduler["7"] = JobState(Phase.RUNNING)
    assert told(run)[0] == "RUNNING"


@pytest.mark.parametrize("word", ["FAILED", "KILLED"])
def test_run_whose_job_is_started_again_is_neither_over_nor_resubmittable(scheduler, run, word):
    says(run, word, ended_at=datetime.fromtimestamp(time.time() - 100).astimezone().isoformat())
    for job in (JobState(Phase.WAITING, "PENDING"), JobState(Phase.RUNNING, "RUNNING", started_at=time.time() - 10)):
        scheduler["7"] = job
        (state,) = run_states(run.path.parent)
        assert (state.status, state.has_live_job) == ("SUBMITTED", True)
        assert state.obstacle_to_resubmission(force=True) == "it is SUBMITTED; cancel it first"
    scheduler["7"] = JobState(Phase.RUNNING, "COMPLETING", started_at=time.time() - 1000)
    (state,) = run_states(run.path.parent)
    assert (state.status, state.has_live_job) == (word, True)
    assert "its job is not over" in state.obstacle_to_resubmission(force=True)


@pytest.mark.parametrize("word", ["RUNNING", "FAILED", "KILLED"])
def test_everybody_tells_that_a_run_will_begin_again_until_it_does(scheduler, run, word):
    says(run, word, age=100, ended_at=datetime.fromtimestamp(time.time() - 100).astimezone().isoformat())
    again = JobState(Phase.RUNNING, "RUNNING", started_at=time.time() - 10)
    for job in (JobState(Phase.WAITING, "PENDING"), JobState(Phase.UNKNOWN), again, JobState(Phase.UNKNOWN)):
        scheduler["7"] = job
        assert told(run)[0] == "SUBMITTED"
        assert len(Reader(run.path.parent).filter("info.status == 'SUBMITTED'")) == 1
    scheduler["7"] = JobState(Phase.RUNNING, "RUNNING", started_at=time.time() - 1000)
    assert told(run)[0] == word
    scheduler["7"] = again
    assert told(run)[0] == "SUBMITTED"
    says(run, "RUNNING", attempt=2)
    assert told(run)[0] == "RUNNING"


def test_run_that_waits_to_begin_again_and_is_cancelled_is_what_it_was_to_everybody(scheduler, run):
    says(run, "FAILED", ended_at="2026-01-01T00:00:00+00:00")
    scheduler["7"] = JobState(Phase.WAITING, "PENDING")
    assert told(run)[0] == "SUBMITTED"
    scheduler["7"] = JobState(Phase.ENDED, "CANCELLED", reason="CANCELLED")
    assert told(run)[0] == "FAILED"
    assert run.submission()["verdict"]["phase"] == "ENDED"


def test_complete_run_whose_job_goes_on_can_be_cancelled_and_not_resubmitted(scheduler, run):
    says(run, "COMPLETE")
    scheduler["7"] = JobState(Phase.RUNNING, "RUNNING")
    (state,) = run_states(run.path.parent, ask_all=True)
    assert (state.status, state.has_live_job) == ("COMPLETE", True)
    assert "its job is not over" in state.obstacle_to_resubmission(force=True)
    scheduler["7"] = JobState(Phase.DONE, "COMPLETED")
    (state,) = run_states(run.path.parent, ask_all=True)
    assert state.obstacle_to_resubmission(force=False) == "it is COMPLETE; --force repeats it"
    assert state.obstacle_to_resubmission(force=True) is None


@pytest.mark.parametrize("word", [None, "RUNNING"])
def test_scheduler_that_does_not_answer_is_said_not_to(scheduler, run, word):
    scheduler["7"] = JobState(Phase.UNKNOWN, "squeue does not answer")
    if word:
        says(run, word)
    (state,) = run_states(run.path.parent)
    assert state.reason == "FAKE cannot be asked: squeue does not answer"


def test_run_that_says_how_it_ended_is_believed_whatever_became_of_its_submission(scheduler, run):
    write(run.submission_file, status="REFUSED", scheduler="FAKE", attempt=1, error="Socket timed out")
    says(run, "COMPLETE")
    assert told(run)[0] == "COMPLETE"


def test_cancelled_job_that_grid_engine_keeps_no_record_of_is_killed_for_the_reader_too(scheduler, run):
    cancelled = "2026-01-01T00:00:00+00:00"
    known = {"status": "SUBMITTED", "scheduler": "FAKE", "scheduler_job_id": "7", "attempt": 1}
    write(run.submission_file, **known, cancelled_at=cancelled)
    scheduler["7"] = JobState(Phase.FORGOTTEN)
    assert told(run) == ("KILLED", "CANCELLED")
