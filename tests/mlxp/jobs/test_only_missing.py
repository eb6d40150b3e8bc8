"""`mlxpsub --only-missing`, and a program that submits itself: jobs for the runs that are not there."""

import os
import subprocess
import sys

import yaml

from mlxp.run_directory.files import to_yaml

SCRIPT = "#!/bin/bash\n#SBATCH --time=1\npython main.py optimizer.lr={lr} seed={seed}\n"

CUT_SHORT = """
import os, sys
from mlxp.commands.mlxpsub import main
from mlxp.jobs.batch import Batch
Batch.submit = lambda *_: os._exit(9)
main(sys.argv[1:])
"""


def write_info(desk, log_id, status):
    """Let a run say how it ended, as its job would."""
    file = desk.directory / f"logs/{log_id}/metadata/info.yaml"
    facts = {"status": status, "current_file_path": str(desk.directory / "main.py"), "attempt": 1}
    file.write_text(to_yaml(facts | {"logger": {"log_dir": str(file.parents[1])}}), encoding="utf-8")


def test_only_what_is_not_there_gets_a_job(make_desk):
    desk = make_desk("quickstart", "SLURM")
    desk.submit(SCRIPT.format(lr="1", seed="1,2,3"))
    write_info(desk, 1, "COMPLETE")
    write_info(desk, 2, "FAILED")
    script = SCRIPT.format(lr="1.0", seed="1,2,3,4")
    dry = desk.mlxpsub(desk.write(script).name, "--only-missing", "--dry-run")
    assert dry.stdout.startswith("2 runs, ")
    assert "  left out, since run 1 is COMPLETE: optimizer.lr=1.0 seed=1\n" in dry.stdout
    assert desk.app.log_ids() == [1, 2, 3]
    lines = desk.submit(script, "--only-missing").stdout.splitlines()
    assert lines[:3] == [
        "left out, since run 1 is COMPLETE: optimizer.lr=1.0 seed=1",
        "left out, since run 3 is SUBMITTED: optimizer.lr=1.0 seed=3",
        "2 of 4 runs are missing",
    ]
    assert lines[3].startswith("run 4: job 104: ")
    assert lines[3].endswith("seed=2 (run 2 is FAILED)")
    assert lines[4].startswith("run 5: job 105: ")
    assert len(lines) == 5
    # Given once more, it has nothing to do.
    again = desk.submit(script, "--only-missing")
    assert again.stdout.splitlines()[-1] == "0 of 4 runs are missing"
    assert len(desk.calls()) - len([call for call in desk.calls() if call[0] != "sbatch"]) == 5


def test_script_may_ask_for_it_and_declare_what_does_not_matter(make_desk):
    desk = make_desk("quickstart", "SLURM")
    words = "mlxp.only_missing=true mlxp.identity.exclude=[num_epoch] mlxp.identity.version=2"
    script = f"#!/bin/bash\n#SBATCH --time=1\npython main.py seed=1,2 num_epoch=$1 {words}\n".replace("$1", "{}")
    desk.submit(script.format(3))
    assert desk.app.log_ids() == [1, 2]
    assert desk.submission(1)["identity"] == {"version": 2}
    assert desk.submission(1)["program"] == "../main.py"
    assert "mlxp.only_missing" not in desk.job(1)
    assert desk.submit(script.format(5)).stdout.splitlines()[-1] == "0 of 2 runs are missing"
    result = desk.run_job(1)
    assert result.returncode == 0, result.stderr
    assert desk.app.info(1)["identity"] == {"version": 2}
    dry = desk.submit(script.format(5).replace("seed=1,2", "seed=2,3 mlxp.dry_run=true"))
    assert dry.stdout.startswith("1 run")
    assert desk.app.log_ids() == [1, 2]


def test_repeated_command_submits_what_was_refused(make_desk):
    desk = make_desk("quickstart", "SLURM")
    desk.submit(SCRIPT.format(lr="1", seed="1"))
    script = desk.write(SCRIPT.format(lr="1", seed="1,2,3,4")).name
    assert desk.mlxpsub(script, "--only-missing", FAKE_REFUSED="3").returncode == 1
    done = desk.mlxpsub(script, "--only-missing")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("seed=3 (run 3 is REFUSED)")
    ids = desk.app.log_ids()
    seeds = [desk.app.config(one)["seed"] for one in ids if desk.submission(one)["status"] == "SUBMITTED"]
    assert (ids, sorted(seeds)) == ([1, 2, 3, 4, 5], [1, 2, 3, 4])


def test_submission_that_was_cut_short_goes_on(make_desk):
    desk = make_desk("quickstart", "SLURM")
    desk.submit(SCRIPT.format(lr="1", seed="2"))
    script = desk.write(SCRIPT.format(lr="1", seed="1,2,3")).name
    command = [sys.executable, "-c", CUT_SHORT, script, "--only-missing"]
    cut = subprocess.run(command, cwd=desk.directory, env=desk.env, capture_output=True, check=False, timeout=120)
    assert cut.returncode == 9, cut.stderr
    assert desk.app.log_ids() == [1, 2, 3]
    done = desk.mlxpsub(script, "--only-missing")
    assert done.returncode == 0, done.stderr
    assert desk.app.log_ids() == [1, 2, 3]
    assert {desk.submission(one)["status"] for one in (1, 2, 3)} == {"SUBMITTED"}


def test_program_that_submits_itself_leaves_out_what_is_there(make_desk):
    desk = make_desk("quickstart", "SLURM")
    settings = {"use_scheduler": True, "only_missing": True, "scheduler": {"name": "SLURM"}}
    desk.write(yaml.safe_dump(settings), "configs/mlxp.yaml")

    def start(*arguments):
        command = [sys.executable, "main.py", *arguments]
        return subprocess.run(
            command, cwd=desk.directory, env=desk.env, capture_output=True, text=True, timeout=120, check=True
        )

    start("seed=1,2")
    dry = start("seed=2,3", "mlxp.dry_run=true")
    assert dry.stdout.startswith("1 run, ")
    assert desk.app.log_ids() == [1, 2]
    lines = start("seed=2,3").stdout.splitlines()
    assert lines[0].startswith("left out, since run 2 is SUBMITTED: seed=2")
    assert desk.app.log_ids() == [1, 2, 3]
    # The job itself is asked for, and does its run though the run is there.
    assert desk.run_job(3).returncode == 0
    assert desk.app.info(3)["status"] == "COMPLETE"


def test_job_that_its_scheduler_has_long_forgotten_is_lost(make_desk):
    desk = make_desk("quickstart", "SLURM")
    script = SCRIPT.format(lr="1", seed="1,2")
    desk.submit(script)
    os.utime(desk.directory / "logs/1/metadata/submission.yaml", (0, 0))
    lines = desk.submit(script, "--only-missing").stdout.splitlines()
    assert lines[0].startswith("left out, since run 2 is SUBMITTED")
    assert lines[2].endswith("(run 1 is LOST)")
