"""A place to submit from: a program, a shell, and schedulers that only note what they are asked."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mlxp.scheduler import SCHEDULERS

FAKES = Path(__file__).parents[1] / "schedulers/fakes"
SUBMITTERS = ("sbatch", "qsub", "oarsub", "bsub", "msub")
ASKED = ("squeue", "sacct", "scontrol", "scancel", "qstat", "qacct", "qdel", "oarstat", "oardel", "bjobs", "showq")
COMMANDS = {
    name: f"import sys; from mlxp.commands.{module} import main; sys.exit(main())"
    for name, module in (("mlxpsub", "mlxpsub"), ("cli", "main"))
}


class Desk:
    """A directory with a program in it, from which scripts are submitted to stand-ins for the schedulers."""

    def __init__(self, app, home, system):
        self.app = app
        self.directory = app.directory
        self.home = home
        (home / "bin").mkdir()
        for name in ("python", "python3"):
            wrapper = home / "bin" / name
            wrapper.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
            wrapper.chmod(0o755)
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SGE", "OAR"))},
            "PATH": f"{home / 'bin'}:{system}",
            "HOME": str(home),
            "FAKE_DIR": str(home),
        }
        # A login shell starts from the system's PATH.
        (home / ".bash_profile").write_text(f'PATH="{home / "bin"}:$PATH"\n', encoding="utf-8")

    def use(self, scheduler):
        """Put the stand-ins for the commands of a scheduler on PATH."""
        self.env["PATH"] = f"{FAKES / scheduler}:{self.env['PATH']}"

    def write(self, text, name="script.sh"):
        file = self.directory / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def mlxpsub(self, *arguments, cwd=None, **env):
        return self._call("mlxpsub", arguments, cwd, env)

    def mlxp(self, *arguments, cwd=None, **env):
        return self._call("cli", arguments, cwd, env)

    def _call(self, command, arguments, cwd, env):
        return subprocess.run(
            [sys.executable, "-c", COMMANDS[command], *arguments],
            cwd=cwd or self.directory,
            env=self.env | env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def submit(self, text, *arguments, **env):
        """Submit a script that is expected to be submitted without complaint."""
        result = self.mlxpsub(self.write(text).name, *arguments, **env)
        assert result.returncode == 0, result.stderr
        return result

    def job(self, log_id, logs="logs"):
        return (self.directory / logs / str(log_id) / "script.sh").read_text(encoding="utf-8")

    def jobs(self):
        return [self.job(log_id) for log_id in self.app.log_ids()]

    def commands(self):
        """The line of each job that starts Python."""
        return [
            next(line for line in job.splitlines() if "main" in line and "export" not in line) for job in self.jobs()
        ]

    def run_job(self, log_id, **env):
        """Do what a job does: run the script, somewhere else."""
        return subprocess.run(
            [self.directory / "logs" / str(log_id) / "script.sh"],
            cwd=self.home,
            env=self.env | env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def submission(self, log_id):
        file = self.directory / "logs" / str(log_id) / "metadata/submission.yaml"
        return yaml.safe_load(file.read_text(encoding="utf-8"))

    def calls(self):
        """What the stand-ins were asked, one list of words per call."""
        calls = []
        for line in (self.home / "calls").read_text(encoding="utf-8").splitlines():
            if line.startswith(">"):
                calls.append([line[1:]])
            else:
                calls[-1].append(line)
        return calls


@pytest.fixture(autouse=True)
def _no_scheduler_outlives_a_test():
    before = dict(SCHEDULERS)
    yield
    SCHEDULERS.clear()
    SCHEDULERS.update(before)


@pytest.fixture(scope="session")
def on_a_terminal():
    """A function that runs a command on a terminal of its own."""
    pty = pytest.importorskip("pty", reason="without terminals, NO question is tested")

    def run(command, answers, **options):
        """Run a command on a terminal of its own, type `answers`, and return what was shown and the exit code."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, close_fds=True, **options
        )
        os.close(theirs)
        os.write(ours, answers.encode())
        shown = b""
        try:
            while chunk := os.read(ours, 1 << 16):
                shown += chunk
        except OSError:  # the last process on the terminal has ended
            pass
        os.close(ours)
        return shown.decode(), process.wait(timeout=60)

    return run


@pytest.fixture(scope="session")
def system(tmp_path_factory):
    """The programs of this computer, without the schedulers that may be among them."""
    if os.name != "posix":
        pytest.skip("without a POSIX shell, NO submission is tested")
    directory = tmp_path_factory.mktemp("system")
    for folder in ("/usr/bin", "/bin"):
        for file in Path(folder).iterdir():
            is_scheduler = file.name.startswith((*SUBMITTERS, *ASKED))
            if not is_scheduler and not (directory / file.name).exists():
                (directory / file.name).symlink_to(file)
    return directory


@pytest.fixture(scope="session")
def make_desk(tmp_path_factory, system, copy_app):
    """A function that makes a desk with a copy of a program in tests/apps/ and the stand-ins for a scheduler."""

    def make(program, scheduler):
        desk = Desk(copy_app(program, tmp_path_factory.mktemp("project")), tmp_path_factory.mktemp("home"), system)
        desk.use(scheduler)
        desk.scheduler = scheduler
        return desk

    return make


@pytest.fixture
def desk(make_desk):
    """A copy of the program `quickstart`, to be submitted to a Slurm that only notes what it is asked."""
    return make_desk("quickstart", "SLURM")


@pytest.fixture(params=["SLURM", "OAR", "PBS", "SGE", "MWM", "LSF"])
def any_desk(request, make_desk):
    """The same for each scheduler, whose name is `scheduler`."""
    return make_desk("quickstart", request.param)
