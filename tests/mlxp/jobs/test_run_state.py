"""`mlxp status`, `cancel`, `output` and `resubmit`: what became of runs, and what can be done about their jobs."""

import json
import os
import subprocess
import sys
import time

import pytest
import yaml


@pytest.fixture
def desk(make_desk):
    """Three runs of the program `quickstart`, submitted to a Slurm that only notes what it is asked."""
    desk = make_desk("quickstart", "SLURM")
    desk.script = "#!/bin/bash\n#SBATCH --time=1\npython main.py seed=1,2,3\n"
    return desk


def queue(desk, *lines):
    (desk.home / "queue").write_text("\n".join([*lines, ""]), encoding="utf-8")


def statuses(desk, *arguments):
    runs = json.loads(desk.mlxp("status", "--json", *arguments).stdout)
    return [run["status"] for run in runs]


def commands(desk):
    return [call[0] for call in desk.calls()]


def write_info(desk, log_id, **info):
    file = desk.directory / f"logs/{log_id}/metadata/info.yaml"
    file.write_text(yaml.safe_dump({"heartbeat": 30.0, "attempt": 1, **info}), encoding="utf-8")
    return file


def test_scheduler_is_asked_once_about_all_runs(desk):
    desk.submit(desk.script)
    queue(desk, "101|PENDING|Resources", "102|RUNNING|None", "103|FAILED|NonZeroExitCode")
    assert statuses(desk) == ["SUBMITTED", "SUBMITTED", "FAILED"]
    assert commands(desk).count("squeue") == 1


def test_status_shows_counts_reasons_and_where_to_look(desk):
    desk.submit(desk.script)
    queue(desk, "101|PENDING|Resources", "102|RUNNING|None", "103|FAILED|NonZeroExitCode")
    lines = desk.mlxp("status").stdout.splitlines()
    assert lines[0] == "3 runs in logs: 2 SUBMITTED, 1 FAILED"
    assert lines[1] == "     1  SUBMITTED  job 101  SLURM says PENDING (Resources)"
    assert lines[3].endswith(
        f"SLURM says FAILED (NonZeroExitCode); the run never started, see {desk.directory}/logs/3/log.stderr"
    )


def test_run_that_left_no_info_is_starting_with_the_reason_to_doubt_it(desk):
    (desk.directory / "logs/1/metadata").mkdir(parents=True)
    line = desk.mlxp("status").stdout.splitlines()[1]
    assert line.startswith("     1  STARTING   its info.yaml is missing or damaged")


def test_status_is_coloured_on_a_terminal_unless_colours_are_unwanted(desk, on_a_terminal):
    desk.submit(desk.script)
    queue(desk, "101|TIMEOUT|TimeLimit")
    command = [sys.executable, "-c", "import sys; from mlxp.commands.main import main; sys.exit(main(['status']))"]
    shown, code = on_a_terminal(command, "", cwd=desk.directory, env=desk.env)
    assert (code, "\033[31mKILLED" in shown) == (0, True)
    assert "\033" not in on_a_terminal(command, "", cwd=desk.directory, env=desk.env | {"NO_COLOR": "1"})[0]


def test_status_is_plain_when_piped_and_json_says_the_same(desk):
    desk.submit(desk.script)
    queue(desk, "101|TIMEOUT|TimeLimit")
    assert "\033" not in desk.mlxp("status").stdout
    (run,) = json.loads(desk.mlxp("status", "--json", "info.status == 'KILLED'").stdout)
    assert (run["log_id"], run["scheduler"], run["scheduler_job_id"]) == (1, "SLURM", "101")
    assert run["reason"] == "SLURM says TIMEOUT (TimeLimit); the run never started"


def test_scheduler_that_does_not_answer_kills_nobody(desk):
    desk.submit(desk.script)
    desk.env["PATH"] = desk.env["PATH"].partition(":")[2]
    assert statuses(desk) == ["SUBMITTED"] * 3
    assert "SUBMITTED  job 101  SLURM cannot be asked: squeue does not answer" in desk.mlxp("status").stdout


