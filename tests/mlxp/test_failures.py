"""What the status, the exit code and the last lines say when runs fail or are killed."""

import os
import signal
import subprocess
import sys
import time

import pytest
import yaml


def is_process(process_id):
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def test_exception_is_recorded_with_its_traceback(actions):
    result = actions.run("action=fail")
    info = actions.info()
    assert result.returncode == 1
    assert "ZeroDivisionError: division by zero" in result.stderr
    assert (info["status"], info["exit"]["code"]) == ("FAILED", 1)
    assert info["exit"]["reason"] == "ZeroDivisionError: division by zero"
    assert info["exit"]["traceback"].splitlines()[-1] == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize(("number", "status"), [(0, "COMPLETE"), (7, "FAILED")])
def test_exit_code_of_a_single_run_is_kept(actions, number, status):
    assert actions.run("action=exit", f"number={number}").returncode == number
    assert (actions.info()["status"], actions.info()["exit"]["code"]) == (status, number)


def test_exit_with_words_is_a_failure_that_says_them(actions):
    result = actions.run("action=exit-with-words")
    assert (result.returncode, result.stderr) == (1, "out of luck\n")
    assert actions.info()["exit"]["reason"] == "sys.exit('out of luck')"


def test_complete_run_says_when_it_ended(actions):
    actions.run()
    info = actions.info()
    assert info["status"] == "COMPLETE"
    assert info["started_at"] < info["ended_at"]
    assert info["duration"] >= 0
    assert info["exit"] == {"reason": "returned", "code": 0, "signal": None, "traceback": None}


@pytest.mark.parametrize("action", ["fail", "strange", "exit-with-words"])
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_sweep_goes_on_when_a_run_fails(actions, action, launcher):
    result = actions.run(f"action=value,{action},value", "seed=1", f"hydra/launcher={launcher}")
    assert result.returncode == 1
    assert actions.statuses().count("COMPLETE") == 2
    assert actions.statuses().count("FAILED") == 1


def test_each_traceback_is_printed_and_the_last_lines_name_each_failed_run(actions):
    result = actions.run("action=fail,value,exit", "number=3")
    assert "ZeroDivisionError" in result.stderr.split("2 of 3 runs failed")[0]
    assert result.stderr.splitlines()[-3:] == [
        "2 of 3 runs failed:",
        "  run 1: action=fail number=3: ZeroDivisionError: division by zero",
        "  run 3: action=exit number=3: SystemExit: 3",
    ]


def test_keep_going_false_stops_at_the_first_failure(actions):
    result = actions.run("action=value,fail,value", "hydra.sweeper.keep_going=false")
    assert result.returncode == 1
    assert actions.statuses() == ["COMPLETE", "FAILED"]
    assert "1 of 3 runs failed, 1 not started:" in result.stderr


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT", "SIGUSR1"])
def test_signal_is_recorded_and_the_exit_code_is_a_shells(actions, name):
    number = getattr(signal, name)
    process = actions.start("action=sleep")
    actions.wait_for("started-0")
    process.send_signal(number)
    assert process.wait(timeout=30) == 128 + number
    process.communicate()
    info = actions.info()
    assert (info["status"], info["exit"]["signal"], info["exit"]["code"]) == ("KILLED", name, 128 + number)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_signal_stops_the_whole_sweep(actions, name):
    number = getattr(signal, name)
    process = actions.start("action=sleep", "number=1,2,3")
    actions.wait_for("started-1")
    process.send_signal(number)
    assert process.wait(timeout=30) == 128 + number
    assert process.communicate()[1].splitlines()[-1] == f"stopped by {name}"
    assert actions.statuses() == ["KILLED"]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("to_all", [True, False], ids=["whole group", "parent only"])
