"""Tab completion in a real bash: what a line becomes when the tab key is pressed."""

import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

pty = pytest.importorskip("pty", reason="without terminals, NO completion is tested")

MLXP = 'eval "$(register-python-argcomplete mlxp mlxpsub)"'
HYDRA = 'eval "$(python main.py -sc install=bash)"'
COMMANDS = {"mlxp": "mlxp.commands.main", "mlxpsub": "mlxp.commands.mlxpsub"}


@pytest.fixture(scope="module")
def training(copy_app, tmp_path_factory):
    """A directory with a program, twelve runs of it and a script."""
    app = copy_app("training", tmp_path_factory.mktemp("training"))
    assert app.run("seed=range(1,13)").returncode == 0
    (app.directory / "submit.sh").write_text("#SBATCH\npython main.py\n", encoding="utf-8")
    return app.directory


@pytest.fixture(scope="module")
def bin_directory(tmp_path_factory):
    """A directory for PATH with the commands, as an environment that is activated has them."""
    folder = tmp_path_factory.mktemp("bin")
    register = Path(sys.executable).with_name("register-python-argcomplete")
    (folder / register.name).symlink_to(register)
    for name, module in COMMANDS.items():
        (folder / name).write_text(f"#!{sys.executable}\nfrom {module} import main\nmain()\n", encoding="utf-8")
    (folder / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    for file in folder.iterdir():
        file.chmod(0o755)
    return folder


class Bash:
    """An interactive bash in a terminal of its own."""

    def __init__(self, directory, bin_directory):
        parent, child = pty.openpty()
        environment = {
            **os.environ,
            "PATH": f"{bin_directory}{os.pathsep}{os.environ['PATH']}",
            "PS1": "> ",
            "TERM": "dumb",
            "COLUMNS": "200",
        }
        command = ["bash", "--noprofile", "--norc", "-i"]
        streams = {"stdin": child, "stdout": child, "stderr": child}
        self.process = subprocess.Popen(command, cwd=directory, env=environment, start_new_session=True, **streams)
        os.close(child)
        self.terminal = parent

    def type(self, text, until, seconds=30):
        """Type a text, and return what the terminal shows up to where it matches `until`."""
        os.write(self.terminal, text.encode())
        deadline, shown = time.monotonic() + seconds, ""
        while not re.search(until, shown):
            assert time.monotonic() < deadline, f"{until} is not in {shown}"
            if select.select([self.terminal], [], [], 0.1)[0]:
                shown += os.read(self.terminal, 4096).decode()
        return shown

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)


@pytest.fixture
def bash(training, bin_directory):
    """A bash that completes as its user has set it up."""
    started = []

    def start(setup):
        started.append(Bash(training, bin_directory))
        started[0].type(f"{setup}; echo rea''dy\n", "ready\r\n")
        return started[0]

    yield start
    for one in started:
        one.close()


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("mlxp tab", "mlxp table "),
        ("mlxp table --desc", "mlxp table --descending "),
        ("mlxp table -f git", "mlxp table -f github "),
        ("mlxp table -c optimizer.l", "mlxp table -c optimizer.lr "),
        ("mlxp table -c seed,val.loss.la", "mlxp table -c seed,val.loss.last "),
        ("mlxp table --logs lo", "mlxp table --logs logs/"),
        ("mlxp plot val.l", "mlxp plot val.loss "),
        ("mlxp plot val.loss --over se", "mlxp plot val.loss --over seed "),
        ("mlxp plot val.loss --band boo", "mlxp plot val.loss --band bootstrap "),
        ("mlxp diff 9 11 12 --js", "mlxp diff 9 11 12 --json "),
        ("mlxpsub --dry", "mlxpsub --dry-run "),
        ("mlxpsub --scheduler SLU", "mlxpsub --scheduler SLURM "),
        ("mlxpsub sub", "mlxpsub submit.sh "),
    ],
)
def test_tab_completes(bash, typed, completed):
    assert bash(MLXP).type(f"{typed}\t", until=re.escape(completed)).endswith(completed)


def test_tab_twice_lists_the_runs(bash):
    shown = bash(MLXP).type("mlxp show 1\t\t", until=r"12\s+\n.*show 1")
    assert shown.splitlines()[-2].split() == ["1", "10", "11", "12"]


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("python main.py optimizer.l", "python main.py optimizer.lr="),
        ("python main.py mlxp.use_l", "python main.py mlxp.use_logger="),
    ],
)
def test_tab_completes_the_configuration_of_a_task(bash, training, typed, completed):
    assert bash(HYDRA).type(f"{typed}\t", until=re.escape(completed)).endswith(completed)
    assert not (training / "logs/13").exists()


def test_completion_asked_for_from_elsewhere_does_no_harm(training):
    code = "import sys; sys.modules['argcomplete'] = None; from mlxp.commands.main import main; main([])"
    environment = os.environ | {"_ARGCOMPLETE": "1"}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, env=environment, cwd=training, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
