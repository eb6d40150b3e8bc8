"""What only a job knows stays as it is written; what is known at submission is true in the plan."""

import json
import re

import pytest

DIRECTIVES = {
    "SLURM": "#SBATCH --time=1",
    "OAR": "#OAR -l core=1",
    "PBS": "#PBS -l walltime=1",
    "SGE": "#$ -l h_rt=60",
    "MWM": "#MSUB -l walltime=1",
    "LSF": "#BSUB -W 1",
}
DIRECTORIES = {
    "SLURM": "SLURM_SUBMIT_DIR",
    "OAR": "OAR_WORKDIR",
    "PBS": "PBS_O_WORKDIR",
    "SGE": "SGE_O_WORKDIR",
    "MWM": "PBS_O_WORKDIR",
    "LSF": "LS_SUBCWD",
}
IDS = {
    "SLURM": "SLURM_JOB_ID",
    "OAR": "OAR_JOB_ID",
    "PBS": "PBS_JOBID",
    "SGE": "JOB_ID",
    "MWM": "MOAB_JOBID",
    "LSF": "LSB_JOBID",
}


@pytest.fixture
def slurm(make_desk):
    return make_desk("words", "SLURM")


def script(body, options="#SBATCH --time=1"):
    return f"#!/bin/bash\n{options}\n{body}\n"


def words(desk, log_id=1, **env):
    job = desk.run_job(log_id, **env)
    assert job.returncode == 0, job.stderr
    return json.loads((desk.directory / f"logs/{log_id}/ran.jsonl").read_text(encoding="utf-8"))["words"]


def refusal(desk, text):
    result = desk.mlxpsub(desk.write(text).name)
    assert result.returncode == 1
    assert desk.app.log_ids() == []
    return result.stderr


@pytest.mark.parametrize("scheduler", DIRECTIVES)
def test_directory_of_submission_is_true_and_the_job_finds_it(make_desk, scheduler):
    desk = make_desk("words", scheduler)
    place, job_id = DIRECTORIES[scheduler], IDS[scheduler]
    body = f"cd /\ncd ${place} || exit 3\npython main.py a=1 note=/x/${{{job_id}}} # not $HOME"
    desk.submit(script(body, DIRECTIVES[scheduler]))
    assert desk.commands() == [f"python main.py a=1 note=/x/${{{job_id}}} # not $HOME"]
    assert words(desk, **{place: "/", job_id: "12.server"}) == ["a=1", "note=/x/12.server"]


def test_words_that_depend_on_the_job_stay_as_written(slurm):
    body = """\
PORT=$((10000 + SLURM_JOB_ID % 1000)); SCRATCH=/scratch/$USER/$SLURM_JOB_ID; TMP=$(mktemp -d)
python main.py a=1,2 "num_epoch=$SLURM_CPUS_PER_TASK" note=/scratch/$SLURM_JOB_ID port=$PORT dir=$SCRATCH/x tmp=$TMP"""
    slurm.submit(script(body))
    late = '"num_epoch=$SLURM_CPUS_PER_TASK" note=/scratch/$SLURM_JOB_ID port=$PORT dir=$SCRATCH/x tmp=$TMP'
    assert slurm.commands()[1] == f"python main.py a=2 {late}"
    found = words(slurm, 2, SLURM_JOB_ID="4321", SLURM_CPUS_PER_TASK="8", USER="me")
    assert found[:-1] == ["a=2", "num_epoch=8", "note=/scratch/4321", "port=10321", "dir=/scratch/me/4321/x"]
    assert "note=/scratch/$SLURM_JOB_ID" in slurm.submission(2)["overrides"]
    assert slurm.submission(2)["late"] == ["dir", "note", "num_epoch", "port", "tmp"]


def test_variable_of_the_job_in_a_loop_is_put_back(slurm):
    body = """\
run() { W=/scratch/$SLURM_JOB_ID/$1; export OUT="$W/it's \\"$1\\""; python main.py dir=$W a=$1 list="[$SLURM_JOB_ID]"; }
for s in x y; do run $s; done"""
    slurm.submit(script(body))
    assert words(slurm, 2, SLURM_JOB_ID="77") == ["dir=/scratch/77/y", "a=y", "list=[77]"]
    ran = json.loads((slurm.directory / "logs/2/ran.jsonl").read_text(encoding="utf-8"))
    assert ran["env"]["OUT"] == '/scratch/77/y/it\'s "y"'


@pytest.mark.parametrize(
    "body",
    [
        "for s in 1 2; do python main.py seed=$s port=$((10000 + SLURM_JOB_ID % 1000 + s)); done",
        "for s in 1 2; do P=$((SLURM_JOB_ID + s)); python main.py port=$P; done",
        "for s in 1 2; do T=$(mktemp -d); python main.py tmp=$T seed=$s; done",
        "for s in 1 2; do export PORT=$((SLURM_JOB_ID + s)); python main.py seed=$s; done",
        "python main.py seed=$SLURM_CPUS_ON_NODE,7",
        "LOGS=/scratch/$SLURM_JOB_ID/logs; export LOGS; python main.py a=1",
    ],
)
def test_what_cannot_be_written_down_is_refused(slurm, body):
    assert re.search("only the job knows|would be written into|only the job has", refusal(slurm, script(body)))