def test_run_that_its_scheduler_has_forgotten_is_lost_only_when_it_is_silent(desk):
    desk.submit(desk.script)
    queue(desk)
    write_info(desk, 1, status="RUNNING", hostname="node", process_id=1)
    file = write_info(desk, 2, status="RUNNING", hostname="node", process_id=1)
    os.utime(file, (0, time.time() - 1000))
    assert statuses(desk) == ["RUNNING", "LOST", "LOST"]


def test_process_that_was_killed_is_lost(actions, make_desk):
    desk = make_desk("quickstart", "SLURM")
    process = actions.start("action=sleep", "number=1")
    actions.wait_for("started-1")
    process.kill()
    process.communicate()
    desk.directory = actions.directory
    assert statuses(desk) == ["RUNNING"]
    file = actions.directory / "logs/1/metadata/info.yaml"
    os.utime(file, (0, time.time() - 1000))
    (run,) = json.loads(desk.mlxp("status", "--json").stdout)
    assert run["status"] == "LOST"
    assert run["reason"] == f"process {actions.info()['process_id']} is gone"
    assert desk.mlxp("status", "info.status == 'LOST'").stdout.startswith("1 run in logs: 1 LOST")


def test_process_of_another_host_is_not_taken_for_dead(desk):
    desk.submit(desk.script)
    for log_id in (1, 2, 3):
        (desk.directory / f"logs/{log_id}/metadata/submission.yaml").unlink()
    os.utime(write_info(desk, 1, status="RUNNING", hostname="elsewhere", process_id=1), (0, 1000))
    (run, *_) = json.loads(desk.mlxp("status", "--json").stdout)
    assert (run["status"], run["reason"]) == ("RUNNING", "no sign of life from elsewhere for some time")


def test_cancel_cancels_the_jobs_of_the_matching_runs(desk):
    desk.submit(desk.script)
    queue(desk, "101|PENDING|None", "102|RUNNING|None", "103|PENDING|None")
    assert desk.mlxp("cancel", "seed > 1").stdout == "cancelled the jobs of 2 runs: 2 3\n"
    assert desk.calls()[-1] == ["scancel", "102", "103"]


def test_cancelled_run_does_not_start_when_its_job_is_started_again_but_when_it_is_submitted_again(desk):
    desk.submit(desk.script)
    queue(desk, "101|PENDING|None")
    desk.mlxp("cancel", "seed == 1")
    started = desk.run_job(1)
    assert (started.returncode, started.stdout) == (1, "")
    assert "logs/1 was cancelled at 20" in started.stderr
    queue(desk, "101|FAILED|NonZeroExitCode")
    assert statuses(desk)[0] == "KILLED"
    assert desk.mlxp("resubmit", "seed == 1").returncode == 0
    assert desk.run_job(1).returncode == 0


def test_job_that_the_scheduler_does_not_cancel_is_not_called_cancelled(desk):
    desk.submit(desk.script)
    queue(desk, "101|RUNNING|None", "102|RUNNING|None", "103|RUNNING|None")
    result = desk.mlxp("cancel", "seed == 1", FAKE_REFUSED="1")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "mlxp: scancel: error: Kill job error on job id 101: Access/permission denied\n"
    assert "cancelled_at" not in desk.submission(1)


def test_submission_file_that_cannot_be_understood_hides_no_other_run(desk):
    desk.submit(desk.script)
    queue(desk, "102|PENDING|None", "103|PENDING|None")
    desk.write("scheduler: [", "logs/1/metadata/submission.yaml")
    assert statuses(desk)[1:] == ["SUBMITTED", "SUBMITTED"]


def test_job_id_that_no_scheduler_gives_is_not_handed_to_one(desk):
    desk.submit(desk.script)
    queue(desk, "102|PENDING|None", "103|PENDING|None")
    content = yaml.safe_dump(desk.submission(1) | {"scheduler_job_id": "--everyone; 1)"})
    desk.write(content, "logs/1/metadata/submission.yaml")
    assert statuses(desk) == ["SUBMITTED", "SUBMITTED", "SUBMITTED"]
    assert not any("everyone" in word for call in desk.calls() for word in call)


