"""Keeps a Python program that a plan starts from changing what was there: Python imports this before the program.

The program ends where it is about to overwrite, remove or move a file that the plan has not created, or to start a
program that may. What it was about to do is written into the file that the environment names, for plan_step.py. While a
program of MLXP tells its runs, nothing is guarded; see plan_report.py.
"""

import contextlib
import importlib
import os
import re
import stat
import sys
from collections.abc import Callable
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_TRUNC
_HELPERS = {"ldconfig", "gcc", "cc", "ld", "objdump", "nvcc"}
"""Programs that libraries ask about this computer while they are imported."""


class Guard:
    """Looks at what the program does; `is_on` is false while it may do what it wants."""

    def __init__(self, said: str) -> None:
        self.is_on = True
        self.said = said
        self.directory = os.path.dirname(said)
        cache = os.path.realpath(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
        self.free = (os.path.realpath(self.directory) + os.sep, cache + os.sep)

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        """Be told by Python what is about to happen."""
        if self.is_on and event in _HANDLERS:
            _HANDLERS[event](self, *args)

    def stop(self, what: str) -> None:
        """End the program, as if it had done all that it was to do."""
        self.is_on = False
        with open(self.said, "a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(what)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError, OSError, ValueError):
                stream.flush()
        os._exit(0)

    def opened(self, path: Any, mode: Any, flags: Any) -> None:
        """Look at a file that is to be opened."""
        is_writing = any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool(flags & _WRITING)
        if not is_writing or path is None or isinstance(path, int):
            return
        name = os.fsdecode(path)
        try:
            is_file = stat.S_ISREG(os.stat(name).st_mode)
        except OSError:
            self.create(name)
            return
        if is_file and not self._is_ours(name):
            self.stop(f"overwrite {name}")

    def create(self, path: str) -> None:
        """Take note of a file that the plan has made, which may be changed from now on."""
        self.is_on = False
        with open(os.path.join(self.directory, "created"), "a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(os.path.abspath(path) + "\n")
        self.is_on = True

    def changed(self, verb: str, path: Any) -> None:
        """Look at what is to be removed, moved or changed otherwise."""
        if not isinstance(path, int) and os.path.lexists(path) and not self._is_ours(os.fsdecode(path)):
            self.stop(f"{verb} {os.fsdecode(path)}")

    def moved(self, source: Any, target: Any) -> None:
        """Look at a file that is to get another name."""
        self.changed("overwrite", target)
        self.changed("move", source)
        self.create(os.fsdecode(target))

    def signalled(self, pid: int, number: int) -> None:
        """Look at a signal that is to be sent to a process: one of the program's own may get it."""
        if number and pid != os.getpid():
            try:
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except OSError:
                self.stop(f"send a signal to process {pid}")

    def started(self, words: Any) -> None:
        """Look at a program that is to be started; another Python is guarded itself."""
        names = [os.fsdecode(word) for word in words] if isinstance(words, list | tuple) else []
        if len(names) == 3 and names[1] == "-c" and re.fullmatch(r"[\w\s./=:,@%+-]*", names[2]):
            names = names[2].split()  # what a shell has nothing to do with
        program = os.path.basename(names[0]) if names else ""
        if not program or not (program.startswith("python") or program in _HELPERS or _is_harmless(names)):
            self.stop(f"start {' '.join(names) or words}")

    def _is_ours(self, path: str) -> bool:
        """Tell whether a file is one that may be changed: made by this plan, bytecode, or in a cache."""
        real = os.path.realpath(path)
        if real.startswith(self.free) or f"{os.sep}__pycache__{os.sep}" in real:
            return True
        with contextlib.suppress(OSError), open(os.path.join(self.directory, "created"), encoding="utf-8") as file:
            return os.path.abspath(path) in file.read().splitlines()
        return False


_HANDLERS: dict[str, Callable[..., None]] = {
    "open": Guard.opened,
    "os.remove": lambda guard, path, *_: guard.changed("remove", path),
    "os.rmdir": lambda guard, path, *_: guard.changed("remove", path),
    "shutil.rmtree": lambda guard, path, *_: guard.changed("remove", path),
    "os.rename": lambda guard, source, target, *_: guard.moved(source, target),
    "os.truncate": lambda guard, path, *_: guard.changed("truncate", path),
    "os.chmod": lambda guard, path, *_: guard.changed("change the mode of", path),
    "os.chown": lambda guard, path, *_: guard.changed("change the owner of", path),
    "os.mkdir": lambda guard, path, *_: guard.create(os.fsdecode(path)),
    "sqlite3.connect": lambda guard, path, *_: guard.opened(path, "r+", 0),
    "os.kill": Guard.signalled,
    "os.killpg": lambda guard, group, *_: guard.stop(f"send a signal to the processes {group}"),
    "os.system": lambda guard, command: guard.started(["sh", "-c", command]),
    "os.exec": lambda guard, _, words, *__: guard.started(words),
    "os.posix_spawn": lambda guard, _, words, *__: guard.started(words),
    "os.spawn": lambda guard, _, __, words, *___: guard.started(words),
    "subprocess.Popen": lambda guard, _, words, *__: guard.started(words),
}
"""What Python tells of, see its table of audit events, and what looks at it."""


def _is_harmless(words: list[str]) -> bool:
    import importlib.util

    path = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "effects.py")
    spec: Any = importlib.util.spec_from_file_location("_mlxp_effects", path)
    module = sys.modules["_mlxp_effects"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return bool(module.treatment(words) is module.Treatment.RUN)


def _import_users_own() -> None:
    """Import the user's own module of this name, which this one stands before."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != here]
    sys.modules["_mlxp_plan_guard"] = sys.modules.pop("sitecustomize")
    with contextlib.suppress(ImportError):
        importlib.import_module("sitecustomize")
    sys.modules.setdefault("sitecustomize", sys.modules["_mlxp_plan_guard"])


guard = Guard(os.environ["MLXP_PLAN_GUARD"]) if os.environ.get("MLXP_PLAN_GUARD") else None
if guard is not None:
    sys.addaudithook(guard.hook)
_import_users_own()
