"""A run is executed once per attempt: its job claims it before anything else, and every other one stops."""

import os
import socket
import subprocess
import sys
import time

import pytest
import yaml

from mlxp.errors import LogDirectoryError, MLXPError
from mlxp.run_directory.layout import RunDirectory
from mlxp.running import claim as claims
from mlxp.running.submitted_run import claimed_directory

SUBMISSION = {"status": "SUBMITTED", "scheduler": "SLURM", "scheduler_job_id": "17", "attempt": 1, "token": "kx3f9a2b"}
LONG_AGO = 1000


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run that was submitted as job 17 of Slurm."""
    directory = RunDirectory(tmp_path / "logs/1")
    directory.metadata.mkdir(parents=True)
    write(directory.submission_file, **SUBMISSION)
    for name in list(os.environ):
        if name.startswith("SLURM"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(claims, "_POLL", 0.01)
    monkeypatch.setattr(claims, "_GRACE", 0.1)
    return directory


@pytest.fixture
def start(run, monkeypatch):
    """A function that starts the run in a job, or by hand; true if it goes on."""

    def begin(job=None, name="logs/1", **variables):
        for variable, value in {"SLURM_JOB_ID": job, "SLURM_JOB_NAME": name if job else None, **variables}.items():
            if value is None:
                monkeypatch.delenv(variable, raising=False)
            else:
                monkeypatch.setenv(variable, value)
        monkeypatch.setenv("MLXP_RUN_DIRECTORY", str(run.path))
        try:
            return claimed_directory() == run
        except SystemExit as error:
            if error.code:
                raise
            return False

    return begin


def write(file, age=0, **content):
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    os.utime(file, (0, time.time() - age))


def write_info(run, status, age=0, **info):
    known = {"hostname": socket.gethostname(), "process_id": 2**22 + 1, "attempt": 1, "heartbeat": 30.0}
    write(run.info_file, age, **{**known, "status": status, **info})


def test_job_that_was_recorded_goes_on_and_another_one_stops_with_a_sentence(start, capsys):
    assert not start("18")
    assert capsys.readouterr().err.endswith(
        "logs/1: this is SLURM job 18, and the run was submitted as job 17; nothing is executed here\n"
    )
    assert start("17")
    assert not start("18")


def test_job_whose_submitter_has_died_is_known_by_its_name(run, start):
    write(run.submission_file, **{**SUBMISSION, "status": "PREPARED", "scheduler_job_id": None})
    assert start("17", "logs/1-kx3f9a2b")
    assert run.claim(1)["scheduler_job_id"] == "17"
    assert not start("18", "logs/1-kx3f9a2b")


def test_of_two_jobs_of_which_neither_was_recorded_the_first_does_the_run(run, start):
    write(run.submission_file, **{**SUBMISSION, "scheduler_job_id": None, "token": None})
    assert start("17")
    assert not start("18")
    assert start("17")


def test_job_of_an_earlier_attempt_stops(run, start):
    earlier = [{"attempt": 1, "scheduler_job_id": "17"}]
    again = {**SUBMISSION, "attempt": 2, "scheduler_job_id": None, "token": "other123", "earlier": earlier}
    write(run.submission_file, **again)
    assert not start("17", "logs/1-kx3f9a2b")
    write(run.submission_file, **{**again, "scheduler_job_id": "20"})
    assert not start("17", "logs/1-kx3f9a2b")
    assert start("20", "logs/1-other123")


@pytest.mark.parametrize("status", ["KILLED", "FAILED", "RUNNING"])
def test_same_job_that_is_started_again_goes_on(run, start, status):
    assert start("17")
    write_info(run, status)
    assert start("17")


def test_run_that_is_complete_is_not_done_again_by_its_job_nor_by_hand(run, start, capsys):
    assert start("17")
    write_info(run, "COMPLETE")
    assert not start("17")
    assert not start(None)
    assert "it is COMPLETE, and `mlxp resubmit --force` repeats it" in capsys.readouterr().err
    write(run.submission_file, **{**SUBMISSION, "attempt": 2, "scheduler_job_id": "21"})
    assert start("21")


def test_task_of_an_array_is_known_by_the_number_of_the_array(run, start):
    write(run.submission_file, **{**SUBMISSION, "scheduler_job_id": "12_3"})
    assert not start("15", SLURM_ARRAY_JOB_ID="12", SLURM_ARRAY_TASK_ID="4")
    assert start("14", SLURM_ARRAY_JOB_ID="12", SLURM_ARRAY_TASK_ID="3")


def test_job_that_oar_has_started_again_under_another_id_goes_on(run, start):
    write(run.submission_file, **{**SUBMISSION, "scheduler": "OAR"})
    assert start(OAR_JOB_ID="17", OAR_JOB_NAME="logs/1-kx3f9a2b")
    write_info(run, "KILLED")
    assert start(OAR_JOB_ID="25", OAR_JOB_NAME="logs/1-kx3f9a2b")


@pytest.mark.parametrize("job", [None, "17"])
def test_run_that_gives_signs_of_life_on_another_host_is_refused(run, start, job, monkeypatch):
    write_info(run, "RUNNING", hostname="elsewhere")
    monkeypatch.setattr(claims.time, "sleep", lambda _: os.utime(run.info_file))  # it goes on
    with pytest.raises(LogDirectoryError, match="goes on in process 4194305 on elsewhere"):
        start(job)
    write_info(run, "RUNNING", age=LONG_AGO, hostname="elsewhere")
    assert start(job)


def test_job_that_is_started_again_waits_until_its_predecessor_elsewhere_is_silent(run, start, monkeypatch):
    slept = []
    write_info(run, "RUNNING", hostname="elsewhere", age=5)
    before = run.info_file.stat().st_mtime
    monkeypatch.setattr(claims, "server_time", lambda _: before + 40 * (1 + len(slept)))
    monkeypatch.setattr(claims.time, "sleep", slept.append)
    assert start("17")
    assert len(slept) == 2


def test_predecessor_that_outlives_its_job_here_is_not_joined(run, start):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        write_info(run, "RUNNING", process_id=other.pid)
        with pytest.raises(LogDirectoryError, match=f"goes on in process {other.pid}"):
            start("17")
        other.communicate(b"\n")
    assert start("17")


def test_process_that_has_claimed_and_not_begun_is_not_overtaken(run, start):
    claim = {"hostname": "elsewhere", "process_id": 5, "scheduler_job_id": None, "token": "kx3f9a2b"}
    write(run.claim_file(1), **claim)
    with pytest.raises(LogDirectoryError, match="goes on in process 5 on elsewhere"):
        start(None)
    write(run.claim_file(1), age=LONG_AGO, **claim)
    assert start(None)


def test_cancelled_run_is_an_error(run, start):
    write(run.submission_file, **{**SUBMISSION, "cancelled_at": "2026-01-01T00:00:00+00:00"})
    with pytest.raises(MLXPError, match="was cancelled at 2026"):
        start("17")


def test_scheduler_of_a_plugin_is_not_known_in_the_job_and_the_first_process_goes_on(run, start):
    write(run.submission_file, **{**SUBMISSION, "scheduler": "MINE"})
    assert start(None)


CLAIMS = """
import os, sys, yaml
from pathlib import Path
from mlxp.run_directory.layout import RunDirectory
from mlxp.running.submitted_run import claimed_directory

