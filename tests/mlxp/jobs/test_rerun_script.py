"""``mlxp rerun --submit``: a run again, as a job with the script that it had."""

from pathlib import Path

import pytest

from mlxp.jobs.rerun_script import rerun_script
from mlxp.reproduction.rerun import Rerun
from mlxp.run_directory.layout import RunDirectory
from mlxp.running.copies import Copy
from mlxp.scheduler import SCHEDULERS

SCRIPT = {
    "SLURM": "#SBATCH --time=6:00:00",
    "OAR": "#OAR -l core=1,walltime=6:00:00",
    "SGE": "#$ -l h_rt=6:00:00",
}


@pytest.fixture(params=sorted(SCRIPT))
def done(request, make_desk):
    """Two runs that were submitted and have ended, whose code has been edited since."""
    desk = make_desk("quickstart", request.param)
    text = f'#!/bin/bash\n{SCRIPT[request.param]}\nexport GREETING="hello  world"\npython main.py seed=3,4\n'
    desk.submit(text)
    assert desk.run_job(1).returncode == 0
    desk.program = (desk.directory / "main.py").read_text(encoding="utf-8")
    (desk.directory / "main.py").write_text("raise SystemExit('edited')\n", encoding="utf-8")
    return desk


def test_run_is_submitted_again_as_its_script_did(done):
    result = done.mlxp("rerun", "1", "optimizer.lr=0.5", "--submit")
    assert result.returncode == 0, result.stderr
    assert "whatever code" not in result.stderr
    job = done.job(3)
    assert SCRIPT[done.scheduler] in job
    assert 'export GREETING="hello  world"' in job
    assert job.count(str(done.directory / "logs/3/log.stdout")) == done.job(1).count("logs/1/log.stdout")
    assert "logs/1/" not in job
    assert done.submission(3)["scheduler"] == done.scheduler
    assert done.run_job(3).returncode == 0
    info = done.app.info(3)
    assert (info["status"], info["rerun_of"]) == ("COMPLETE", 1)
    assert info["code_changed"] is False
    assert info["code"]["state"] == done.app.info(1)["code"]["state"]
    assert (done.app.config(3)["seed"], done.app.config(3)["optimizer"]["lr"]) == (3, 0.5)
    assert "2 COMPLETE" in done.mlxp("status").stdout


def test_what_no_script_can_submit_is_said(desk):
    assert desk.app.run("seed=1").returncode == 0
    result = desk.mlxp("rerun", "1", "--submit")
    assert (result.returncode, desk.app.log_ids()) == (1, [1])
    assert "run 1 is not submitted: run 1 was not submitted, so there is no script for it; use mlxpsub" in result.stderr
    assert "leave out --check or --submit" in desk.mlxp("rerun", "1", "--submit", "--check").stderr


def test_job_uses_the_environment_that_was_made_for_it():
    copy = Copy(Path("/project"), Path("/copy"))
    variables = {"PATH": "/made/bin:/bin", "VIRTUAL_ENV": "/made", "MLXP_COPY": "/copy"}
    source = RunDirectory(Path("/project/logs/1"))
    planned = Rerun(source, copy, ["/made/bin/python", "/copy/main.py"], Path("/copy"), variables, [], [])
    text = (
        "#!/bin/bash\n#SBATCH --job-name=logs/1\n#SBATCH --time=1:00\n\ncd /project || exit 1\n"
        "export MLXP_RUN_DIRECTORY=/project/logs/1\nsource env/bin/activate\nsrun python /project/main.py seed=1\n"
    )
    job = rerun_script(text.encode(), planned, SCHEDULERS["SLURM"], ["lr=2"]).decode()
    assert job == (
        "#!/bin/bash\n#SBATCH --time=1:00\n\ncd /copy || exit 1\nexport MLXP_COPY=/copy\n"
        "export MLXP_RERUN_OF=/project/logs/1\n"
        "source env/bin/activate\n"
        """srun /made/bin/python /copy/main.py seed=1 lr=2 "mlxp.logger.parent_log_dir='/project/logs'"\n"""
    )