def test_runs_of_an_unknown_scheduler_are_as_they_say_until_its_plugin_is_given(desk):
    desk.write(
        "import dataclasses\nfrom mlxp.scheduler import SLURM, register\n"
        "register(dataclasses.replace(SLURM, name='MINE', directive='#MINE'))\n",
        "my_cluster.py",
    )
    desk.submit("#!/bin/bash\n#MINE --time=1\npython main.py\n", "--plugin", "my_cluster")
    queue(desk, "101|TIMEOUT|TimeLimit")
    assert statuses(desk) == ["SUBMITTED"]
    assert statuses(desk, "--plugin", "my_cluster") == ["KILLED"]
    assert "--plugin" in desk.mlxp("cancel", "status == 'SUBMITTED'").stderr


def test_scheduler_without_a_command_that_cancels_is_told(desk):
    desk.write(
        "import dataclasses\nfrom mlxp.scheduler import SLURM, register\n"
        "register(dataclasses.replace(SLURM, name='MINE', directive='#MINE', cancel=()))\n",
        "my_cluster.py",
    )
    desk.submit("#!/bin/bash\n#MINE --time=1\npython main.py\n", "--plugin", "my_cluster")
    queue(desk, "101|RUNNING|None")
    result = desk.mlxp("cancel", "seed == 0", "--plugin", "my_cluster")
    assert (result.returncode, result.stderr) == (1, "mlxp: MINE has no command that cancels jobs\n")


def test_cancelling_one_run_of_a_shared_job_is_refused(desk):
    desk.submit(desk.script, "--per-job", "2")
    queue(desk, "101|RUNNING|None", "102|PENDING|None")
    result = desk.mlxp("cancel", "seed == 1")
    assert result.returncode == 1
    assert "the same jobs also do the runs 2, and can only be cancelled as a whole" in result.stderr
    assert '"info.logger.log_id in [1, 2]"' in result.stderr
    assert "scancel" not in commands(desk)


def test_shared_job_is_cancelled_when_all_its_runs_match(desk):
    desk.submit(desk.script, "--per-job", "2")
    queue(desk, "101|RUNNING|None", "102|PENDING|None")
    assert desk.mlxp("cancel", "info.logger.log_id in [1, 2]").stdout == "cancelled the jobs of 2 runs: 1 2\n"
    assert desk.calls()[-1] == ["scancel", "101"]


def test_run_that_has_ended_does_not_keep_the_rest_of_its_job_from_being_cancelled(desk):
    desk.submit(desk.script, "--per-job", "3")
    queue(desk, "101|RUNNING|None")
    write_info(desk, 1, status="COMPLETE")
    assert desk.mlxp("cancel", "seed > 1").returncode == 0


def test_task_of_an_array_is_cancelled_alone(desk):
    desk.submit(desk.script, "--array")
    queue(desk, "101_1|RUNNING|None", "101_2|RUNNING|None", "101_3|PENDING|None")
    desk.mlxp("cancel", "seed == 2")
    assert desk.calls()[-1] == ["scancel", "101_2"]


@pytest.fixture
def replaced(make_desk):
    """A run that OAR has started again: its job 101 was ended for the sake of others, and job 109 goes on."""
    desk = make_desk("quickstart", "OAR")
    desk.submit("#!/bin/bash\n#OAR -t besteffort\n#OAR -t idempotent\npython main.py\n")
    events = [{"type": "BESTEFFORT_KILL"}, {"type": "RESUBMIT_JOB_AUTOMATICALLY"}]
    successor = {"state": "Running", "resubmit_job_id": 101, "events": []}
    jobs = {"101": {"state": "Error", "events": events}, "109": successor}
    (desk.home / "jobs").write_text(json.dumps(jobs), encoding="utf-8")
    (desk.home / "successors").write_text(json.dumps({"109": successor}), encoding="utf-8")
    write_info(desk, 1, status="RUNNING")
    return desk


def test_cancel_cancels_the_job_that_a_run_has_now(replaced):
    assert statuses(replaced) == ["RUNNING"]
    assert replaced.mlxp("cancel", "seed == 0").stdout == "cancelled the jobs of 1 run: 1\n"
    assert replaced.calls()[-1] == ["oardel", "109"]


