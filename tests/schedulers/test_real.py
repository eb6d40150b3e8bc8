"""What a user sees of real schedulers; started by the script `run` in this folder, once for each of them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime

import pytest

from mlxp.run_directory.layout import RunDirectory
from mlxp_reader import Reader

SCHEDULER = os.environ.get("REAL_SCHEDULER")
pytestmark = pytest.mark.skipif(SCHEDULER is None, reason="needs a real scheduler: tests/schedulers/run starts some")

DIRECTIVES = {
    "SLURM": "#SBATCH --time=0:05:00",
    "SGE": "#$ -l h_rt=300",
    "OAR": "#OAR -l core=1,walltime=0:05:00",
}
WRONG = {"SLURM": "#SBATCH --partition=nowhere", "SGE": "#$ -l nothing=1", "OAR": "#OAR -l nothing=1"}
OWN_OUTPUT = {"SLURM": "#SBATCH --output=mine", "SGE": "#$ -o mine", "OAR": "#OAR -O mine"}
SUBMITTER = {"SLURM": "sbatch", "SGE": "qsub", "OAR": "oarsub"}
SHORT = {"SLURM": "#SBATCH --time=0:01:00", "SGE": "#$ -l h_rt=6", "OAR": "#OAR -l core=1,walltime=0:00:06"}
HOLD = {"SLURM": "#SBATCH --hold", "SGE": "#$ -h", "OAR": "#OAR --hold"}
RELEASE = {"SLURM": "scontrol release", "SGE": "qrls", "OAR": "oarresume"}
DELETE = {"SLURM": "scancel", "SGE": "qdel", "OAR": "oardel"}
COMMANDS = {
    name: f"import sys; from mlxp.commands.{module} import main; sys.exit(main())"
    for name, module in (("mlxpsub", "mlxpsub"), ("cli", "main"))
}
ENDED = {"COMPLETE", "FAILED", "KILLED", "LOST", "REFUSED"}


class Cluster:
    """A program in a directory of its own, and the scheduler that runs it."""

    def __init__(self, app):
        self.app = app

    def script(self, body, directive=None, shebang="#!/usr/bin/env bash\n"):
        paths = f'export PATH="{os.path.dirname(sys.executable)}:$PATH" PYTHONPATH="{os.environ.get("PYTHONPATH", "")}"'
        paths += " SLEEP=600"  # until it is ended, however busy the computer is
        text = f"{shebang}{directive or DIRECTIVES[SCHEDULER]}\n{paths}\n{body}\n"
        (self.app.directory / "script.sh").write_text(text, encoding="utf-8")

    def submit(self, body, directive=None, *arguments):
        self.script(body, directive)
        result = self.call("mlxpsub", "script.sh", *arguments)
        assert result.returncode == 0, result.stderr
        return result

    def call(self, command, *arguments):
        return self.start("-c", COMMANDS[command], *arguments)

    def start(self, *words):
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.app.directory,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def release(self, *log_ids):
        """Let jobs start that were submitted so that they wait."""
        for run in json.loads(self.call("cli", "status", "--json").stdout):
            if run["log_id"] in log_ids:
                command = [*RELEASE[SCHEDULER].split(), run["scheduler_job_id"]]
                subprocess.run(command, check=True, timeout=60, capture_output=True)

    def status(self):
        runs = json.loads(self.call("cli", "status", "--json").stdout)
        return {run["log_id"]: run["status"] for run in runs}

    def wait(self, expected, seconds=150):
        """Wait until the runs have these states; return what `mlxp status` then prints."""
        deadline = time.monotonic() + seconds
        while (found := list(self.status().values())) != expected:
            assert time.monotonic() < deadline, f"{found} and not {expected}\n{self.call('cli', 'status').stdout}"
            time.sleep(1)
        return self.call("cli", "status").stdout

    def wait_for(self, log_ids, status, seconds=150):
        """Wait until these runs have this state."""
        deadline = time.monotonic() + seconds
        while {(found := self.status())[log_id] for log_id in log_ids} != {status}:
            assert time.monotonic() < deadline, f"{found}: {log_ids} are not {status}"
            time.sleep(1)


@pytest.fixture
def cluster(app):
    cluster = Cluster(app("actions"))
    yield cluster
    cluster.call("cli", "cancel", "info.status == 'RUNNING' | info.status == 'SUBMITTED'")


@pytest.fixture
def quickstart(app):
    return Cluster(app("quickstart"))


@pytest.mark.skipif(SCHEDULER != "OAR", reason="OAR starts another job in the place of one that it has ended")
def test_run_that_oar_starts_again_is_followed_to_its_new_job(cluster):
    cluster.submit(
        "python main.py action=sleep number=1",
        f"{DIRECTIVES['OAR']}\n#OAR -p core=6\n#OAR -t besteffort\n#OAR -t idempotent",
    )
    cluster.wait(["RUNNING"])
    first = cluster.app.info()["scheduler"]["scheduler_job_id"]
    command = "oarsub -p core=6 -l core=1,walltime=0:00:30 -O /dev/null -E /dev/null"
    subprocess.run([*command.split(), "sleep 1"], check=True)
    until(lambda: cluster.app.info()["attempt"] == 2, cluster, 400)
    cluster.wait(["RUNNING"])
    (run,) = json.loads(cluster.call("cli", "status", "--json").stdout)
    assert int(run["scheduler_job_id"]) > int(first)
    deadline = time.monotonic() + 60
    while (cancelled := cluster.call("cli", "cancel", "number == 1")).returncode:  # OAR does not always answer
        assert time.monotonic() < deadline, cancelled.stderr
        time.sleep(1)
    assert cancelled.stdout == "cancelled the jobs of 1 run: 1\n"
    cluster.wait(["KILLED"])


def test_run_that_takes_too_long_is_killed(cluster):
    # The shortest limit of Slurm is a minute, and it looks every half a minute; the program sleeps for ten.
    cluster.submit("python main.py action=sleep number=1", SHORT[SCHEDULER])
    cluster.wait(["KILLED"], seconds=200)
    until_told(cluster, ("KILLED", "TIMEOUT"))


def test_sweep_of_two_commands_completes(quickstart):
    quickstart.submit("python main.py optimizer.lr=10.,1. seed=1,2\npython main.py model.num_units=100,200 seed=1,2")
    printed = quickstart.wait(["COMPLETE"] * 8)
    assert printed.startswith("8 runs in logs: 8 COMPLETE")
    assert (quickstart.app.directory / "logs/8/log.stdout").read_text(encoding="utf-8").startswith("seed: 2")
    assert quickstart.app.info(8)["scheduler"]["scheduler_job_id"]
    assert quickstart.app.log_ids() == list(range(1, 9))
    left = sorted(path.name for path in quickstart.app.directory.iterdir())
    assert left == ["configs", "logs", "main.py", "script.sh"]


def test_code_and_configuration_that_are_edited_while_jobs_wait_and_before_one_is_done_again(quickstart):
    top = quickstart.app.directory
    main = "import mlxp\nfrom lib import loss\n@mlxp.launch(config_path='configs')\ndef task(ctx):\n"
    main += "    ctx.logger.log_metrics({'loss': loss(ctx.config.lr), 'seed': ctx.config.seed}, 'train')\ntask()\n"
    (top / "main.py").write_text(main, encoding="utf-8")
    (top / "lib.py").write_text("def loss(lr): return lr\n", encoding="utf-8")
    (top / "configs/config.yaml").write_text("lr: 0.5\nseed: 0\n", encoding="utf-8")
    (top / ".gitignore").write_text("logs/\n", encoding="utf-8")
    who = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "start"]):
        subprocess.run(["git", *words], cwd=top, check=True)
    (top / "lib.py").write_text("def loss(lr): return lr * 7\n", encoding="utf-8")  # not committed
    waiting = f"{DIRECTIVES[SCHEDULER]}\n{HOLD[SCHEDULER]}"
    quickstart.submit("python main.py seed=1,2", waiting, "--frozen")
    quickstart.submit("python main.py seed=3", waiting)
    for name, text in (("main.py", main.replace("'loss'", "'cost'")), ("lib.py", "def loss(lr): return -1\n")):
        (top / name).write_text(text, encoding="utf-8")
    quickstart.release(3)
    quickstart.wait_for([3], "COMPLETE")
    (top / "configs/config.yaml").write_text("lr: 100\nseed: 0\n", encoding="utf-8")
    quickstart.release(1, 2)
    quickstart.wait(["COMPLETE"] * 3)
    assert [quickstart.app.records("train", log_id) for log_id in (1, 2, 3)] == [
        [{"loss": 3.5, "seed": 1}],
        [{"loss": 3.5, "seed": 2}],
        [{"cost": -1, "seed": 3}],
    ]
    assert [quickstart.app.info(log_id)["code_changed"] for log_id in (1, 2, 3)] == [False, False, True]
    assert len(list((top / "logs/.store/copies").iterdir())) == 1
    again = quickstart.call("cli", "rerun", "2", "--submit")
    assert again.returncode == 0, again.stderr
    quickstart.release(4)
    quickstart.wait(["COMPLETE"] * 4)
    assert (quickstart.app.records("train", 4), quickstart.app.info(4)["rerun_of"]) == ([{"loss": 3.5, "seed": 2}], 2)


def test_every_end_gets_its_state(cluster):
    crash_in_the_job = '[ -n "$MLXP_PLAN" ] || exit 4'  # the plan passes this line
    cluster.submit(f"python main.py action=value,fail,exit number=3\n{crash_in_the_job}\npython main.py seed=8")
    printed = cluster.wait(["COMPLETE", "FAILED", "FAILED", "FAILED"])
    assert "ZeroDivisionError: division by zero" in printed
    assert "sys.exit(3)" in printed
    assert "the run never started, see" in printed


def test_cancelled_runs_are_killed_and_can_be_resubmitted(cluster):
    cluster.submit("python main.py action=sleep number=1,2")
    cluster.wait(["RUNNING", "RUNNING"])
    assert cluster.call("cli", "cancel", "number == 2").returncode == 0
    cluster.wait(["RUNNING", "KILLED"])
    cluster.call("cli", "cancel", "info.status == 'RUNNING'")
    cluster.wait(["KILLED", "KILLED"])
    assert cluster.call("cli", "resubmit", "info.status in ['FAILED', 'KILLED', 'LOST'] & number == 1").returncode == 0
    cluster.wait(["RUNNING", "KILLED"])
    assert cluster.app.info(1)["attempt"] == 2
    assert (cluster.app.directory / "logs/1/log.stdout.1").exists()
    cluster.call("cli", "cancel", "seed == 0")
    cluster.wait(["KILLED", "KILLED"])


def test_job_that_waits_is_submitted_and_can_be_cancelled(cluster):
    cluster.submit("python main.py action=sleep number=1,2,3,4,5,6,7,8")
    assert cluster.status()[8] == "SUBMITTED"
    assert cluster.call("cli", "cancel", "seed == 0").returncode == 0
    cluster.wait(["KILLED"] * 8)


def test_jobs_do_not_submit_again_while_the_submission_goes_on(quickstart):
    quickstart.submit("python main.py seed=1,2\nsleep 8\n# python main.py seed=3")
    quickstart.wait(["COMPLETE"] * 2)
    assert quickstart.app.log_ids() == [1, 2]


def test_directory_with_a_space_is_no_problem(quickstart):
    place = quickstart.app.directory.with_name("my project")
    quickstart.app.directory.rename(place)
    quickstart.app.directory = place
    quickstart.submit("python main.py seed=1")
    quickstart.wait(["COMPLETE"])
    assert quickstart.app.info()["work_dir"] == str(place)
    assert (place / "logs/1/log.stdout").exists()


def test_nasty_lines_do_what_they_say(cluster):
    cluster.submit(
        """
