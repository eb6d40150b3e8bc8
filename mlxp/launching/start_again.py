"""Starts a program again inside the copy of its code, before any of its runs starts.

What Python has imported up to then comes from where the program was started. Only a new interpreter, which begins in
the copy, takes everything from there.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from mlxp.errors import InvalidConfigFileError, MLXPError
from mlxp.printing import flush, show
from mlxp.running.configuration import COPIED, Program, in_copy, resolved_configuration, work_dir_of
from mlxp.running.copies import Copy, python_path_inside

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mlxp.running.settings import Settings

_NOT_TWICE = {"pydevd": "a debugger", "mpi4py.MPI": "MPI"}
"""Modules that have taken hold of the process, so that another program cannot take its place."""


class StartAgain(BaseException):
    """The program is to start again, once all that was opened for its runs is closed."""

    def __init__(self, words: list[str], directory: str, variables: dict[str, str]) -> None:
        super().__init__(words)
        self.words = words
        self.directory = directory
        self.variables = variables

    def now(self) -> NoReturn:
        """Replace this process."""
        flush()
        os.chdir(self.directory)
        environment = {**os.environ, **self.variables, "PWD": self.directory}
        if os.name == "nt":  # where the new process would be another one, for which nobody waits
            sys.exit(subprocess.run(self.words, env=environment, check=False).returncode)
        os.execve(self.words[0], self.words, environment)  # noqa: S606 - the command that started this process


class Restart:
    """Finds out, from the configurations of all runs of a command line, whether the program is to start again."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.argv = list(sys.argv)  # Hydra gets another one
        self.settings: list[Settings] = []

    def look_at(self, composed: "DictConfig") -> None:
        """Note the settings of one run."""
        from mlxp.launching.run_composer import as_in_a_run

        settings = composed.get("mlxp")
        if in_copy(self.program) or settings is None or not settings.get("use_version_manager"):
            return
        self.settings.append(resolved_configuration(self.program, as_in_a_run(composed))[1])

    def if_needed(self) -> None:
        """Make the copy and raise `StartAgain`, if the settings ask for a copy.

        Raises
        ------
        MLXPError
            If there cannot be a copy, or if the runs of the command line need several.
        """
        if not self.settings:
            return
        first = self.settings[0]
        if any(one.version_manager != first.version_manager for one in self.settings):
            raise InvalidConfigFileError(
                "the settings under mlxp.version_manager differ between the runs of this command line, which share one "
                "copy of the code; give each setting one value"
            )
        if first.use_scheduler:  # which Run refuses
            return
        if _has_started_again():
            raise MLXPError(
                f"{self.program.file} is not in the copy of the code, in which its program was started again; start it "
                "by its path, or by python -m and its module"
            )
        where = work_dir_of(first, self.program)
        copy = Copy.known(where.code)
        if copy is None:
            return
        obstacle = _obstacle(self.argv)
        if obstacle is not None:
            show(f"mlxp: the program cannot start again in the copy of the code: {obstacle}", "stderr")
            return
        known = {"version_manager": where.version_manager, "code": where.code, "process": os.getpid()}
        variables = copy.variables(python_path_inside(copy.of)) | {COPIED: json.dumps(known, default=str)}
        directory = str(Path.cwd())
        raise StartAgain(_words(copy, directory, self.argv), copy.directory(directory), variables)


def _has_started_again() -> bool:
    """Tell whether this process has been replaced before, so that it would be without end."""
    known = os.environ.get(COPIED)
    return bool(known) and json.loads(str(known)).get("process") == os.getpid()


def _obstacle(argv: Sequence[str]) -> str | None:
    """Return what keeps this process from being replaced by one that does the same in the copy; None if nothing."""
    found = next((what for module, what in _NOT_TWICE.items() if module in sys.modules), None)
    if found is not None:
        return f"{found} has taken hold of it"
    return "it was read from the standard input" if argv[0] in {"", "-"} else None


def _words(copy: Copy, directory: str, argv: Sequence[str]) -> list[str]:
    """Return the command that started this process, with the path of the program as it is in the copy."""
    words = [sys.executable, *sys.orig_argv[1:]]
    position = len(sys.orig_argv) - len(argv)
    is_known = position > 0 and sys.orig_argv[position + 1 :] == list(argv[1:])
    if is_known and Path(directory, words[position]).is_file():
        words[position] = copy.program(words[position], directory)
    return words


@contextlib.contextmanager
def starting_again() -> Iterator[None]:
    """Start the program again after this context, if that is asked for within it."""
    try:
        yield
    except StartAgain as again:
        found = again
    else:
        return
    found.now()
