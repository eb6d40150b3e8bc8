"""Stands in for a command of the user's script while mlxpsub finds out what the script would run.

A Python program is started without the launcher before it, and its report is noted together with the words of the
command. Any other command is executed or left to the jobs, see effects.py. This module is a separate program, started
by the functions that plan_text.py puts into the script; its first argument says which of these tasks to do.
"""

import contextlib
import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SEPARATOR = ":mlxp:"
"""Separates the words of the script, since each may expand to none or to several."""

RUN, STOP, REFUSED, RUN_GUARDED = 90, 91, 92, 93
"""Exit codes: the shell must execute the command itself, it would not have gone on, or it must end.

In a command that runs guarded, shells call our functions in place of the programs that may change something.
"""

LEFT_OUT = "mlxp:only-in-the-job"
"""Text that is printed in place of the output of a command that was left out."""

GUARD = "MLXP_PLAN_GUARD"
"""Environment variable that names the file in which a guarded Python program notes what it was about to do."""

_OF_THE_SHELL = {"_", "SHLVL", "PWD", "OLDPWD"}
_DRAINED = 1 << 24
"""How many bytes are read for a command that was left out, so that the one before it in the pipeline does not fail."""


TERMINAL = "MLXP_PLAN_TERMINAL"
"""Environment variable that holds the descriptor of the user's terminal, if there is one."""

_LONGEST_SCRIPT = 1 << 20  # bytes
_ON_INPUT = "reads commands from its standard input"


def main(arguments: list[str]) -> int:
    """Do what the first argument says, and return the exit code."""
    # This runs isolated from the user's own modules and PYTHONPATH, which concern only the user's program.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    if arguments[0] == "source" and os.path.realpath(arguments[1]) == os.path.realpath("/dev/stdin"):
        return _refuse(["source", arguments[1]], f"{_ON_INPUT}, which a plan does not see; write them into the script")
    if arguments[0] in {"source", "eval", "answer"}:
        from mlxp.scripts import plan_shell  # it needs the grammar, which takes longer to import than all the others

        modes = {"source": plan_shell.guarded_copy, "eval": plan_shell.guarded_words, "answer": plan_shell.become}
    else:
        modes = {"run": _run_step, "ask": _ask, "side": _run_beside}
    return modes[arguments[0]](arguments[1:])


def _directory() -> Path:
    return Path(os.environ["MLXP_PLAN"]).parent


def _note(name: str, **facts: Any) -> None:
    with (_directory() / name).open("a", encoding="utf-8") as file:
        file.write(json.dumps(facts) + "\n")


def _run_step(arguments: list[str]) -> int:
    """Run the program of a command that may have runs, and note what it reports."""
    command, block, shell, *rest = arguments
    groups = _groups(rest)
    words = [word for group in groups for word in group]
    found = _python_command(words)
    record: dict[str, Any] = {"command": int(command), "block": int(block) if block else None, "groups": groups}
    record["cwd"] = os.getcwd()  # noqa: PTH109 - as the shell would spell it
    # A command in the background is started by its own process, at any time.
    record["started"] = (os.getpid() if os.getppid() == int(shell) else os.getppid(), time.monotonic_ns())
    file = _directory() / f"step-{record['started'][1]}-{os.getpid()}.json"
    if found is None:
        file.write_text(json.dumps(record | {"program": None}), encoding="utf-8")
        return _become(f"c{command}", block, words)
    if _starts_several(words[: found.start]):
        return _refuse(words, "starts its program several times, each time with other arguments; write a loop instead")
    file.write_text(json.dumps(record | {"program": found.program, "exit": None}), encoding="utf-8")
    record["environment"] = _changed_environment(_directory() / f"block-{block}.env")
    report = file.with_suffix(".jsonl")
    code, stopped = _run(_without_launcher(words, found), {"MLXP_PLAN": str(report)}, _terminal())
    if stopped and not report.exists():
        record["left"] = stopped
        code = 0
    # A program that can no longer print, since the next command of the pipeline has ended, has not failed by itself.
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
    from mlxp.scripts.python_command import python_command

    return python_command(words)


def _starts_several(launcher: list[str]) -> bool:
    return any(os.path.basename(word) in {"xargs", "parallel", "sem", "find"} for word in launcher)  # noqa: PTH119


def _refuse(words: list[str], reason: str) -> int:
    _note("refused.jsonl", words=words, reason=reason)
    return REFUSED


