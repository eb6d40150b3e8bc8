"""Executes a script in plan mode, and sees to it that this ends.

The script has what it has in a job: no terminal, and an empty standard input. Only programs of MLXP may ask questions,
which hold for all jobs. While it starts nothing new, the user is
told where it is; after a while it is ended, since a loop may wait for what only happens in a job.
"""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mlxp.running.plan_report import OVERRIDES_VARIABLE, PLAN_VARIABLE
from mlxp.running.signals import signals_raised
from mlxp.scripts import plan_step
from mlxp.scripts.job_variables import JobVariables
from mlxp.scripts.plan_text import functions, planned_text, shell_name
from mlxp.scripts.script import Script, ScriptError

TOLD = 10.0
"""After so many seconds without anything new, the user is told where the plan is."""

LOOP = 60.0
"""After so many seconds without anything new, a loop that goes on is taken for one that does not end in a plan."""

COMMAND = 600.0
"""After so many seconds without anything new, a plan is ended, whatever it does."""

REPEATS = 100
"""A loop that starts one command so often, with the same words, is taken for one that does not end in a plan."""

_LONGEST_ARGUMENT = (1 << 17) - 1


def execute(script: Script, directory: Path, variables: JobVariables, overrides: Sequence[str]) -> int:
    """Execute a script in plan mode, wait for everything that it leaves running, and return its exit code.

    Parameters
    ----------
    directory
        The directory for what the plan notes.

    Raises
    ------
    ScriptError
        If it cannot be started, or if it stands still.
    """
    import fcntl  # it does not exist on Windows, where this module is imported all the same

    reading, writing = os.pipe()
    # A shell other than bash knows only file descriptors with one digit.
    life_line = fcntl.fcntl(writing, fcntl.F_DUPFD, 200 if shell_name(script) == "bash" else 5)
    os.close(writing)
    (directory / "created").touch()
    file = directory / "functions.sh"
    file.write_text(functions(script, directory, life_line), encoding="utf-8", errors="surrogateescape")
    terminal = _terminal()
    plan_variables = {PLAN_VARIABLE: str(directory / "unknown.jsonl"), OVERRIDES_VARIABLE: json.dumps(list(overrides))}
    plan_variables |= {plan_step.TERMINAL: str(terminal[0]) if terminal else ""}
    environment = {**os.environ, **plan_variables} | dict(variables.values)
    sys.stderr.flush()
    try:
        with _started(
            _command(script, planned_text(script, file, directory), directory),
            env={name: value for name, value in environment.items() if value is not None},
            stdin=subprocess.DEVNULL,
            stdout=_descriptor_of_errors(),
            pass_fds=(life_line, *terminal),
            start_new_session=True,
        ) as process:
            os.close(life_line)
            return _code(process, reading, Watch(script, directory))
    except OSError as error:
        raise ScriptError(f"cannot execute {script.path}: {error.strerror}") from error
    finally:
        for descriptor in (reading, *terminal):
            os.close(descriptor)


def _terminal() -> list[int]:
    """Return a descriptor of the terminal, where programs of MLXP may ask questions; none if there is no terminal."""
    import fcntl

    with suppress(OSError):
        if os.isatty(0):
            return [fcntl.fcntl(0, fcntl.F_DUPFD, 210)]
    return []


def _command(script: Script, text: bytes, directory: Path) -> list[str | bytes]:
    # By -c and not as a file, so that messages name the user's script; but the system limits the length of one word.
    if len(text) < _LONGEST_ARGUMENT:
        return [*script.interpreter, "-c", text, str(script.path)]
    (directory / "script").mkdir()
    copy = directory / "script" / script.path.name
    copy.write_bytes(text)
    return [*script.interpreter, str(copy)]