def test_signal_stops_parallel_runs_without_orphans(actions, name, to_all):
    number = getattr(signal, name)
    process = actions.start("action=sleep", "number=1,2,3,4", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    process_ids = [int(text) for text in actions.wait_for("started-1", "started-2")]
    (os.killpg if to_all else os.kill)(process.pid, number)
    assert process.wait(timeout=60) == 128 + number
    process.communicate()
    assert actions.statuses() == ["KILLED", "KILLED"]
    deadline = time.monotonic() + 10
    while any(map(is_process, process_ids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_process, process_ids))


def test_second_signal_does_not_spoil_the_status(actions):
    process = actions.start("action=sleep")
    actions.wait_for("started-0")
    for _ in range(5):
        process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 143
    process.communicate()
    assert actions.info()["status"] == "KILLED"


def test_what_was_logged_before_sigkill_is_there(actions):
    process = actions.start("action=sleep")
    actions.wait_for("started-0")
    process.kill()
    process.communicate()
    assert actions.records("started") == [{"pid": process.pid}]
    assert actions.info()["status"] == "RUNNING"


def test_heartbeat_tells_a_living_run_from_a_killed_one(actions):
    process = actions.start("action=sleep", "mlxp.heartbeat=0.2")
    actions.wait_for("started-0")
    file = actions.directory / "logs/1/metadata/info.yaml"
    before = file.stat().st_mtime_ns
    time.sleep(1)
    alive = file.stat().st_mtime_ns
    process.kill()
    process.communicate()
    after = file.stat().st_mtime_ns
    time.sleep(1)
    assert before < alive <= after == file.stat().st_mtime_ns
    assert actions.info()["heartbeat"] == 0.2


def test_worker_that_dies_without_a_word_is_recorded(actions):
    result = actions.run(
        "action=signal", "signal=SIGKILL", "number=1,2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"
    )
    assert result.returncode == 1
    assert set(actions.statuses()) == {"KILLED"}


def test_checkpointed_run_is_resumed_in_place(actions):
    for _ in range(3):
        assert actions.run("action=resume", "mlxp.logger.forced_log_id=1").returncode == 0
    assert actions.log_ids() == [1]
    assert actions.records("train") == [{"epoch": 0}, {"epoch": 1}, {"epoch": 2}]
    assert actions.info()["attempt"] == 3


def test_run_that_is_under_way_cannot_be_resumed(actions):
    process = actions.start("action=sleep")
    actions.wait_for("started-0")
    result = actions.run("mlxp.logger.forced_log_id=1")
    process.kill()
    process.communicate()
    assert result.returncode == 1
    assert f"is still running, as process {process.pid}" in result.stderr


def test_run_with_damaged_metadata_can_be_resumed(actions):
    actions.run()
    (actions.directory / "logs/1/metadata/info.yaml").write_text("status: [\n", encoding="utf-8")
    assert actions.run("mlxp.logger.forced_log_id=1").returncode == 0
    assert actions.info()["attempt"] == 2


def test_preemption_by_submitit_is_left_to_submitit(actions):
    # submitit's handler saves the run and requeues it; for that it must get back the exit that it raised.
    code = (
        "import types, sys; sys.path.insert(0, '.'); import main\n"
        "frame = compile('import sys; sys.exit(-1)', 'submitit/core/job_environment.py', 'exec')\n"
        "main.ACTIONS['value'] = lambda ctx: exec(frame, {'__name__': 'submitit.core.job_environment'})\n"
        "main.task()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=actions.directory, capture_output=True, text=True, check=False
    )
    assert result.returncode == 255
    assert actions.info()["status"] == "KILLED"
    assert "submitit" in actions.info()["exit"]["reason"]


def test_unwritable_log_directory_is_one_clear_error(actions, without_privileges):
    (actions.directory / "logs").mkdir(mode=0o555)
    result = actions.run(prefix=without_privileges)
    assert result.returncode == 1
    assert result.stderr.splitlines()[0] == (
        f"cannot create a run's directory in {actions.directory}/logs: Permission denied"
    )


def test_streams_are_copied_with_those_of_child_processes(actions):
    result = actions.run("action=say", "mlxp.logger.log_streams_to_file=true")
    logs = actions.directory / "logs/1"
    assert result.stdout == "said by python\nsaid by a child\nreturned None\n"
    assert (logs / "log.stdout").read_text(encoding="utf-8") == "said by python\nsaid by a child\n"
    assert (logs / "log.stderr").read_text(encoding="utf-8") == result.stderr


def test_info_says_where_the_run_came_from(actions):
    subprocess.run(["git", "init", "-q"], cwd=actions.directory, check=True)
    git = ["git", "-c", "user.name=me", "-c", "user.email=me@example.org"]
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "start"], cwd=actions.directory, check=True)
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=actions.directory, check=True, capture_output=True, text=True
    ).stdout.strip()
    actions.run("seed=5")
    info = actions.info()
    assert info["git"] == {"commit": commit, "dirty": False}
    assert info["overrides"] == ["seed=5"]
    assert any(package.startswith("omegaconf==") for package in info["packages"])
    assert (info["layout"], info["attempt"], info["work_dir"]) == (2, 1, str(actions.directory))


def test_info_keeps_the_keys_of_earlier_releases(actions):
    actions.run()
    text = (actions.directory / "logs/1/metadata/info.yaml").read_text(encoding="utf-8")
    assert list(yaml.safe_load(text))[:13] == [
        "status",
        "current_file_path",
        "executable",
        "hostname",
        "process_id",
        "start_date",
        "start_time",
        "end_date",
        "end_time",
        "work_dir",
        "logger",
        "scheduler",
        "version_manager",
    ]