if [ -n "$SLURM_JOB_ID$JOB_ID$OAR_JOB_ID" ]; then LAUNCHER='env A=1'; fi
VALUE="a (b) 'c' "'"d" $HOME ${x}; # |'
export VALUE
for number in 4 5; do
    $LAUNCHER python -u main.py action=config number=$number \\
        "+note='\\$HOME; (x)'" '+sizes=[1, 2]' '+tree={a: 1}'
done
cd configs && nice python ../main.py action=exit number=0
"""
    )
    cluster.wait(["COMPLETE"] * 3)
    assert cluster.app.config(2)["note"] == "$HOME; (x)"
    assert cluster.app.config(2)["number"] == 5
    assert cluster.app.info(3)["work_dir"].endswith("configs")


@pytest.mark.skipif(SCHEDULER != "SLURM", reason="Slurm keeps the id of a job that it starts again")
def test_run_that_slurm_starts_again_waits(cluster):
    cluster.submit("python main.py action=sleep number=1")
    cluster.wait(["RUNNING"])
    job = cluster.app.info()["scheduler"]["scheduler_job_id"]
    subprocess.run(["scontrol", "requeue", job], check=True)
    assert "the run will start again" in cluster.wait(["SUBMITTED"])
    assert cluster.call("cli", "cancel", "number == 1").stdout == "cancelled the jobs of 1 run: 1\n"
    cluster.wait(["KILLED"])


@pytest.mark.skipif(SCHEDULER != "SLURM", reason="srun is Slurm's")
def test_launcher_starts_the_run_in_the_job_only(quickstart):
    quickstart.submit("srun python main.py seed=1,2")
    quickstart.wait(["COMPLETE"] * 2)
    jobs = {quickstart.app.info(log_id)["scheduler"]["scheduler_job_id"] for log_id in (1, 2)}
    assert len(jobs) == 2
    assert quickstart.app.log_ids() == [1, 2]


@pytest.mark.skipif(SCHEDULER != "SLURM", reason="srun is Slurm's")
def test_several_processes_of_one_run_share_its_directory_and_the_first_writes(cluster):
    directive = f"{DIRECTIVES['SLURM']}\n#SBATCH --ntasks=2"
    cluster.submit("srun -n 2 python main.py action=resume number=1,2", directive)
    cluster.wait(["COMPLETE"] * 2)
    assert cluster.app.log_ids() == [1, 2]
    assert cluster.app.records("train", 2) == [{"epoch": 0}]
    assert cluster.app.info(2)["attempt"] == 1


def test_output_follows_a_run_to_its_end(cluster):
    cluster.submit("python main.py action=say")
    printed = cluster.call("cli", "output", "1", "-f").stdout
    assert {"said by python", "said by a child"} <= set(printed.splitlines())
    assert "complained by a child" in cluster.call("cli", "output", "1", "--stderr").stdout


def test_array_is_one_submission_and_its_tasks_are_cancelled_alone(cluster):
    result = cluster.submit("python main.py action=sleep number=1,2,3", None, "--array", "--max-parallel", "2")
    assert len(result.stdout.splitlines()) == 3
    cluster.wait_for([1, 2], "RUNNING")
    assert cluster.call("cli", "cancel", "number == 2").returncode == 0
    cluster.wait_for([2], "KILLED")
    cluster.wait_for([1], "RUNNING")
    cluster.call("cli", "cancel", "number != 2")
    cluster.wait(["KILLED"] * 3)


def test_runs_of_an_array_write_into_their_own_directories(quickstart):
    quickstart.submit("python main.py seed=1,2,3", None, "--array", "--per-job", "2")
    quickstart.wait(["COMPLETE"] * 3)
    for log_id in (1, 2, 3):
        assert (quickstart.app.directory / f"logs/{log_id}/log.stdout").read_text().startswith(f"seed: {log_id}\n")
        assert quickstart.app.info(log_id)["scheduler"]["scheduler_job_id"]


def test_one_run_of_a_job_of_several_is_not_cancelled_alone(cluster):
    cluster.submit("python main.py action=sleep number=1,2", None, "--per-job", "2")
    cluster.wait_for([1], "RUNNING")
    assert "also do the runs 2" in cluster.call("cli", "cancel", "number == 1").stderr
    assert cluster.call("cli", "cancel", "number > 0").returncode == 0
    cluster.wait(["KILLED", "KILLED"])


def test_program_submits_itself_and_its_jobs_do_not(quickstart):
    option = DIRECTIVES[SCHEDULER].split(" ", 1)[1]
    env = [f'export PYTHONPATH="{os.environ.get("PYTHONPATH", "")}"']
    settings = {"use_scheduler": True, "scheduler": {"name": SCHEDULER, "option_cmd": [option], "env_cmd": env}}
    (quickstart.app.directory / "configs/mlxp.yaml").write_text(json.dumps(settings), encoding="utf-8")
    result = quickstart.start("main.py", "optimizer.lr=1,2")
    assert (result.returncode, len(result.stdout.splitlines())) == (0, 2), result.stderr
    quickstart.wait(["COMPLETE"] * 2)
    assert quickstart.app.log_ids() == [1, 2]


def test_refused_job_is_recorded_and_the_exit_code_says_so(quickstart):
    quickstart.script("python main.py seed=1,2", WRONG[SCHEDULER])
    result = quickstart.call("mlxpsub", "script.sh")
    assert result.returncode == 1
    assert "run 1: not submitted: " in result.stdout
    assert list(quickstart.status().values()) == ["REFUSED", "REFUSED"]
    assert quickstart.call("cli", "resubmit").returncode == 1


def test_one_refused_job_among_several_is_submitted_again_alone(quickstart, tmp_path, monkeypatch):
    command = SUBMITTER[SCHEDULER]
    (tmp_path / command).write_text(
        "#!/bin/sh\n"
        f"case $PWD in */logs/2) [ -e {tmp_path}/ready ] || {{ echo 'not now' >&2; exit 1; }};; esac\n"
        f'exec {shutil.which(command)} "$@"\n'
    )
    (tmp_path / command).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    quickstart.script("python main.py seed=1,2,3")
    result = quickstart.call("mlxpsub", "script.sh")
    assert (result.returncode, "run 2: not submitted: not now" in result.stdout) == (1, True)
    quickstart.wait(["COMPLETE", "REFUSED", "COMPLETE"])
    (tmp_path / "ready").touch()
    assert quickstart.call("cli", "resubmit").stdout.startswith("run 2: job ")
    quickstart.wait(["COMPLETE"] * 3)


def test_script_of_windows_with_options_of_two_schedulers_is_for_the_one_that_is_named(quickstart):
    quickstart.script("python main.py seed=1", f"{DIRECTIVES[SCHEDULER]}\n#PBS -q nowhere")
    script = quickstart.app.directory / "script.sh"
    script.write_bytes(script.read_bytes().replace(b"\n", b"\r\n"))
    assert quickstart.call("mlxpsub", "--scheduler", SCHEDULER, "script.sh").returncode == 0
    quickstart.wait(["COMPLETE"])


@pytest.mark.parametrize("shebang", ["", "#!/bin/bash -l\n", "#!/usr/bin/env -S bash -u\n"])
def test_every_usual_first_line_works(quickstart, shebang):
    quickstart.script("python main.py seed=1", shebang=shebang)
    assert quickstart.call("mlxpsub", "script.sh").returncode == 0
    quickstart.wait(["COMPLETE"])


def test_every_way_to_start_python_works(cluster):
    config = (cluster.app.directory / "configs/config.yaml").read_text(encoding="utf-8")
    (cluster.app.directory / "configs/other.yaml").write_text(config + "other: true\n", encoding="utf-8")
    cluster.submit(
        f"""