def test_numbers_that_are_asked_for_are_known(slurm):
    options = "#SBATCH --cpus-per-task=4\n#SBATCH -n 2"
    body = "set -u\nfor i in $(seq $SLURM_NTASKS); do python main.py i=$i half=$((SLURM_CPUS_PER_TASK / 2)); done"
    assert "only the job knows" in refusal(slurm, script(body, options))
    body = "if [ $SLURM_CPUS_PER_TASK = 4 ]; then N=$SLURM_NTASKS; fi\npython main.py workers=$SLURM_CPUS_PER_TASK n=$N"
    slurm.submit(script(body, options))
    assert words(slurm, SLURM_CPUS_PER_TASK="4", SLURM_NTASKS="2") == ["workers=4", "n=2"]


def test_numbers_and_hosts_can_be_computed_with(make_desk):
    desk = make_desk("words", "PBS")
    body = """\
set -e
NP=$(wc -l < $PBS_NODEFILE); HOST=$(head -n 1 "$PBS_NODEFILE"); cat $PBS_NODEFILE > /dev/null
ID=${PBS_JOBID%%.*}; [ $((ID % 7)) -ge 0 ]
mkdir -p $PBS_JOBDIR/x && cd $PBS_JOBDIR/x && cd $PBS_O_WORKDIR
python main.py a=1 np=$NP id=$ID"""
    desk.submit(script(body, DIRECTIVES["PBS"]))
    assert desk.commands() == ["python main.py a=1 np=$NP id=$ID"]


def test_variables_of_a_job_that_submits_are_not_taken_over(slurm):
    slurm.env |= {"SLURM_JOB_ID": "5", "SLURM_ARRAY_TASK_ID": "3", "SLURM_CPUS_PER_TASK": "9"}
    body = '[ -z "$SLURM_ARRAY_TASK_ID$SLURM_CPUS_PER_TASK" ] && [ $SLURM_JOB_ID != 5 ] || exit 3\npython main.py a=1'
    slurm.submit(script(body))


def test_array_of_ones_own_is_refused_with_advice_that_is_right(slurm):
    body = "python main.py seed=$SLURM_ARRAY_TASK_ID"
    said = refusal(slurm, script(body, "#SBATCH --array=1-4%2\n#SBATCH --time=1"))
    assert "for SLURM_ARRAY_TASK_ID in $(seq 1 4); do ...; done" in said
    loop = f"for SLURM_ARRAY_TASK_ID in $(seq 1 4); do {body}; done"
    slurm.submit(script(loop), "--array")
    assert slurm.commands() == [f"python main.py seed={seed}" for seed in (1, 2, 3, 4)]
    assert words(slurm, 3, SLURM_ARRAY_TASK_ID="1") == ["seed=3"]


@pytest.mark.parametrize("option", ["--chdir=/other", "-D /other", "--chdir /other"])
def test_directory_of_the_job_as_an_option_is_refused(slurm, option):
    said = refusal(slurm, script("python main.py a=1", f"#SBATCH {option}"))
    assert "write `cd /other` as the script's first command instead" in said


def test_secrets_stay_where_they_are(slurm):
    slurm.write("hf_SECRET\n", "tok")
    body = """\
if [ -f tok ]; then export HF_TOKEN=$(cat tok); WANDB_API_KEY=$(cat tok) python main.py seed=1; fi
export LATER=$(cat tok)
python main.py seed=2"""
    slurm.env["UMASK"] = "077"
    slurm.submit(script("umask 077\n" + body))
    assert "hf_SECRET" not in "".join(slurm.jobs())
    job = slurm.run_job(1)
    assert job.returncode == 0, job.stderr
    env = json.loads((slurm.directory / "logs/1/ran.jsonl").read_text(encoding="utf-8"))["env"]
    assert (env["HF_TOKEN"], env["WANDB_API_KEY"]) == ("hf_SECRET", "hf_SECRET")


def test_secret_that_would_be_written_down_is_refused(slurm):
    slurm.write("export HF_TOKEN=hf_SECRET\n", "secrets.env")
    said = refusal(slurm, script("if true; then source secrets.env; python main.py seed=1; fi"))
    assert "the value of HF_TOKEN" in said
    slurm.submit(script("source secrets.env\nif true; then python main.py seed=1; fi"))
    assert "hf_SECRET" not in slurm.job(1)


def test_scripts_obey_the_umask(slurm):
    import os

    before = os.umask(0o077)
    try:
        slurm.submit(script("python main.py a=1"))
    finally:
        os.umask(before)
    assert (slurm.directory / "logs/1/script.sh").stat().st_mode & 0o777 == 0o700