run = RunDirectory(Path(sys.argv[1]))
for attempt in range(1, 26):
    facts = {"status": "SUBMITTED", "scheduler": "SLURM", "scheduler_job_id": None, "attempt": attempt}
    run.submission_file.write_text(yaml.safe_dump(facts))
    start, ready = os.pipe()
    for number in range(8):
        if os.fork() == 0:
            os.close(ready)
            os.environ.update(MLXP_RUN_DIRECTORY=sys.argv[1], SLURM_JOB_ID=str(100 + number))
            os.read(start, 1)
            try:
                claimed_directory()
                os.write(1, b"done\\n")
            finally:
                os._exit(0)
    os.close(ready)
    for _ in range(8):
        os.wait()
    os.close(start)
"""


def test_of_many_jobs_that_start_at_once_one_does_the_run(run):
    code = [sys.executable, "-c", CLAIMS, str(run.path)]
    printed = subprocess.run(code, capture_output=True, text=True, check=True)
    assert printed.stdout.count("done") == 25, printed.stderr
    assert printed.stderr.count("nothing is executed here") == 25 * 7


BY_HAND = """
import os, sys
from pathlib import Path
from mlxp.errors import MLXPError
from mlxp.run_directory.layout import RunDirectory
from mlxp.running.submitted_run import claimed_directory

claim = RunDirectory(Path(sys.argv[1])).claim_file(1)
claim.parent.mkdir()
for _ in range(20):
    claim.write_text("hostname: " + os.uname().nodename + "\\nprocess_id: 4194305\\n")  # of a process that is dead
    start, ready = os.pipe()
    hold, release = os.pipe()
    for number in range(6):
        if os.fork() == 0:
            os.close(ready)
            os.close(release)
            os.environ["MLXP_RUN_DIRECTORY"] = sys.argv[1]
            os.read(start, 1)
            try:
                claimed_directory()
                os.write(1, b"done\\n")
                os.read(hold, 1)
            except MLXPError:
                os.write(1, b"refused\\n")
            finally:
                os._exit(0)
    os.close(ready)
    for _ in range(5):
        os.wait()
    os.close(release)
    os.wait()
    os.close(start)
    os.close(hold)
"""


def test_of_many_who_start_a_run_of_a_dead_process_by_hand_one_does_it(run):
    code = [sys.executable, "-c", BY_HAND, str(run.path)]
    printed = subprocess.run(code, capture_output=True, text=True, check=True, timeout=300).stdout
    assert (printed.count("done"), printed.count("refused")) == (20, 100)