PY=python
module() {{ echo "loading $2"; }}
module load python/3.11
python -c 'open("prepared", "a").write("once;")'  # python main.py number=0
{sys.executable} -u main.py number=1
$PY -m main number=2 +note=python # no python main.py
A=1 nice python main.py --config-name other number=3
echo "using python 3"
mkdir -p sub
cd sub && python ../main.py number=4
""".replace("number", "action=config number")
    )
    cluster.wait(["COMPLETE"] * 4)
    assert [cluster.app.config(log_id)["number"] for log_id in (1, 2, 3, 4)] == [1, 2, 3, 4]
    assert cluster.app.config(3)["other"] is True
    assert (cluster.app.directory / "prepared").read_text(encoding="utf-8") == "once;"
    printed = (cluster.app.directory / "logs/4/log.stdout").read_text(encoding="utf-8")
    assert printed.startswith("loading python/3.11\nusing python 3\n")


def test_output_goes_to_the_runs_directory_whatever_the_script_says(quickstart):
    quickstart.submit("python main.py seed=1", f"{DIRECTIVES[SCHEDULER]}\n{OWN_OUTPUT[SCHEDULER]}")
    quickstart.wait(["COMPLETE"])
    assert (quickstart.app.directory / "logs/1/log.stdout").read_text(encoding="utf-8").startswith("seed: 1\n")


def test_job_runs_the_copy_of_the_code(quickstart):
    directory = quickstart.app.directory
    (directory / ".gitignore").write_text("logs/\n.work_dir/\n", encoding="utf-8")
    author = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *command], cwd=directory, check=True)
    quickstart.submit("python main.py mlxp.use_version_manager=true seed=1,2")
    quickstart.wait(["COMPLETE"] * 2)
    assert "/.work_dir/" in quickstart.app.info(2)["work_dir"]
    assert quickstart.app.log_ids() == [1, 2]


def only_slurm(reason):
    return pytest.mark.skipif(SCHEDULER != "SLURM", reason=reason)


def job_of(cluster, log_id=1):
    return cluster.app.info(log_id)["scheduler"]["scheduler_job_id"]


def requeued(job):
    """Let Slurm start a job again, without the two minutes that it would wait."""
    subprocess.run(["scontrol", "requeue", job], check=True)
    deadline = time.monotonic() + 60
    while state_of(job) != "PENDING":
        assert time.monotonic() < deadline, state_of(job)
        time.sleep(0.2)
    # Not in the same second, in which the credential of the job that was ended is still revoked.
    subprocess.run(["scontrol", "update", f"jobid={job}", "StartTime=now+5"], check=True)


def state_of(job):
    command = ["squeue", "-h", "-t", "all", "-j", job, "-o", "%T"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def jobs_of(cluster):
    """Return the ids of all jobs whose scripts or names are those of a project's runs."""
    lines = subprocess.run(["squeue", "-h", "-t", "all", "-o", "%F %o %Z"], capture_output=True, text=True, check=True)
    return sorted({line.split()[0] for line in lines.stdout.splitlines() if str(cluster.app.directory) in line})


