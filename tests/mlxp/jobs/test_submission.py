"""Every scheduler passes the same tests: what is asked of it, what is recorded, what happens when it refuses."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlxp.scheduler import SCHEDULERS
from mlxp_reader import Reader

RECORDED = Path(__file__).parents[2] / "data/job_scripts"
DIRECTIVES = {
    "SLURM": "#SBATCH --time=6:00:00\n#SBATCH\t--nice=3",
    "OAR": "#OAR -l core=1,walltime=6:00:00\n#OAR -t besteffort\n#OAR -t idempotent",
    "PBS": "#PBS -l walltime=6:00:00",
    "SGE": "#$ -l h_rt=6:00:00",
    "MWM": "#MSUB -l walltime=6:00:00",
    "LSF": "#BSUB -W 6:00",
}
OPTIONS = ("--dry-run", "--scheduler", "--array", "--max-parallel", "--per-job", "--plugin")
SWEEP = """\
#!/bin/bash
{directives}
export GREETING="hello  world"  # spaces stay
python main.py optimizer.lr=10.,1. seed=1,2
python main.py model.num_units=100,200 seed=1,2
"""


def sweep(desk):
    return SWEEP.format(directives=DIRECTIVES[desk.scheduler])


@pytest.fixture(scope="module", params=sorted(DIRECTIVES))
def submitted(request, make_desk):
    """The sweep, submitted to each scheduler; what was printed is `result`."""
    desk = make_desk("quickstart", request.param)
    desk.result = desk.submit(sweep(desk))
    return desk


@pytest.fixture(scope="module", params=sorted(DIRECTIVES))
def refused(request, make_desk):
    """The sweep, submitted to each scheduler, which refuses the third job."""
    desk = make_desk("quickstart", request.param)
    desk.result = desk.mlxpsub(desk.write(sweep(desk)).name, FAKE_REFUSED="3")
    return desk


def test_each_combination_becomes_a_job(submitted):
    assert submitted.app.log_ids() == list(range(1, 9))
    assert submitted.commands()[2] == "python main.py optimizer.lr=1. seed=1"
    assert len(submitted.calls()) == 8


def test_one_line_is_printed_per_run(submitted):
    lines = submitted.result.stdout.splitlines()
    assert len(lines) == 8
    assert re.fullmatch(r"run 8: job \S*108\S*: python main.py model.num_units=200 seed=2", lines[-1])


def test_script_of_a_job_is_the_recorded_one(submitted):
    script = submitted.job(7).replace(str(submitted.directory), "/home/me/project")
    script = re.sub(r"-S \S*/bash", "-S /bin/bash", script)
    assert script == (RECORDED / f"{submitted.scheduler}.sh").read_text(encoding="utf-8")


def test_submission_is_the_recorded_one(submitted):
    call = "\n".join(submitted.calls()[6]).replace(str(submitted.directory), "/home/me/project")
    call = re.sub(r"\S*/bash", "/bin/bash", call) + "\n"
    call = call.replace(submitted.submission(7)["token"], "TOKEN")
    assert call == (RECORDED / f"{submitted.scheduler}.argv").read_text(encoding="utf-8")


def test_ids_of_the_jobs_are_recorded(submitted):
    ids = [submitted.submission(log_id)["scheduler_job_id"] for log_id in range(1, 9)]
    assert [re.search(r"\d+", job_id)[0] for job_id in ids] == [str(101 + number) for number in range(8)]


def test_id_of_a_job_is_in_the_reader(submitted):
    assert submitted.run_job(8).returncode == 0
    (found,) = Reader(submitted.directory / "logs").filter("info.logger.log_id == 8")["info.scheduler.scheduler_job_id"]
    assert found == submitted.submission(8)["scheduler_job_id"]


def test_script_started_by_hand_does_the_same_run(submitted):
    assert submitted.run_job(7).returncode == 0
    assert submitted.app.info(7)["status"] == "COMPLETE"
    assert submitted.app.config(7)["model"]["num_units"] == 200
    assert submitted.app.log_ids() == list(range(1, 9))


def test_refusal_is_recorded_and_shown_and_the_others_are_submitted(refused):
    statuses = [refused.submission(log_id)["status"] for log_id in range(1, 9)]
    assert statuses == ["SUBMITTED"] * 2 + ["REFUSED"] + ["SUBMITTED"] * 5
    assert refused.result.returncode == 1
    assert refused.submission(3)["error"].splitlines()[0] in refused.result.stdout


def test_resubmit_sends_only_what_is_missing(refused):
    result = refused.mlxp("resubmit")
    assert (result.returncode, len(result.stdout.splitlines())) == (0, 1)
    assert refused.submission(3)["status"] == "SUBMITTED"
    assert [call[0] for call in refused.calls()].count(SCHEDULERS[refused.scheduler].command) == 9


def test_missing_command_is_said_before_anything_is_created(any_desk):
    any_desk.env["PATH"] = any_desk.env["PATH"].partition(":")[2]
    result = any_desk.mlxpsub(any_desk.write(sweep(any_desk)).name)
    assert result.returncode == 1
    assert f"the command {SCHEDULERS[any_desk.scheduler].command}" in result.stderr
    assert not (any_desk.directory / "logs").exists()


def test_options_that_a_user_sets_lose_and_he_is_told(any_desk):
    option = {"SLURM": "--output=x", "OAR": "-O x", "LSF": "-o x"}.get(any_desk.scheduler, "-o x")
    directive = SCHEDULERS[any_desk.scheduler].directive
    result = any_desk.submit(f"#!/bin/bash\n{directive} {option}\npython main.py\n")
    assert "log.stdout" in result.stderr
    assert str(any_desk.directory / "logs/1/log.stdout") in " ".join(any_desk.calls()[0])


def test_array_of_the_users_own_is_refused(any_desk):
    option = {"SLURM": "--array=1-3", "OAR": "--array 3", "LSF": '-J "x[1-3]"'}.get(any_desk.scheduler, "-t 1-3")
    directive = SCHEDULERS[any_desk.scheduler].directive
    result = any_desk.mlxpsub(any_desk.write(f"#!/bin/bash\n{directive} {option}\npython main.py\n").name)
    assert result.returncode == 1
    assert "line 2" in result.stderr
    assert not (any_desk.directory / "logs").exists()


def test_path_that_a_scheduler_cannot_take_is_said_before_anything_is_created(any_desk):
    bad = {"SLURM": "back\\slash", "OAR": "quote'", "LSF": "new\nline", "SGE": "com,ma"}.get(any_desk.scheduler, "a:b")
    any_desk.write(json.dumps({"logger": {"parent_log_dir": bad}}), "configs/mlxp.yaml")
    result = any_desk.mlxpsub(any_desk.write(sweep(any_desk)).name)
    assert result.returncode == 1
    assert "cannot write to a path with the character" in result.stderr
    assert not (any_desk.directory / bad).exists()


def test_directories_with_spaces_are_no_problem(any_desk):
    place = any_desk.directory.with_name("my project")
    any_desk.directory.rename(place)
    any_desk.directory = any_desk.app.directory = place
    any_desk.submit(sweep(any_desk))
    assert any_desk.run_job(8).returncode == 0
    assert any_desk.app.info(8)["work_dir"] == str(place)
    assert f"{place}/logs/8/log.stdout" in " ".join(any_desk.calls()[7]).replace("-o :", "-o ")


def test_working_directory_of_a_job_is_not_the_schedulers_choice(any_desk):
    any_desk.submit(sweep(any_desk))
    assert f"cd {any_desk.directory} || exit 1" in any_desk.job(1)
    assert "-d" not in any_desk.calls()[0]  # Torque's, which OpenPBS refuses


def test_grid_engines_qsub_is_not_taken_for_the_one_of_pbs(desk):
    desk.use("SGE")
    result = desk.mlxpsub(desk.write("#!/bin/bash\n#PBS -l nodes=1\npython main.py\n").name)
    assert result.returncode == 1
    assert "Grid Engine" in result.stderr
    assert not (desk.directory / "logs").exists()


def test_qsub_of_pbs_is_not_taken_for_the_one_of_grid_engine(desk):
    desk.use("PBS")
    result = desk.mlxpsub(desk.write("#!/bin/bash\n#$ -l h_rt=60\npython main.py\n").name)
    assert result.returncode == 1
    assert "Grid Engine" in result.stderr


def test_options_for_several_schedulers_go_to_the_one_that_is_here(desk):
    desk.submit("#!/bin/bash\n#OAR -l core=1\n#SBATCH --time=10\npython main.py\n")
    assert desk.submission(1)["scheduler"] == "SLURM"


def test_choice_between_two_present_schedulers_is_asked_for(desk):
    desk.use("OAR")
    script = desk.write("#!/bin/bash\n#OAR -l core=1\n#SBATCH --time=10\npython main.py\n").name
    assert "--scheduler" in desk.mlxpsub(script).stderr
    assert desk.mlxpsub(script, "--scheduler", "OAR").returncode == 0
    assert desk.submission(1)["scheduler"] == "OAR"


def test_script_without_options_names_the_known_ones(desk):
    result = desk.mlxpsub(desk.write("#!/bin/bash\npython main.py\n").name)
    assert "#SBATCH, #OAR, #PBS" in result.stderr
    assert result.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("optimizer.lrr=1", "Key 'lrr' is not in struct"),
        ("seed=1,2 optimizer={", "optimizer={"),
        ("mlxp.loger.name=x", "did you mean mlxp.logger?"),
        ("mlxp.use_logger=false", "a submitted run needs a logger"),
        ("mlxp.logger.forced_log_id=3", "remove mlxp.logger.forced_log_id"),
    ],
)
def test_mistake_in_a_command_is_said_before_anything_is_created(desk, arguments, message):
    script = desk.write(f"#!/bin/bash\n#SBATCH --time=1\npython main.py seed=1\npython main.py {arguments}\n").name
    result = desk.mlxpsub(script)
    assert result.returncode == 1
    assert "script.sh, line 4" in result.stderr
    assert message in result.stderr
    assert not (desk.directory / "logs").exists()


def test_dry_run_creates_nothing(desk):
    result = desk.mlxpsub("--dry-run", desk.write(SWEEP.format(directives="#SBATCH --time=1")).name)
    assert result.stdout.startswith("8 runs")
    assert "python main.py optimizer.lr=10. seed=1\n" in result.stdout
    assert not (desk.directory / "logs").exists()


def test_help_is_complete(desk):
    result = desk.mlxpsub("--help")
    assert result.returncode == 0
    directives = [row.directive for row in SCHEDULERS.values()]
    assert all(word in result.stdout for word in ("script", *OPTIONS, *directives))


def test_job_inherits_no_word_of_the_submission(desk):
    desk.submit("#!/bin/bash\n#SBATCH --time=1\npython main.py seed=1,2\n", MLXP_RUN_DIRECTORY="/elsewhere")
    job = desk.run_job(1)
    assert (job.returncode, desk.app.log_ids()) == (0, [1, 2])


RANKS = [
    {"RANK": "1", "WORLD_SIZE": "2", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2"},
    {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2"},
    {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"},
    {"PMI_RANK": "1", "PMI_SIZE": "2"},
]


@pytest.mark.parametrize("variables", RANKS)
def test_other_process_of_a_run_gets_the_same_and_writes_nothing(desk, variables):
    desk.submit("#!/bin/bash\n#SBATCH --time=1\nsrun -n 2 python main.py seed=1,2\n")
    before = desk.app.files()
    desk.write(desk.job(2).replace("srun -n 2 ", ""), "logs/2/script.sh")
    other = desk.run_job(2, **variables)
    assert other.returncode == 0, other.stderr
    assert other.stdout.startswith("seed: 2\n")
    assert desk.app.files() == before
    assert desk.run_job(2, SLURM_PROCID="0", SLURM_STEP_NUM_TASKS="2", RANK="8").returncode == 0
    assert len(desk.app.records("Quickstart", 2)) == 2
    assert desk.app.info(2)["attempt"] == 1


def test_users_own_scheduler_is_another_row(desk):
    desk.write(
        "import dataclasses, re\nfrom mlxp.scheduler import SLURM, register\n"
        "register(dataclasses.replace(SLURM, name='MINE', directive='#MINE'))\n",
        "my_cluster.py",
    )
    desk.submit("#!/bin/bash\n#MINE --time=1\npython main.py\n", "--plugin", "my_cluster")
    assert desk.submission(1)["scheduler"] == "MINE"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--max-parallel", "2"], 1, "mlxpsub: --max-parallel limits the tasks of an array; add --array"),
        (["--plugin", "nowhere"], 1, "mlxpsub: cannot import nowhere: No module named 'nowhere'"),
        (["--per-job", "0"], 2, "argument --per-job: must be a whole number from 1, not '0'"),
        (["--max-parallel", "few"], 2, "argument --max-parallel: must be a whole number from 1, not 'few'"),
        (["--scheduler", "LFS"], 1, "unknown scheduler 'LFS'; it is one of SLURM, OAR, PBS, SGE, MWM, LSF"),
    ],
)
def test_wrong_options_are_said(desk, arguments, code, message):
    result = desk.mlxpsub(*arguments, desk.write("#!/bin/bash\n#SBATCH --time=1\npython main.py\n").name)
    assert (result.returncode, message in result.stderr) == (code, True)


def interrupt(desk, script, *arguments, number=signal.SIGINT):
    """Press Ctrl-C, or close the terminal, once the first job has been submitted."""
    slow = desk.home / "bin/sbatch"
    slow.write_text(
        '#!/bin/sh\nsleep 0.7\nexec FAKE "$@"\n'.replace("FAKE", desk.env["PATH"].split(":")[0] + "/sbatch")
    )
    slow.chmod(0o755)
    env = desk.env | {"PATH": f"{desk.home / 'bin'}:{desk.env['PATH']}"}
    command = [
        sys.executable,
        "-c",
        "import sys; from mlxp.commands.mlxpsub import main; sys.exit(main())",
        script,
        *arguments,
    ]
    process = subprocess.Popen(command, cwd=desk.directory, env=env, stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 128 + number


@pytest.mark.parametrize(
    ("arguments", "submissions", "name"),
    [((), 6, "SIGINT"), (("--array",), 3, "SIGINT"), ((), 6, "SIGTERM"), ((), 6, "SIGHUP")],
)
def test_interrupted_submission_is_finished_by_the_same_command(desk, arguments, submissions, name):
    script = desk.write("#!/bin/bash\n#SBATCH --time=1\npython main.py seed=1,2,3,4,5,6\n").name
    desk.env["FAKE_ARRAY_SIZE"] = "3"
    interrupt(desk, script, *arguments, number=getattr(signal, name))
    assert 1 <= len(desk.calls()) < submissions
    assert desk.mlxpsub(script, *arguments).returncode == 0
    assert len(desk.calls()) == submissions
    assert desk.app.log_ids() == list(range(1, 7))


def test_interrupted_submission_that_resubmit_has_finished_is_said_to_be_complete(desk):
    script = desk.write("#!/bin/bash\n#SBATCH --time=1\npython main.py seed=1,2,3\n").name
    interrupt(desk, script)
    assert desk.mlxp("resubmit").returncode == 0
    result = desk.mlxpsub(script)
    assert (result.stdout, "give the command again" in result.stderr) == ("", True)
    assert desk.mlxpsub(script).stdout.startswith("run 4: job 104: ")


def test_finished_submission_is_not_taken_up_again(desk):
    script = desk.write("#!/bin/bash\n#SBATCH --time=1\npython main.py seed=1,2\n").name
    desk.mlxpsub(script)
    desk.mlxpsub(script)
    assert desk.app.log_ids() == [1, 2, 3, 4]
    assert not (desk.directory / "logs/.launch").exists()


@pytest.mark.parametrize("name", sorted(SCHEDULERS))
def test_adapted_names_keep_the_id_of_the_run(name):
    adapted = SCHEDULERS[name].names.adapted("a very long name of a directory, with (signs) in it: é/12345")
    assert adapted.endswith("12345")
    assert not SCHEDULERS[name].names.refused.search(adapted)
    assert len(adapted) <= SCHEDULERS[name].names.length
