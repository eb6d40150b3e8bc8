"""Fixtures: little real programs, run as a user runs them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

# What is started by nohup, or in the background of a script, ignores these, and so would all programs that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

collect_ignore = ["apps", "benchmarks", "data"]

APPS = Path(__file__).parent / "apps"


class App:
    """A copy of one of the programs in tests/apps/, in a directory of its own."""

    def __init__(self, directory):
        self.directory = directory

    def command(self, *arguments, program=("main.py",), prefix=()):
        return [*prefix, sys.executable, *program, *arguments]

    def run(self, *arguments, cwd=None, program=("main.py",), prefix=(), **options):
        """Run it to its end; the result has returncode, stdout and stderr."""
        command = self.command(*arguments, program=program, prefix=prefix)
        return subprocess.run(
            command, cwd=cwd or self.directory, capture_output=True, text=True, timeout=120, check=False, **options
        )

    def start(self, *arguments, **options):
        """Start it in a process group of its own, as a shell does, and return at once."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.directory,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            **options,
        )

    def info(self, log_id=1, logs="logs"):
        return yaml.safe_load((self.directory / logs / str(log_id) / "metadata/info.yaml").read_text(encoding="utf-8"))

    def config(self, log_id=1, logs="logs"):
        file = self.directory / logs / str(log_id) / "metadata/config.yaml"
        return yaml.safe_load(file.read_text(encoding="utf-8"))

    def statuses(self, logs="logs"):
        return [self.info(log_id, logs)["status"] for log_id in self.log_ids(logs)]

    def log_ids(self, logs="logs"):
        return sorted(int(path.name) for path in (self.directory / logs).glob("[0-9]*"))

    def records(self, log_name, log_id=1):
        file = self.directory / f"logs/{log_id}/metrics/{log_name}.json"
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]

    def files(self):
        return sorted(
            path.relative_to(self.directory).as_posix() for path in self.directory.rglob("*") if path.is_file()
        )

    def wait_for(self, *names, seconds=60):
        """Wait until the files exist and are not empty; return what they contain."""
        deadline = time.monotonic() + seconds
        paths = [self.directory / name for name in names]
        while not all(path.exists() and path.read_text(encoding="utf-8") for path in paths):
            assert time.monotonic() < deadline, f"{names} did not appear"
            time.sleep(0.02)
        return [path.read_text(encoding="utf-8") for path in paths]


@pytest.fixture(autouse=True)
def _own_cache_directory(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture(scope="session")
def copy_app():
    """A function that makes a copy of a program in tests/apps/ in a directory."""

    def copy(name, parent):
        shutil.copytree(APPS / name, parent / name, ignore=shutil.ignore_patterns("__pycache__"))
        return App(parent / name)

    return copy


@pytest.fixture
def app(tmp_path, copy_app):
    """A function that makes a copy of a program in tests/apps/."""
    return lambda name: copy_app(name, tmp_path)


@pytest.fixture
def actions(app):
    return app("actions")


@pytest.fixture
def without_privileges():
    """The beginning of a command that takes root's right to write anywhere from the program it starts."""
    if os.name != "posix":
        pytest.skip("without POSIX permissions, NO unwritable directory is tested")
    if os.geteuid() != 0:
        return ()
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")
