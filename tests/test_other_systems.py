"""Nothing needs POSIX at import: on Windows, runs are launched and read, and what cannot be tested there is skipped."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

AS_ON_WINDOWS = """
import importlib.util, os, pathlib, signal, sys
import hydra, hypothesis, IPython, matplotlib.pyplot, nbclient, omegaconf, pyarrow.parquet, pytest, scipy.stats
import concurrent.futures.process, multiprocessing.pool, pandas.tests.extension.base, pandas.tests.extension.conftest
if importlib.util.find_spec("torch"):
    import torch

for module in ("curses", "fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"):
    sys.modules[module] = None
ON_WINDOWS = {"SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM", "SIG_DFL", "SIG_IGN"}
for name in [name for name in dir(signal) if name.startswith(("SIG", "ITIMER", "pthread", "setitimer", "alarm"))]:
    if name.isupper() and name not in ON_WINDOWS or name.islower():
        delattr(signal, name)
for name in ("fork", "forkpty", "geteuid", "getuid", "getgid", "getpgid", "killpg", "mkfifo", "nice", "openpty",
             "setsid", "register_at_fork", "sched_getaffinity", "statvfs", "sysconf", "uname", "O_NONBLOCK", "WNOHANG"):
    delattr(os, name)

for path in map(pathlib.Path, sys.argv[1:]):
    spec = importlib.util.spec_from_file_location("_".join(path.with_suffix("").parts), path)
    sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(sys.modules[spec.name])
    except pytest.skip.Exception:
        pass
    except Exception as error:
        print(path.name, error)
"""
"""Removes what Python lacks on Windows, executes the files that it is given, and names those that fail."""


def failures(files):
    command = [sys.executable, "-c", AS_ON_WINDOWS, *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def test_every_module_and_test_can_be_imported_without_what_windows_lacks():
    outside = {"apps", "benchmarks", "data", "guard", "plan_step.py"}  # programs, not modules
    files = [path for folder in ("mlxp", "reader", "tests") for path in sorted((ROOT / folder).rglob("*.py"))]
    assert failures(path for path in files if not outside & set(path.parts)) == ""


def test_what_windows_lacks_is_noticed(tmp_path):
    for name, code in {"a": "import pty", "b": "import os\nos.geteuid()", "c": "import signal\nsignal.SIGKILL"}.items():
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    complaints = failures(sorted(tmp_path.glob("*.py"))).splitlines()
    assert complaints == [
        "a.py import of pty halted; None in sys.modules",
        "b.py module 'os' has no attribute 'geteuid'",
        "c.py module 'signal' has no attribute 'SIGKILL'",
    ]