def told(cluster, log_id=1):
    """Return what `mlxp status` and the reader tell of a run; it is the same."""
    status = cluster.status()[log_id]
    frame = Reader(cluster.app.directory / "logs").filter(f"info.logger.log_id == {log_id}")
    assert frame["info.status"].iloc[0] == status
    return status, frame["info.exit.reason"].iloc[0] if "info.exit.reason" in frame.columns else None


RESTARTABLE = {
    "SLURM": DIRECTIVES["SLURM"],
    "SGE": f"{DIRECTIVES['SGE']}\n#$ -r y",
    "OAR": f"{DIRECTIVES['OAR']}\n#OAR -t besteffort\n#OAR -t idempotent",
}
AGAIN = {"SLURM": 'scontrol requeue "$SLURM_JOB_ID"', "SGE": "exit 99", "OAR": "{ sleep 62; exit 99; }"}
"""How a script asks for another start of its job; OAR does it for jobs that have taken more than a minute."""
PREPARING = "[ ! -e logs/1/metadata/info.yaml ] || { echo > preparing; until [ -e go-on ]; do sleep 0.2; done; }"
"""What a job does that is not the first of its run: it waits, before it starts the program."""


def start_again(job):
    """Let the scheduler end a job that is running, and start it again."""
    if SCHEDULER == "SLURM":
        requeued(job)
    elif SCHEDULER == "SGE":
        subprocess.run(["qmod", "-rj", job], check=True)
    else:  # it makes room for another one
        resources = json.loads(
            subprocess.run(["oarstat", "-J", "-f", "-j", job], capture_output=True, check=True).stdout
        )
        core = next(iter(resources.values()))["assigned_resources"][0]
        other = [
            "oarsub",
            "-p",
            f"resource_id={core}",
            "-l",
            "core=1,walltime=0:00:30",
            "-O",
            "/dev/null",
            "-E",
            "/dev/null",
        ]
        subprocess.run([*other, "sleep 1"], check=True, capture_output=True)