def _become(part: str, block: str, words: list[str]) -> int:
    """Execute a command that turned out to start no Python program, if a plan executes it."""
    answer = _ask([part, block, "", *words])
    if answer not in {RUN, RUN_GUARDED}:
        return 0 if answer == STOP else answer
    if words[0] in {"exec", "time"}:
        words = words[1:]
    if words[0] == "command":  # only a shell knows it
        words = ["sh", "-c", '"$@"', "sh", *words]
    try:
        os.execvp(words[0], words)  # noqa: S606 - the user's own command, as it is
    except OSError as error:
        sys.exit(f"{words[0]}: {error.strerror}")


def _ask(arguments: list[str]) -> int:
    """Return whether the shell must execute a command; note commands that are left to the jobs."""
    from mlxp.scripts.effects import Treatment, is_starter, treatment

    flagged, block, kind, *words = arguments
    number, flags = _number_and_flags(flagged)
    found = treatment(words)
    is_of_shell = bool(kind) and "/" not in kind
    if found is Treatment.UNKNOWN and (is_of_shell or "n" in flags) and not _may_start_python(words):
        return RUN if is_of_shell else RUN_GUARDED
    if found is Treatment.RUN:
        if os.path.basename(words[0]) == "mkdir":  # noqa: PTH119
            _note("made.jsonl", paths=[os.path.abspath(word) for word in words[1:]])  # noqa: PTH100
        return RUN
    if _has_runs_on_input(words):
        return _refuse(words, f"{_ON_INPUT} that start a program of MLXP; write them into the script")
    if found is Treatment.UNKNOWN or is_starter(words) or _starts_several(words[:1]):
        reason = _why_refused(words)
        if reason is not None:
            return _refuse(words, reason)
    return _leave(number, flags, block, words)


def _number_and_flags(part: str) -> tuple[str, str]:
    """Return what plan_text.py says about a command: its number, and how the script uses it."""
    number = part.rstrip("nsp")
    return number, part[len(number) :]


def _leave(number: str, flags: str, block: str, words: list[str]) -> int:
    facts = {"part": number, "block": int(block) if block else None, "words": words, "time": time.monotonic_ns()}
    _note("left.jsonl", **facts)
    if os.path.basename(words[0]) == "tee":  # noqa: PTH119
        new = [word for word in words[1:] if word.startswith("-") or not os.path.lexists(word)]
        os.execvp("tee", ["tee", *new])  # noqa: S606 - what it copies is for the next command
    if "p" in flags:
        with contextlib.suppress(OSError):
            left = _DRAINED
            while left > 0 and (chunk := os.read(0, 1 << 16)):
                left -= len(chunk)
    if "s" in flags:
        print(LEFT_OUT)  # noqa: T201 - in the place of what it would print
    return STOP if words[0] == "exec" else 0


def _may_start_python(words: list[str]) -> bool:
    from mlxp.scripts.python_command import is_interpreter, is_script

    return any(is_interpreter(word) for word in words) and any(is_script(word) or word == "-m" for word in words)


def _why_refused(words: list[str]) -> str | None:
    """Return why an unknown command cannot be left to the jobs, since it may start runs there."""
    if _may_start_python(words):
        if _starts_several(words):
            return "starts its program several times, each time with other arguments; write a loop instead"
        return (
            "starts Python through a program that mlxpsub does not know; write the python command itself in the "
            "script, or 'env' before a launcher that starts it exactly once"
        )
    for word in words[:3]:
        if _has_runs_inside(Path(word)):
            return f"starts a program of MLXP in {word}, which mlxpsub does not see; write its command in the script"
    module = _module_of_runs(words[0])
    if module is not None:
        return (
            f"starts a program of MLXP, the module {module}, which mlxpsub does not see; write `python -m {module}` in "
            'the script, and call the task under `if __name__ == "__main__":` in that module'
        )
    return None


def _module_of_runs(word: str) -> str | None:
    """Return the module of MLXP's task that a command of an installed package starts; None if it starts none."""
    path = shutil.which(word)
    with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
        text = Path(path).read_bytes()[:4096].decode(errors="replace") if path else ""
        interpreter = re.match(r"#!(?:/bin/sh\n'''exec')? *\"?([^\n\"]*python[\d.]*)[\"\s]", text)
        imported = re.search(r"^from ([\w.]+) import", text, re.MULTILINE)
        if interpreter and imported:
            module = imported[1]
            # Finding the outermost package executes none of it.
            code = "import importlib.util, sys; print(importlib.util.find_spec(sys.argv[1]).origin)"
            command = [interpreter[1], "-c", code, module.partition(".")[0]]
            found = Path(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip())
            root = found.parents[1] if found.name == "__init__.py" else found.parent
            file = root.joinpath(*module.split("."))
            if any(map(is_program_of_mlxp, (file.with_suffix(".py"), file / "__init__.py"))):
                return module
    return None


