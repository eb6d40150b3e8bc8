"""Finds the Python program in a command line: ``srun -n 2 python -u main.py seed=1`` starts ``main.py``.

A launcher, such as ``srun`` or ``torchrun``, may stand before it. This module looks only at the words, after a shell
has expanded them; other modules decide what is started, and when.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

LAUNCHERS: dict[str, tuple[str, ...]] = {
    # launchers of job schedulers and of MPI
    **dict.fromkeys(
        ("srun", "mpirun", "mpiexec", "orterun", "prun", "jsrun", "aprun", "ibrun", "blaunch", "oarsh"), ()
    ),
    # launchers of several Python processes; they take the script, not the interpreter
    **dict.fromkeys(("torchrun", "deepspeed", "horovodrun", "composer", "torchpippy"), ()),
    "accelerate": ("launch",),
    "colossalai": ("run",),
    "fabric": ("run",),
    "lightning": ("run",),
    # containers
    **dict.fromkeys(("apptainer", "singularity", "docker", "podman", "sarus"), ("exec", "run")),
    **dict.fromkeys(("ch-run", "shifter", "enroot"), ()),
    # environments
    **dict.fromkeys(("uv", "poetry", "pipenv", "pdm", "pixi", "hatch", "rye"), ("run",)),
    **dict.fromkeys(("conda", "mamba", "micromamba"), ("run",)),
    # what changes the conditions of a process
    **dict.fromkeys(("env", "exec", "command", "nohup", "nice", "ionice", "setsid", "time", "timeout", "chrt"), ()),
    **dict.fromkeys(("stdbuf", "unbuffer", "taskset", "numactl", "prlimit", "catchsegv", "xvfb-run", "sudo"), ()),
    # what watches a process
    **dict.fromkeys(("nsys", "ncu", "perf", "strace", "ltrace", "valgrind", "scalene", "kernprof", "viztracer"), ()),
    **dict.fromkeys(("py-spy", "coverage", "memray", "mprof"), ("record", "run")),
}
"""Programs that start the program named in their arguments; where subcommands are listed, only these do."""

_LAUNCHER_MODULES = frozenset(
    {
        "torch.distributed.run",
        "torch.distributed.launch",
        "accelerate.commands.launch",
        "deepspeed.launcher.runner",
        "coverage",
        "cProfile",
        "memray",
        "pdb",
    }
)
"""Modules that run the script named in their arguments, as in ``python -m torch.distributed.run main.py``."""

_INTERPRETER = re.compile(r"(?:python|pypy)[\d.]*t?")
_FLAGS_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")


@dataclass(frozen=True, slots=True)
class PythonCommand:
    """The positions of the parts of a Python command in the words of a command line.

    Attributes
    ----------
    start
        The interpreter, or the script where a launcher takes it without one. The words before it are the launcher's.
    program
        The script, the module after ``-m`` or the code after ``-c``. The program's own arguments follow it.
    has_interpreter, is_module
        Whether there is an interpreter, and whether the program is a module.
    """

    start: int
    program: int
    has_interpreter: bool
    is_module: bool


_KEEPERS = {
    "docker": ("-e {}", ()),
    "podman": ("-e {}", ("--env-host",)),
    "sudo": ("--preserve-env={}", ("-E", "--preserve-env")),
    "env": ("{0}=${0}", ()),
}
"""How launchers that clear the environment are told to keep a variable, and the options that keep all variables."""


def clearing_launcher(launcher: Sequence[str], variable: str) -> tuple[str, str] | None:
    """Return the program that hides an environment `variable` from what it starts, and what to add to it.

    Parameters
    ----------
    launcher
        The words before the interpreter.

    Examples
    --------
    >>> clearing_launcher(["docker", "run", "image"], "NAME")
    ('docker', '-e NAME')
    >>> clearing_launcher(["docker", "run", "-e", "NAME", "image"], "NAME") is None
    True
    """
    if any(variable in word for word in launcher):
        return None
    for word in launcher:
        name = PurePath(word).name
        if name in _KEEPERS:
            addition, keeping_all = _KEEPERS[name]
            clears = name != "env" or not {"-i", "-", "--ignore-environment"}.isdisjoint(launcher)
            if clears and not any(option in launcher for option in keeping_all):
                return name, addition.format(variable)
    return None


def is_interpreter(word: str) -> bool:
    """Tell whether `word` names a Python interpreter.

    Examples
    --------
    >>> [is_interpreter(word) for word in ("python", "/opt/bin/python3.12", "python.sif", "python/3.11")]
    [True, True, False, False]
    """
    return _INTERPRETER.fullmatch(PurePath(word).name) is not None


def is_script(word: str) -> bool:
    """Tell whether `word` is the name of a Python file, not an option or override."""
    return word.endswith(".py") and "=" not in word and not word.startswith("-")


def python_command(words: Sequence[str]) -> PythonCommand | None:
    """Return where the Python program is in a command line; None if the command starts none.

    Examples
    --------
    >>> python_command(["srun", "-n", "2", "python", "-u", "main.py", "seed=1"])
    PythonCommand(start=3, program=5, has_interpreter=True, is_module=False)
    >>> python_command(["echo", "python", "main.py"]) is None
    True
    """
    if not words:
        return None
    if is_interpreter(words[0]):
        return _interpreted(words, 0)
    if is_script(words[0]):
        return PythonCommand(0, 0, has_interpreter=False, is_module=False)
    if not _launches(words):
        return None
    for index, word in enumerate(words):
        if is_interpreter(word):
            found = _interpreted(words, index)
            if found is not None and (found.is_module or is_script(words[found.program])):
                return found
    return _uninterpreted(words, 1)


def _launches(words: Sequence[str]) -> bool:
    subcommands = LAUNCHERS.get(PurePath(words[0]).name)
    return subcommands is not None and (not subcommands or any(word in subcommands for word in words[1:]))


def _interpreted(words: Sequence[str], start: int) -> PythonCommand | None:
    index = start + 1
    while index < len(words):
        word = words[index]
        if word in _FLAGS_WITH_VALUE:
            index += 2
        elif re.fullmatch(r"-[a-zA-Z]*m", word):
            return _module(words, start, index + 1)
        elif re.fullmatch(r"-[a-zA-Z]*c", word) and index + 1 < len(words):
            return PythonCommand(start, index + 1, has_interpreter=True, is_module=False)
        elif word.startswith("-") and word != "-":
            index += 1
        else:
            return PythonCommand(start, index, has_interpreter=True, is_module=False)
    # The program comes from the standard input, or there is none: `python --version`.
    return PythonCommand(start, len(words) - 1, has_interpreter=True, is_module=False)


def _module(words: Sequence[str], start: int, index: int) -> PythonCommand | None:
    if index >= len(words):
        return None
    if words[index] in _LAUNCHER_MODULES:
        return _uninterpreted(words, index + 1)
    return PythonCommand(start, index, has_interpreter=True, is_module=True)


def _uninterpreted(words: Sequence[str], first: int) -> PythonCommand | None:
    """Find the program of a launcher that provides the interpreter itself."""
    for index in range(first, len(words)):
        if words[index] in {"-m", "--module"} and index + 1 < len(words):
            return PythonCommand(index + 1, index + 1, has_interpreter=False, is_module=True)
        if is_script(words[index]):
            return PythonCommand(index, index, has_interpreter=False, is_module=False)
    return None