def until(holds, cluster, seconds=150):
    """Wait until a function returns true; what `mlxp status` prints is in the message if it does not."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, cluster.call("cli", "status").stdout
        time.sleep(0.5)


def cancelled(cluster):
    """Cancel the jobs of the first run, as soon as the scheduler answers."""
    until(
        lambda: cluster.call("cli", "cancel", "number == 1").stdout == "cancelled the jobs of 1 run: 1\n", cluster, 60
    )


def test_job_that_is_started_again_and_prepares_itself_is_not_over(cluster):
    cluster.submit(f"{PREPARING}\npython main.py action=sleep number=1", RESTARTABLE[SCHEDULER])
    cluster.wait(["RUNNING"])
    start_again(job_of(cluster))
    until((cluster.app.directory / "preparing").exists, cluster)
    until(lambda: told(cluster)[0] == "SUBMITTED", cluster)
    assert "cancel it first" in cluster.call("cli", "resubmit", "number == 1").stdout
    (cluster.app.directory / "go-on").touch()
    until(lambda: cluster.app.info()["attempt"] == 2, cluster)
    cluster.wait(["RUNNING"])
    cancelled(cluster)
    until_told(cluster, ("KILLED", "CANCELLED"))


def test_job_that_asks_to_be_started_again_can_be_cancelled_and_is_not_submitted_twice(cluster):
    cluster.submit(f"{PREPARING}\npython main.py action=fail number=1 || {AGAIN[SCHEDULER]}", RESTARTABLE[SCHEDULER])
    # Slurm lets a job wait for two minutes that has asked for it; the others start it at once.
    run = RunDirectory(cluster.app.directory / "logs/1")
    until(lambda: run.info().get("status") == "FAILED" and cluster.status() == {1: "SUBMITTED"}, cluster, 200)
    assert told(cluster)[0] == "SUBMITTED"
    assert cluster.call("cli", "resubmit", "number == 1").returncode == 1
    cancelled(cluster)
    cluster.wait(["FAILED"])
    assert told(cluster)[0] == "FAILED"
    assert cluster.app.info()["attempt"] == 1
    if SCHEDULER == "SLURM":
        assert jobs_of(cluster) == [cluster.app.info()["scheduler"]["scheduler_job_id"]]


def test_run_that_is_complete_is_not_done_again_with_the_job_that_it_shares(cluster):
    cluster.submit("python main.py action=value,sleep number=1", RESTARTABLE[SCHEDULER], "--per-job", "2")
    cluster.wait(["COMPLETE", "RUNNING"])
    process = cluster.app.info(2)["process_id"]
    start_again(job_of(cluster, 2))
    if SCHEDULER == "SGE":  # it leaves alive what is in a process group of its own, and the next start waits for that
        os.kill(process, signal.SIGKILL)
    until(lambda: cluster.app.info(2)["attempt"] == 2, cluster)
    cluster.wait(["COMPLETE", "RUNNING"])
    assert cluster.app.info(1)["attempt"] == 1
    assert "it is COMPLETE" in (cluster.app.directory / "logs/1/log.stderr").read_text(encoding="utf-8")


@pytest.mark.skipif(SCHEDULER is None, reason="see above")
@pytest.mark.parametrize("death", ["kill -9 $PPID", "echo 'Socket timed out on send/recv operation' >&2; exit 1"])
def test_job_whose_client_died_or_got_no_answer_is_found_and_not_submitted_twice(
    quickstart, tmp_path, monkeypatch, death
):
    command = SUBMITTER[SCHEDULER]
    (tmp_path / command).write_text(
        f'#!/bin/sh\n[ "${{1:-}}" != --version ] || exec {shutil.which(command)} "$@"\n'
        f'answer=$({shutil.which(command)} "$@")\necho called >> {tmp_path}/calls\n'
        f'[ -e {tmp_path}/died ] || {{ touch {tmp_path}/died; {death}; }}\necho "$answer"\n'
    )
    (tmp_path / command).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    quickstart.script("python main.py seed=1,2")
    first = quickstart.call("mlxpsub", "script.sh")
    if first.returncode:
        assert quickstart.call("mlxpsub", "script.sh").returncode == 0
    quickstart.wait(["COMPLETE", "COMPLETE"])
    assert (tmp_path / "calls").read_text() == "called\ncalled\n"
    assert [quickstart.app.info(log_id)["attempt"] for log_id in (1, 2)] == [1, 1]


def test_job_that_was_cancelled_by_the_schedulers_own_command_is_told_apart(cluster):
    cluster.submit("python main.py action=sleep number=1")
    cluster.wait(["RUNNING"])
    subprocess.run([DELETE[SCHEDULER], job_of(cluster)], check=True)
    # Grid Engine's accounts say the same of a job that was deleted and of one that a signal has ended.
    until_told(cluster, ("KILLED", None if SCHEDULER == "SGE" else "CANCELLED"))


@pytest.mark.skipif(SCHEDULER is None, reason="see above")
def test_program_that_was_killed_in_its_job_has_failed_for_all_who_tell_of_it(cluster):
    cluster.submit("python main.py action=sleep number=1")
    cluster.wait(["RUNNING"])
    os.kill(cluster.app.info()["process_id"], 9)
    deadline = time.monotonic() + 90
    while told(cluster)[0] == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(1)
    assert told(cluster)[0] in {"FAILED", "KILLED"}


def until_told(cluster, expected, seconds=60):
    """Wait until `mlxp status` and the reader tell the same of the first run, and it is this."""
    deadline = time.monotonic() + seconds
    while (found := told(cluster)) != expected:
        assert time.monotonic() < deadline, f"{found} and not {expected}\n{cluster.call('cli', 'status').stdout}"
        time.sleep(1)
    written = (cluster.app.directory / "logs/1/metadata/submission.yaml").read_text(encoding="utf-8")
    assert f"reason: {expected[1] or 'null'}\n" in written or "cancelled_at: " in written


@pytest.mark.alone
@only_slurm("one node can be told to go down")
@pytest.mark.parametrize("is_requeued", [False, True])
def test_run_whose_node_goes_down_is_told_apart_from_others_that_are_killed(cluster, is_requeued):
    no_requeue = "" if is_requeued else "\n#SBATCH --no-requeue"
    cluster.submit("python main.py action=sleep number=1", DIRECTIVES["SLURM"] + no_requeue)
    cluster.wait(["RUNNING"])
    where = ["squeue", "-h", "-o", "%N", "-j", job_of(cluster)]
    node = subprocess.run(where, capture_output=True, text=True, check=True)
    down = ["scontrol", "update", f"nodename={node.stdout.strip()}", "state=down", "reason=test"]
    subprocess.run(down, check=True)  # it registers again at once, which ends that
    if not is_requeued:
        until_told(cluster, ("KILLED", "NODE_FAIL"))
        return
    assert "the run will start again" in cluster.wait(["SUBMITTED"])
    assert cluster.call("cli", "resubmit", "number == 1").returncode == 1
    assert cluster.call("cli", "cancel", "number == 1").stdout == "cancelled the jobs of 1 run: 1\n"
    until_told(cluster, ("KILLED", "CANCELLED"))


@pytest.mark.alone
@only_slurm("its second partition takes the place of the first one")
def test_run_that_made_room_for_another_job_is_told_apart(cluster):
    cluster.submit("python main.py action=sleep number=1")
    cluster.wait(["RUNNING"])
    subprocess.run(["sbatch", "-p", "urgent", "-n", "4", "-o", "/dev/null", "--wrap", "sleep 1"], check=True)
    until_told(cluster, ("KILLED", "PREEMPTED"))


@pytest.mark.alone
@only_slurm("it is told what the memory of a job is")
@pytest.mark.skipif(not os.access("/sys/fs/cgroup/memory/tasks", os.W_OK), reason="memory is limited by cgroups of v1")
def test_run_that_uses_too_much_memory_is_told_apart(cluster):
    cluster.submit("python main.py action=eat number=1")
    until_told(cluster, ("KILLED", "OUT_OF_MEMORY"))


TRAINING = """import os, time
import mlxp
@mlxp.launch(config_path='configs')
def task(ctx):
    try:
        epoch = ctx.logger.load_checkpoint('last')
    except FileNotFoundError:
        epoch = 0
    while not os.path.exists('done'):
        if ctx.should_stop():
            return
        ctx.logger.log_metrics({'epoch': epoch, 'loss': epoch * epoch}, 'train')
        epoch += 1
        if epoch % 3 == 0:
            ctx.logger.log_checkpoint(epoch, 'last')
        time.sleep(0.1)
