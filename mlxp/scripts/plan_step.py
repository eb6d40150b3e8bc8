"""Stands in for a command of the user's script while mlxpsub finds out what the script would run.

The Python program in the command is started without the launcher before it, and what it reported is noted together with
the words of the command. A program of its own, started by the functions that plan.py puts into the script; the first
arguments are the numbers of the command, of its block and of the script's process, then come the command's words.
"""

import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

SEPARATOR = ":mlxp:"
"""Stands between the words of the script, since each may expand to none or to several."""

_OF_THE_SHELL = {"_", "SHLVL", "PWD", "OLDPWD"}


def main(arguments: list[str]) -> int:
    """Run the stand-in and return the exit code of the program."""
    command, block, shell, *rest = arguments
    groups = _groups(rest)
    words = [word for group in groups for word in group]
    found = _python_command(words)
    record: dict[str, Any] = {"command": int(command), "block": int(block) if block else None, "groups": groups}
    record["cwd"] = os.getcwd()  # noqa: PTH109 - as the shell would spell it
    # A command in the background is started by a process of its own, at any time.
    record["started"] = (os.getpid() if os.getppid() == int(shell) else os.getppid(), time.monotonic_ns())
    unknown_programs = Path(os.environ["MLXP_PLAN"])
    file = unknown_programs.with_name(f"step-{record['started'][1]}-{os.getpid()}.json")
    if found is None:
        file.write_text(json.dumps(record | {"program": None}), encoding="utf-8")
        _become(words)
    record["environment"] = _changed_environment(unknown_programs.with_name(f"block-{block}.env"))
    report = file.with_suffix(".jsonl")
    code = _run(_without_launcher(words, found), report)
    # What cannot print any more, since the next command of the pipeline has ended, has not failed by itself.
    failure = 0 if not report.exists() and _is_output_closed() else code
    record |= {"program": found.program, "exit": failure, "report": str(report)}
    file.write_text(json.dumps(record), encoding="utf-8")
    return code


def _groups(words: list[str]) -> list[list[str]]:
    groups: list[list[str]] = []
    for word in words:
        if word == SEPARATOR:
            groups.append([])
        else:
            groups[-1].append(word)
    return groups


def _python_command(words: list[str]) -> Any:
    # Started isolated from the user's own modules and PYTHONPATH, which are the program's business.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from mlxp.scripts.python_command import python_command

    return python_command(words)


def _become(words: list[str]) -> NoReturn:
    if words[0] in {"exec", "time"}:
        words = words[1:]
    if words[0] == "command":  # which only a shell knows
        words = ["sh", "-c", '"$@"', "sh", *words]
    try:
        os.execvp(words[0], words)  # noqa: S606 - the user's own command, as it is
    except OSError as error:
        sys.exit(f"{words[0]}: {error.strerror}")


def _changed_environment(before: Path) -> dict[str, str]:
    """Return the variables that have got another value since the block around the command began."""
    if not before.exists():
        return {}
    lines = before.read_bytes().decode(errors="surrogateescape").split("\0")
    old = dict(line.split("=", 1) for line in lines if "=" in line)
    return {
        name: value
        for name, value in os.environ.items()
        if old.get(name) != value and name not in _OF_THE_SHELL and not name.upper().startswith(("MLXP_", "__MLXP"))
    }


def _without_launcher(words: list[str], found: Any) -> list[str]:
    if found.start == 0:
        return words
    if found.has_interpreter:
        return [_interpreter(words[found.start]), *words[found.start + 1 :]]
    return [_interpreter("python"), *(["-m"] if found.is_module else []), *words[found.program :]]


def _interpreter(named: str) -> str:
    """Return the interpreter to use here for one that a launcher would find elsewhere, in a container perhaps."""
    path = shutil.which(named)
    code = "import importlib.util, sys; sys.exit(importlib.util.find_spec('mlxp') is None)"
    if path and subprocess.run([path, "-c", code], check=False, capture_output=True).returncode == 0:
        return path
    return sys.executable


def _run(command: list[str], report: Path) -> int:
    try:
        return subprocess.run(command, env={**os.environ, "MLXP_PLAN": str(report)}, check=False).returncode
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201 - as the shell would say it
        return 127


def _is_output_closed() -> bool:
    """Tell whether the standard output is a pipe that nobody reads any more."""
    poll = select.poll()
    poll.register(1, select.POLLOUT)
    return any(event & select.POLLERR for _, event in poll.poll(0))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
