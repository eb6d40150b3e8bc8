"""Options of the scheduler and overrides that stand after the script on the command line of mlxpsub."""

import re

import pytest

from mlxp.commands.mlxpsub import main
from mlxp.errors import InvalidSchedulerError
from mlxp.jobs.scheduler_options import checked_options
from mlxp.scheduler import SCHEDULERS

OWN = [
    ("SLURM", "--job-name=x"),
    ("SLURM", "-o x"),
    ("SLURM", "-a 1-3"),
    ("SLURM", "--chdir=/tmp"),
    ("OAR", "-n x"),
    ("OAR", "-d /tmp"),
    ("PBS", "-e x"),
    ("PBS", "-J 1-3"),
    ("SGE", "-t 1-3"),
    ("SGE", "-wd /tmp"),
    ("MWM", "-N x"),
    ("LSF", "-J x[1-3]"),
]
PASSED_ON = {
    "SLURM": "--time=2:00:00 -p gpu",
    "OAR": "-l nodes=2,walltime=2 -t besteffort",
    "PBS": "-l walltime=2:00:00",
    "SGE": "-pe smp 4 -l h_rt=2:0:0",
    "MWM": "-l walltime=2:00:00",
    "LSF": "-W 2:00 -gpu num=2",
}
DIRECTIVES = {"SLURM": "#SBATCH", "OAR": "#OAR", "PBS": "#PBS", "SGE": "#$", "MWM": "#MSUB", "LSF": "#BSUB"}


def test_options_after_the_script_go_to_the_scheduler_before_those_of_mlxp(any_desk):
    words = PASSED_ON[any_desk.scheduler].split()
    script = any_desk.write(f"#!/bin/bash\n{DIRECTIVES[any_desk.scheduler]} -x y\npython main.py seed=1\n")
    assert any_desk.mlxpsub(script.name, *words).returncode == 0
    assert any_desk.calls()[0][1 : 1 + len(words)] == words
    assert f"{DIRECTIVES[any_desk.scheduler]} -x y" in any_desk.job(1)


@pytest.mark.parametrize(("scheduler", "given"), OWN)
def test_option_that_mlxp_sets_itself_is_refused(scheduler, given):
    with pytest.raises(InvalidSchedulerError, match=f"^{re.escape(given)}: leave it out, since "):
        checked_options(["--x=y", *given.split()], SCHEDULERS[scheduler])


@pytest.mark.parametrize(
    ("scheduler", "script", "words", "kept"),
    [
        ("OAR", ["-l core=1,walltime=1", "-t idempotent", "-p gpu='A'"], ["-l", "core=4"], ["-t idempotent", "-p gpu"]),
        ("OAR", ["--resource core=1", "-p gpu='A'"], ["--resource=core=4", "-p", "x"], []),
        ("SLURM", ["--mem=8G --time=1", "--partition=cpu"], ["--mem-per-cpu=1G"], ["--time=1", "--partition=cpu"]),
        ("SLURM", ["--mem-per-gpu 8G"], ["--mem", "1G"], []),
        ("SGE", ["-l h_rt=60", "-l gpu=1"], ["-l", "h_rt=7200"], ["-l h_rt=60", "-l gpu=1"]),
    ],
)
def test_options_that_the_scheduler_would_add_or_refuse_replace_those_of_the_script(
    make_desk, scheduler, script, words, kept
):
    desk = make_desk("quickstart", scheduler)
    lines = [f"{DIRECTIVES[scheduler]} {one}" for one in script]
    file = desk.write("\n".join(["#!/bin/bash", *lines, "python main.py seed=1\n"]))
    assert desk.mlxpsub("--scheduler", scheduler, file.name, *words).returncode == 0
    left = [one for one in desk.job(1).splitlines() if one.startswith(DIRECTIVES[scheduler])]
    left = left[2 + (scheduler != "OAR") :] if scheduler != "SGE" else left[4:]
    assert len([one for one in left if not one.startswith(("#OAR -O",))]) == len(kept)
    assert all(any(one in line for line in left) for one in kept)


def test_overrides_after_two_dashes_win_over_those_of_the_script_and_are_kept(desk):
    text = "#!/bin/bash\n#SBATCH --time=1\npython other.py\npython main.py seed=1 optimizer.lr=0.1,0.5\n"
    desk.write("import sys\nassert len(sys.argv) == 1\n", "other.py")
    result = desk.submit(text, "--time=2:00:00", "--per-job", "2", "--", "seed=3,4", "+note='a b'")
    assert desk.commands() == [
        f"""python main.py optimizer.lr={lr} seed={seed} "+note='a b'\""""
        for lr in ("0.1", "0.5")
        for seed in ("3", "4")
    ], result.stdout
    assert desk.submission(1)["options"] == ["--time=2:00:00"]
    assert desk.submission(1)["packing"]["per_job"] == 2


def test_override_wins_over_what_only_the_job_knows(desk):
    script = "#!/bin/bash\n#SBATCH --time=1\npython main.py seed=$SLURM_JOB_ID\n"
    desk.submit(script, "--", "seed=7")
    assert desk.commands() == ["python main.py seed=7"]


def test_refused_run_is_submitted_again_with_the_options_of_the_command_line(desk):
    file = desk.write("#!/bin/bash\n#SBATCH --time=1\npython main.py seed=1\n")
    assert desk.mlxpsub(file.name, "--time=2:00:00", "--", "seed=3", FAKE_REFUSED="1").returncode == 1
    assert desk.mlxp("resubmit").returncode == 0
    first, second = (call for call in desk.calls() if call[0] == "sbatch")
    assert first[1] == second[1] == "--time=2:00:00"
    assert desk.commands() == ["python main.py seed=3"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--time=2", "script.sh"], "unrecognized arguments: --time=2"),
        (["--time=2"], "required: script"),
        (["script.sh", "--dry"], "--dry: there is no such option of mlxpsub; --dry-run is one"),
        (["script.sh", "--dry-rum"], "--dry-run is one"),
        (["script.sh", "--", "--time=2"], "'--time=2' is not an override"),
        (["script.sh", "--", "seed"], "'seed' is not an override"),
        (["script.sh", "--", "hydra.job.chdir=true"], "Hydra's own settings"),
        (["--per-job"], "expected one argument"),
    ],
)
def test_wrong_words_are_wrong_usage(capsys, words, says):
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("words", [["seed=3"], ["--time=2", "seed=3"], ["--time", "2", "seed=3"]])
def test_override_without_the_two_dashes_is_refused(words):
    with pytest.raises(InvalidSchedulerError, match="'seed=3' is not an option of SLURM; write overrides after ' -- '"):
        checked_options(words, SCHEDULERS["SLURM"])


def test_secret_is_no_option_since_it_would_be_recorded():
    with pytest.raises(InvalidSchedulerError, match="holds a secret"):
        checked_options(["--export=HF_TOKEN=abcd1234"], SCHEDULERS["SLURM"])


def test_wrong_override_is_an_error_and_nothing_is_submitted(desk):
    file = desk.write("#!/bin/bash\n#SBATCH --time=1\npython main.py seed=1\n")
    result = desk.mlxpsub(file.name, "--", "sede=3")
    assert (result.returncode, desk.app.log_ids()) == (1, [])
    assert "sede" in result.stderr
