"""What the status, the exit code and the last lines say when runs fail or are killed."""

import os
import signal
import subprocess
import time

import pytest
import yaml


def is_process(process_id):
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(it_is_so, seconds=30):
    deadline = time.monotonic() + seconds
    while not it_is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_exception_is_recorded_with_its_traceback(actions):
    result = actions.run("action=fail")
    info = actions.info()
    assert result.returncode == 1
    assert "ZeroDivisionError: division by zero" in result.stderr
    assert (info["status"], info["exit"]["code"]) == ("FAILED", 1)
    assert info["exit"]["reason"] == "ZeroDivisionError: division by zero"
    assert info["exit"]["traceback"].splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_traceback_begins_in_the_users_code(actions):
    stderr = actions.run("action=fail").stderr
    for text in (stderr, actions.info()["exit"]["traceback"]):
        first_frame = text.splitlines()[1]
        assert f'File "{actions.directory / "main.py"}"' in first_frame


@pytest.mark.parametrize(("number", "status"), [(0, "COMPLETE"), (7, "FAILED")])
def test_exit_code_of_a_single_run_is_kept(actions, number, status):
    assert actions.run("action=exit", f"number={number}").returncode == number
    assert (actions.info()["status"], actions.info()["exit"]["code"]) == (status, number)


def test_exit_code_of_a_run_without_a_sweeper_is_kept_as_in_a_job(actions):
    result = actions.run("action=exit", "number=7", "hydra.mode=RUN")
    assert (result.returncode, result.stderr) == (7, "")
    assert (actions.info()["status"], actions.info()["exit"]["code"]) == ("FAILED", 7)


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


def test_sweep_says_why_the_users_logger_cannot_be_created(actions):
    result = actions.run("number=1,2", "mlxp.logger.name=main.LoggerWithoutServer")
    assert (result.returncode, actions.log_ids()) == (1, [])
    assert 'raise ConnectionError("there is no server")' in result.stderr
    assert result.stderr.splitlines()[-3] == "2 of 2 runs failed:"
    assert result.stderr.endswith(
        "number=2 mlxp.logger.name=main.LoggerWithoutServer: ConnectionError: there is no server\n"
    )


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
    wait_until(lambda: not any(map(is_process, process_ids)))


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
    beats = set()
    wait_until(lambda: beats.add(file.stat().st_mtime_ns) or len(beats) > 3)
    process.kill()
    process.communicate()
    wait_until(lambda: time.time() - file.stat().st_mtime > 5 * 0.2)
    assert actions.info()["heartbeat"] == 0.2


def test_worker_that_dies_without_a_word_is_recorded(actions):
    result = actions.run("action=die-beside", "number=1,2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert result.returncode == 1
    assert actions.statuses() == ["KILLED", "KILLED"]


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


def test_run_preempted_by_submitit_is_requeued_and_goes_on_in_its_directory(actions):
    process = actions.start("action=sleep-at-first", "number=1,2", "hydra/launcher=submitit_local")
    process_id, _ = actions.wait_for("started-1", "started-2")
    os.kill(int(process_id), signal.SIGUSR2)
    (actions.directory / "go-on").touch()
    printed, errors = process.communicate(timeout=100)
    assert (process.returncode, printed.splitlines()[-1]) == (0, "returned [1, 2]"), errors
    assert actions.statuses() == ["COMPLETE", "COMPLETE"]
    assert sorted(actions.info(log_id)["attempt"] for log_id in (1, 2)) == [1, 2]


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
    subprocess.run(["git", "init", "-q", "-b", "side"], cwd=actions.directory, check=True)
    git = ["git", "-c", "user.name=me", "-c", "user.email=me@example.org"]
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "start"], cwd=actions.directory, check=True)
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=actions.directory, check=True, capture_output=True, text=True
    ).stdout.strip()
    actions.run("seed=5")
    info = actions.info()
    assert info["git"] == {"commit": commit, "branch": "side", "remote": None, "dirty": False}
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


@pytest.mark.parametrize(("child", "code"), [("value", 0), ("exit", 3), ("fail", 1), ("close-stdout", 0)])
def test_forked_copy_that_comes_back_from_the_task_is_not_the_run(actions, child, code):
    result = actions.run("action=fork,value", f"+child={child}", "number=3")
    assert result.stdout.splitlines()[-1] == f"returned [{code}, 3]", result.stderr
    assert actions.statuses() == ["COMPLETE", "COMPLETE"]


def test_worker_of_the_task_is_ended_by_a_signal_as_any_process(actions):
    result = actions.run("action=terminate-worker")
    assert (result.stdout, result.stderr) == ("returned -15\n", "")