task()
"""
TIMES = int(os.environ.get("REQUEUES", "2"))
"""How often runs are told to stop, all in all."""
LEAST = {"SLURM": 0, "SGE": 0, "OAR": 63}
"""How many seconds a job must have taken for its scheduler to put it back."""


def test_runs_that_are_told_to_stop_go_on_in_the_queue_and_are_one_curve(quickstart):
    top = quickstart.app.directory
    (top / "main.py").write_text(TRAINING, encoding="utf-8")
    (top / "configs/config.yaml").write_text("seed: 0\n", encoding="utf-8")
    runs = min(TIMES, 5)
    each = -(-TIMES // runs)
    seeds = ",".join(map(str, range(runs)))
    directive = DIRECTIVES[SCHEDULER].replace("0:05:00", "0:30:00").replace("=300", "=1800")
    quickstart.submit(f"python main.py mlxp.requeue=1000 seed={seeds} ", directive)
    told = dict.fromkeys(range(1, runs + 1), 0)
    deadline = time.monotonic() + 200 + each * (30 + LEAST[SCHEDULER])
    while any(times < each for times in told.values()):
        assert time.monotonic() < deadline, (told, quickstart.call("cli", "status").stdout)
        for log_id, times in told.items():
            if SCHEDULER == "SLURM":  # which lets a job that was put back wait for two minutes
                start_now(quickstart, log_id)
            if times < each and has_begun(quickstart, log_id, attempt=times + 1):
                os.kill(quickstart.app.info(log_id)["process_id"], signal.SIGUSR1)
                told[log_id] += 1
        time.sleep(0.5)
    (top / "done").touch()
    while list(quickstart.status().values()) != ["COMPLETE"] * runs:
        assert time.monotonic() < deadline + 200, quickstart.call("cli", "status").stdout
        for log_id in told if SCHEDULER == "SLURM" else ():
            start_now(quickstart, log_id)
        time.sleep(1)
    frame = Reader(top / "logs").filter()
    for epochs, losses in zip(frame["train.epoch"], frame["train.loss"], strict=True):
        assert epochs.tolist() == list(range(len(epochs)))
        assert losses.tolist() == [epoch * epoch for epoch in epochs]
    assert frame["info.attempt"].tolist() == [each + 1] * runs
    print(f"{each * runs} times; points: {[len(epochs) for epochs in frame['train.epoch']]}")


def test_job_that_its_user_deletes_does_not_come_back(quickstart):
    top = quickstart.app.directory
    (top / "main.py").write_text(TRAINING, encoding="utf-8")
    (top / "configs/config.yaml").write_text("seed: 0\n", encoding="utf-8")
    quickstart.submit("python main.py mlxp.requeue=1000")
    deadline = time.monotonic() + 150
    while not has_begun(quickstart, 1, attempt=1):
        assert time.monotonic() < deadline, quickstart.call("cli", "status").stdout
        time.sleep(1)
    job = RunDirectory(top / "logs/1").submission()["scheduler_job_id"]
    subprocess.run([DELETE[SCHEDULER], job], check=True)
    quickstart.wait(["KILLED"])
    assert quickstart.app.info(1)["attempt"] == 1


def has_begun(cluster, log_id, attempt):
    """Tell whether an attempt of a run has logged something, and may be put back."""
    metrics = cluster.app.directory / f"logs/{log_id}/metrics/train.json"
    info = RunDirectory(metrics.parents[1]).info()
    if info.get("status") != "RUNNING" or info.get("attempt") != attempt or not metrics.exists():
        return False
    since = time.time() - datetime.fromisoformat(info["started_at"]).timestamp()
    return metrics.stat().st_mtime > time.time() - since and since > LEAST[SCHEDULER]


def start_now(cluster, log_id):
    """Let Slurm start a job at once that was put back; in the same second, it would take it for the one that ended."""
    run = RunDirectory(cluster.app.directory / f"logs/{log_id}")
    ended = run.info().get("ended_at")
    if ended is not None and time.time() - datetime.fromisoformat(ended).timestamp() > 5:
        command = ["scontrol", "update", f"jobid={run.submission()['scheduler_job_id']}", "StartTime=now"]
        subprocess.run(command, check=False, capture_output=True)