@contextmanager
def _started(command: list[str | bytes], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program in a session of its own; what is left of it ends with this context."""
    with signals_raised(), subprocess.Popen(command, **options) as process:
        try:
            yield process
        except BaseException:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            raise


def _code(process: "subprocess.Popen[bytes]", reading: int, watch: "Watch") -> int:
    """Return the exit code, once the last shell that the script left in the background has ended, too."""
    while not select.select([reading], [], [], 0.2)[0]:
        watch.look()
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(0.2)
        watch.look()


def _descriptor_of_errors() -> int:
    with suppress(OSError, ValueError, AttributeError):
        return sys.stderr.fileno()
    return 2  # where it leads nowhere, there is no stream of Python's


class Watch:
    """Looks, time and again, whether a plan goes on: starts a program, hears of a run, or creates a file."""

    def __init__(self, script: Script, directory: Path) -> None:
        self._script = script
        self._directory = directory
        self._seen: dict[str, int] = {}
        self._since = time.monotonic()
        self._turns = "0"
        self._turned = self._since
        self._place = "l0"
        self._is_told = False

    def look(self) -> None:
        """Tell the user where the plan stands still; raise ScriptError if it has stood still for too long."""
        turns = self._noted("turns") or self._turns  # it is empty while a shell writes it
        self._place = self._noted("place") or self._place
        seen = self._sizes()
        if seen != self._seen:
            self._seen, self._since, self._is_told = seen, time.monotonic(), False
            self._turns, self._turned = turns, self._since
            self._check_repeats(int(turns))
            return
        if turns != self._turns:
            self._turns, self._turned = turns, time.monotonic()
        seconds = time.monotonic() - self._since
        if seconds > TOLD and not self._is_told:
            self._is_told = True
            text = f"mlxpsub: {self._where()}: the plan is here, and has started nothing new for {seconds:.0f} seconds"
            print(text, file=sys.stderr, flush=True)  # noqa: T201 - while the user waits
        goes_on = self._turned - self._since > LOOP / 2  # and is not a loop that has ended since
        if seconds > (LOOP if goes_on else COMMAND):
            self._refuse(f"has started nothing new for {seconds:.0f} seconds")

    def _sizes(self) -> dict[str, int]:
        """Return the sizes of the files that grow when something new has been started or created."""
        names = ("step-", "created", "made.jsonl")
        return {one.name: one.stat().st_size for one in os.scandir(self._directory) if one.name.startswith(names)}

    def _check_repeats(self, turns: int) -> None:
        if turns >= REPEATS <= len(self._seen):
            often = Counter(json.dumps([step["groups"], step["cwd"]]) for step in self._steps())
            if often and max(often.values()) >= REPEATS:
                self._refuse(f"has started the same command {REPEATS} times")

    def _refuse(self, what: str) -> None:
        raise ScriptError(
            f"{self._where()}: the plan {what}, but must come to an end; what the script waits for here may only "
            'happen in a job. Leave it to the jobs: `if [ -z "$MLXP_PLAN" ]; then ...; fi`. Nothing was submitted'
        )

    def _where(self) -> str:
        """Return the line that is executed, or those whose programs are."""
        running = [self._script.commands[step["command"]].line for step in self._steps() if step["exit"] is None]
        lines = sorted(set(running)) or [self._line()]
        text = self._script.text.decode(errors="surrogateescape").splitlines()
        shown = "; ".join(f"line {line}: {text[line - 1].strip()}" for line in lines if line)
        return f"{self._script.path}, {shown}" if shown else str(self._script.path)

    def _line(self) -> int:
        """Return the number of the line that was begun last; 0 if none was."""
        kind, number = self._place[0], int(re.sub(r"\D", "", self._place))
        if kind == "l":
            return number
        return self._script.commands[number].line if kind == "c" else self._script.actions[number].line

    def _steps(self) -> Iterator[dict[str, Any]]:
        """Yield what has been noted of the programs that were started."""
        for file in self._directory.glob("step-*.json"):
            with suppress(ValueError):  # one that is just being written
                step: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
                yield {"exit": 0, **step}

    def _noted(self, name: str) -> str:
        file = self._directory / name
        return file.read_text(encoding="ascii").strip() if file.exists() else ""