@pytest.mark.parametrize("unanswered", ["jobs", "successors"])
@pytest.mark.parametrize(("says", "shown"), [("RUNNING", "RUNNING"), ("KILLED", "KILLED")])
def test_job_that_may_have_been_replaced_is_not_cancelled_in_vain(replaced, unanswered, says, shown):
    (replaced.home / unanswered).unlink()
    write_info(replaced, 1, status=says)
    assert statuses(replaced) == [shown]
    result = replaced.mlxp("cancel", "seed == 0")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        "mlxp: OAR does not say which job does run 1 now (DB connection error, exiting.); nothing was cancelled, "
        "try again later\n"
    )
    assert replaced.mlxp("resubmit", "seed == 0").returncode == 1
    assert {"oardel"} & set(commands(replaced)) == set()
    assert commands(replaced).count("oarsub") == 1


def test_answer_that_is_not_understood_kills_nobody(replaced):
    (replaced.home / "jobs").write_text("{", encoding="utf-8")
    assert statuses(replaced) == ["RUNNING"]


def test_runs_are_resubmitted_by_status_or_by_the_reason_of_their_end(desk):
    desk.submit(desk.script)
    again = "status in ['FAILED','LOST'] | exit.reason == 'TIMEOUT'"
    queue(desk, "101|PENDING|Resources", "102|PENDING|Resources", "103|PENDING|Resources")
    assert desk.mlxp("resubmit", again).stdout == "no run to submit\n"
    queue(desk, "101|TIMEOUT|TimeLimit", "102|PENDING|Resources", "103|FAILED|NonZeroExitCode")
    result = desk.mlxp("resubmit", again)
    assert result.stdout.splitlines() == ["run 1: job 104", "run 3: job 105"], result.stderr


def test_resubmitted_run_keeps_its_id_and_the_output_of_its_earlier_attempt(desk):
    desk.submit(desk.script)
    assert desk.run_job(1).returncode == 0
    (desk.directory / "logs/2/log.stdout").write_text("first\n", encoding="utf-8")
    queue(desk, "102|FAILED|NonZeroExitCode", "103|RUNNING|None")
    result = desk.mlxp("resubmit", "info.status in ['FAILED', 'KILLED', 'LOST']")
    assert result.stdout == "run 2: job 104\n"
    assert (desk.directory / "logs/2/log.stdout.1").read_text(encoding="utf-8") == "first\n"
    assert desk.submission(2)["earlier"][0]["scheduler_job_id"] == "102"


def test_run_that_goes_on_is_not_submitted_again(desk):
    desk.submit(desk.script)
    queue(desk, "101|RUNNING|None", "102|RUNNING|None", "103|RUNNING|None")
    result = desk.mlxp("resubmit", "seed == 1")
    assert (result.returncode, result.stdout) == (1, "run 1: not submitted: it is SUBMITTED; cancel it first\n")


def test_output_is_followed_until_the_run_has_ended(desk):
    desk.submit(desk.script)
    queue(desk, "101|RUNNING|None")
    command = [
        sys.executable,
        "-c",
        "import sys; from mlxp.commands.main import main; sys.exit(main(['output', '1', '-f']))",
    ]
    process = subprocess.Popen(command, cwd=desk.directory, env=desk.env, stdout=subprocess.PIPE, text=True)
    file = desk.directory / "logs/1/log.stdout"
    file.write_text("first\n", encoding="utf-8")
    assert process.stdout.readline() == "first\n"
    with file.open("a", encoding="utf-8") as stream:
        stream.write("last\n")
    write_info(desk, 1, status="COMPLETE")
    assert process.communicate(timeout=60)[0] == "last\n"
    assert process.returncode == 0


def test_output_of_a_run_is_shown(desk):
    desk.submit(desk.script)
    (desk.directory / "logs/2/log.stderr").write_text("Oh.\n", encoding="utf-8")
    assert desk.mlxp("output", "2", "--stderr").stdout == "Oh.\n"
    assert "has printed nothing yet" in desk.mlxp("output", "2").stderr
    assert "there is no run 9" in desk.mlxp("output", "9").stderr