def test_status_is_true_when_the_logger_cannot_be_closed(actions):
    result = actions.run("mlxp.logger.name=main.BrokenLogger")
    assert (result.returncode, "cannot close" in result.stderr) == (1, True)
    assert actions.info()["status"] == "COMPLETE"


def test_status_is_true_when_the_task_puts_odd_things_into_info(actions):
    assert actions.run("action=odd-info").returncode == 0
    assert actions.info()["status"] == "COMPLETE"
    assert actions.info()["odd"].startswith("<object object at")


def test_status_is_true_when_the_task_closes_its_output(actions):
    actions.run("action=close-stdout", "mlxp.logger.log_streams_to_file=true")
    assert actions.info()["status"] == "COMPLETE"


def test_status_is_true_on_a_full_disk(actions, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", disk], capture_output=True, check=False)
    if mount.returncode != 0:
        pytest.skip("only root can make a small disk")
    try:
        result = actions.run("action=fill", f"mlxp.logger.parent_log_dir={disk}")
        info = yaml.safe_load((disk / "1/metadata/info.yaml").read_text(encoding="utf-8"))
        records = (disk / "1/metrics/train.json").read_text(encoding="utf-8").splitlines()
    finally:
        subprocess.run(["umount", disk], check=True)
    assert "No space left on device" in result.stderr
    assert (info["status"], result.returncode) == ("FAILED", 1)
    assert all(record.endswith("}") for record in records)


def test_traceback_is_in_the_copied_stream(actions):
    actions.run("action=fail", "mlxp.logger.log_streams_to_file=true")
    assert "ZeroDivisionError" in (actions.directory / "logs/1/log.stderr").read_text(encoding="utf-8")


def test_stream_that_is_the_runs_own_file_already_is_not_copied_once_more(actions):
    command = actions.command("action=fail", "mlxp.logger.log_streams_to_file=true", "mlxp.logger.forced_log_id=7")
    run = actions.directory / "logs/7"
    run.mkdir(parents=True)
    with (run / "log.stdout").open("a") as stdout, (run / "log.stderr").open("a") as stderr:
        subprocess.run(command, cwd=actions.directory, check=False, stdout=stdout, stderr=stderr)
    assert (run / "log.stderr").read_text(encoding="utf-8").count("ZeroDivisionError:") == 1


def test_child_that_is_left_behind_does_not_hold_up_the_run(actions):
    command = actions.command("action=leave-child", "mlxp.logger.log_streams_to_file=true")
    subprocess.run(command, cwd=actions.directory, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (child,) = actions.wait_for("child")
    assert is_process(int(child))
    os.kill(int(child), signal.SIGKILL)


def test_program_without_standard_output_can_copy_its_streams(actions):
    command = " ".join(actions.command("action=say", "mlxp.logger.log_streams_to_file=true"))
    result = subprocess.run(f"{command} >&-", shell=True, cwd=actions.directory, check=False, capture_output=True)
    assert result.returncode == 0, result.stderr
    assert "complained by python" in (actions.directory / "logs/1/log.stderr").read_text(encoding="utf-8")


def test_one_directory_is_not_forced_on_several_runs(actions):
    result = actions.run("mlxp.logger.forced_log_id=7", "seed=1,2")
    assert result.returncode == 1
    assert "mlxp.logger.forced_log_id=7 is the directory of one run, but there are 2 runs" in result.stderr
    assert not (actions.directory / "logs").exists()


def test_parent_signal_is_named_in_runs_of_other_processes(actions):
    process = actions.start("action=sleep", "number=1,2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    actions.wait_for("started-1", "started-2")
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)
    process.communicate()
    assert [actions.info(log_id)["exit"]["signal"] for log_id in (1, 2)] == ["SIGINT"] * 2


def test_job_that_fails_shows_the_users_code_and_no_overrides_but_the_users(actions):
    run = actions.directory / "logs/1"
    (run / "metadata").mkdir(parents=True)
    (run / "metadata/submission.yaml").write_text("scheduler: SLURM\nstatus: SUBMITTED\nattempt: 1\n", encoding="utf-8")
    result = actions.run("action=fail", env={**os.environ, "MLXP_RUN_DIRECTORY": str(run)})
    lines = result.stderr.splitlines()
    assert (result.returncode, lines[0]) == (1, "Traceback (most recent call last):")
    assert f'File "{actions.directory / "main.py"}"' in lines[1]
    assert "/mlxp/" not in result.stderr
    assert "mlxp.logger" not in result.stderr
    assert "ZeroDivisionError: division by zero" in lines
    assert actions.info()["overrides"] == ["action=fail"]
