"""The configuration that was checked at the submission is the one that a job runs."""

import signal
import subprocess
import sys

import pytest
import yaml

from mlxp_reader import Reader

SCRIPT = "#!/bin/bash\n#SBATCH --time=1\npython main.py seed=1,2 {more}\n"


@pytest.fixture
def waiting(make_desk):
    """Two runs whose jobs wait; `waiting.edit(old, new)` changes the configuration in the meantime."""
    desk = make_desk("quickstart", "SLURM")
    config = desk.directory / "configs/config.yaml"
    desk.edit = lambda old, new: config.write_text(config.read_text().replace(old, new), encoding="utf-8")
    desk.recorded = lambda log_id: yaml.safe_load(
        (desk.directory / f"logs/{log_id}/metadata/config.yaml").read_text(encoding="utf-8")
    )
    desk.submit(SCRIPT.format(more=""))
    return desk


def interrupted(desk, text):
    """Submit a script, and press Ctrl-C once the first job has been submitted."""
    slow = desk.home / "bin/sbatch"
    slow.write_text(f'#!/bin/sh\nsleep 0.7\nexec {desk.env["PATH"].split(":")[0]}/sbatch "$@"\n', encoding="utf-8")
    slow.chmod(0o755)
    command = [sys.executable, "-c", "import sys; from mlxp.commands.mlxpsub import main; sys.exit(main())"]
    process = subprocess.Popen(
        [*command, desk.write(text).name],
        cwd=desk.directory,
        env=desk.env | {"PATH": f"{desk.home / 'bin'}:{desk.env['PATH']}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130


def test_job_whose_configuration_has_changed_does_not_run(waiting):
    waiting.edit("lr: 10.", "lr: 5.0")
    before = waiting.recorded(1)
    job = waiting.run_job(1)
    assert job.returncode == 1
    assert "the configuration of run 1 has changed since it was submitted: optimizer.lr was 10.0, is 5.0" in job.stderr
    assert "mlxp resubmit --accept-changes" in job.stderr
    info = waiting.app.info(1)
    assert (info["status"], info["exit"]["reason"]) == ("REFUSED", "CONFIGURATION_CHANGED")
    assert waiting.recorded(1) == before
    assert not (waiting.directory / "logs/1/metrics/Quickstart.json").exists()


def test_everybody_says_that_it_was_refused(waiting):
    waiting.edit("lr: 10.", "lr: 5.0")
    waiting.run_job(1)
    said = waiting.mlxp("status").stdout
    assert "REFUSED    job 101  CONFIGURATION_CHANGED: optimizer.lr was 10.0, is 5.0\n" in said
    (status,) = Reader(waiting.directory / "logs").filter("info.logger.log_id == 1")["info.status"]
    assert status == "REFUSED"


def test_long_changes_are_cut(waiting):
    many = "\n".join(f"key{number}: {'x' * 1000}" for number in range(9))
    waiting.edit("num_epoch:", f"{many}\nnum_epoch:")
    waiting.run_job(1)
    line = next(line for line in waiting.mlxp("status").stdout.splitlines() if "REFUSED" in line and "job" in line)
    assert "key0 was not there, is 'xxx" in line
    assert line.endswith("…, and 4 more")
    assert len(line) < 700


def test_unchanged_configuration_goes_on(waiting):
    waiting.edit("lr: 10.", "lr: 10.0 # the same")
    assert waiting.run_job(2).returncode == 0
    assert waiting.app.info(2)["status"] == "COMPLETE"


def test_changed_back_and_resubmitted_runs_as_recorded(waiting):
    waiting.edit("lr: 10.", "lr: 5.0")
    waiting.run_job(1)
    waiting.edit("lr: 5.0", "lr: 10.")
    assert "run 1: job 103" in waiting.mlxp("resubmit").stdout
    assert waiting.run_job(1).returncode == 0
    assert (waiting.app.info(1)["attempt"], waiting.recorded(1)["optimizer"]["lr"]) == (2, 10.0)


def test_changes_are_run_when_they_are_accepted_and_the_old_ones_are_kept(waiting):
    waiting.edit("lr: 10.", "lr: 5.0")
    waiting.run_job(1)
    assert waiting.mlxp("resubmit", "--accept-changes").returncode == 0
    assert waiting.run_job(1).returncode == 0
    assert waiting.recorded(1)["optimizer"]["lr"] == 5.0
    old = yaml.safe_load((waiting.directory / "logs/1/metadata/config.yaml.1").read_text(encoding="utf-8"))
    assert old["optimizer"]["lr"] == 10.0
    assert waiting.submission(1)["accept_changes"] is True


def test_new_and_lost_keys_are_changes(waiting):
    waiting.edit("num_epoch:", "more: 1\nepochs:")
    said = waiting.run_job(1).stderr
    assert "epochs was not there, is" in said
    assert "more was not there, is 1, num_epoch was" in said


def test_resubmission_of_a_run_that_has_begun_is_looked_at_too(waiting):
    assert waiting.run_job(1).returncode == 0
    info = waiting.directory / "logs/1/metadata/info.yaml"
    info.write_text(info.read_text(encoding="utf-8").replace("status: COMPLETE", "status: FAILED"), encoding="utf-8")
    waiting.edit("lr: 10.", "lr: 5.0")
    assert "run 1: job 103" in waiting.mlxp("resubmit", "info.logger.log_id == 1").stdout
    assert waiting.run_job(1).returncode == 1
    assert (waiting.app.info(1)["status"], waiting.recorded(1)["optimizer"]["lr"]) == ("REFUSED", 10.0)


def test_values_of_the_process_may_differ(make_desk):
    desk = make_desk("quickstart", "SLURM")
    config = desk.directory / "configs/config.yaml"
    text = (
        "stamp: ${now:%f}\nname: a-${stamp}\njob: ${oc.env:SLURM_JOB_ID,none}\ncpus: ${oc.env:SLURM_CPUS_PER_TASK,1}\n"
    )
    config.write_text(config.read_text(encoding="utf-8") + text, encoding="utf-8")
    desk.submit(SCRIPT.format(more="+note=/scratch/$SLURM_JOB_ID"))
    found = yaml.safe_load((desk.directory / "logs/1/metadata/config.yaml").read_text(encoding="utf-8"))
    assert (found["note"], found["job"]) == ("/scratch/$SLURM_JOB_ID", "$SLURM_JOB_ID")
    job = desk.run_job(1, SLURM_JOB_ID="101", SLURM_CPUS_PER_TASK="4")
    assert job.returncode == 0, job.stderr
    found = desk.app.config(1)
    assert [str(found[key]) for key in ("note", "job", "cpus")] == ["/scratch/101", "101", "4"]


def test_submission_that_was_cut_short_is_not_finished_with_another_configuration(waiting):
    four = SCRIPT.format(more="num_epoch=2,3")
    interrupted(waiting, four)
    job = waiting.submission(3)["scheduler_job_id"]
    (waiting.home / "queue").write_text(f"{job}|PENDING|Priority\n", encoding="utf-8")
    assert "3" in waiting.mlxp("cancel", "seed > 0").stdout.partition(": ")[2].split()
    waiting.edit("lr: 10.", "lr: 5.0")
    waiting.submit(four)
    assert [waiting.recorded(log_id)["optimizer"]["lr"] for log_id in range(3, 11)] == [10.0] * 4 + [5.0] * 4