def _has_runs_inside(file: Path) -> bool:
    """Tell whether a file is a shell script that starts a program of MLXP."""
    with contextlib.suppress(OSError, ValueError):
        if file.is_file() and file.stat().st_size < _LONGEST_SCRIPT:
            text = file.read_bytes().decode(errors="replace")
            return (file.suffix == ".sh" or re.match(r"#!.*sh\b", text) is not None) and _has_runs(text)
    return False


def _has_runs_on_input(words: list[str]) -> bool:
    """Tell whether a command is a shell that reads commands which start a program of MLXP, as from a here-document."""
    is_shell = os.path.basename(words[0]) in {"bash", "sh", "dash", "ash", "ksh", "zsh"}  # noqa: PTH119
    if not is_shell or not all(re.fullmatch(r"-[a-bd-z]*|--\w+|/dev/stdin", word) for word in words[1:]):
        return False
    with contextlib.suppress(OSError), open(0, "rb", closefd=False) as given:
        return _has_runs(given.read(_LONGEST_SCRIPT).decode(errors="replace"))
    return False


def _has_runs(text: str) -> bool:
    return any(is_program_of_mlxp(Path(name)) for name in re.findall(r"[\w./-]+\.py\b", text))


def is_program_of_mlxp(file: Path) -> bool:
    """Tell whether the text of a Python file mentions a task that MLXP launches."""
    with contextlib.suppress(OSError):
        text = file.read_text(encoding="utf-8", errors="replace")
        return re.search(r"\bmlxp\b", text) is not None and re.search(r"\blaunch\b", text) is not None
    return False


def _run_beside(arguments: list[str]) -> int:
    """Run a Python program whose runs cannot be submitted, since it is in a substitution or in another file."""
    flagged, block, *words = arguments
    number, flags = _number_and_flags(flagged)
    code, stopped = _run(words, {})
    if stopped:
        facts = {"part": number, "block": int(block) if block else None, "words": words, "time": time.monotonic_ns()}
        _note("left.jsonl", **facts, reason=stopped)
        if "s" in flags:
            print(LEFT_OUT)  # noqa: T201 - in the place of what it would print
        return 0
    return code


def _changed_environment(before: Path) -> dict[str, str]:
    """Return the variables whose values have changed since the block around the command began."""
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
    """Return the interpreter to use here for one that a launcher would find elsewhere, such as in a container."""
    path = shutil.which(named)
    code = "import importlib.util, sys; sys.exit(importlib.util.find_spec('mlxp') is None)"
    if path and subprocess.run([path, "-c", code], check=False, capture_output=True).returncode == 0:
        return path
    return sys.executable


def _terminal() -> int | None:
    """Return the descriptor of the user's terminal for a command whose standard input is that of the script."""
    is_scripts_own = os.path.samestat(os.fstat(0), os.stat(os.devnull))  # noqa: PTH116
    return int(os.environ[TERMINAL]) if is_scripts_own and os.environ.get(TERMINAL) else None


def _run(command: list[str], changes: Mapping[str, str], standard_input: int | None = None) -> tuple[int, str]:
    """Run a guarded Python program; return its exit code and what it was kept from doing, if anything."""
    said = _directory() / f"guard-{os.getpid()}-{time.monotonic_ns()}"
    path = os.pathsep.join([str(Path(__file__).with_name("guard")), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, **changes, "PYTHONPATH": path, GUARD: str(said)}
    try:
        code = subprocess.run(command, env=environment, check=False, stdin=standard_input).returncode
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201 - as the shell would say it
        return 127, ""
    return code, said.read_text(encoding="utf-8", errors="replace") if said.exists() else ""


def _is_output_closed() -> bool:
    """Tell whether the standard output is a pipe that no process reads any more."""
    poll = select.poll()
    poll.register(1, select.POLLOUT)
    return any(event & select.POLLERR for _, event in poll.poll(0))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
