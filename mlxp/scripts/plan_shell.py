"""Puts the plan's own words into all that a script executes besides its own text, at the moment when it does.

That is the text of ``eval``, a file that the script reads, and what another shell executes whose answer the script
needs. So it makes no difference where a command stands.
"""

import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from mlxp.errors import MLXPError
from mlxp.scripts.effects import CHANGING, DECIDED, started
from mlxp.scripts.plan_text import guarded_text

_SHELLS = {"bash", "sh", "dash", "ash"}
"""Shells whose scripts bash executes with the same meaning."""

_NOT_GUARDED = 1
"""The exit code after which the shell executes the text as it is, with our functions in place of what may do harm."""


def guarded_copy(arguments: list[str]) -> int:
    """Print the name of a copy of a file, in which the plan checks every command."""
    file = _found(arguments[0])
    copy = _copy(file, {b"BASH_SOURCE"}, _names(arguments[1])) if file is not None else None
    if copy is None:
        return _NOT_GUARDED
    print(copy)  # noqa: T201 - for the shell
    return 0


def guarded_words(arguments: list[str]) -> int:
    """Print a text in which the plan checks every command."""
    text = _guarded(arguments[0].encode(errors="surrogateescape"), Path("eval"), {}, _names(arguments[1]))
    if text is None:
        return _NOT_GUARDED
    sys.stdout.buffer.write(text)
    return 0


def become(words: list[str]) -> int:
    """Execute a command whose answer the script needs; if it is a shell, the plan checks its commands."""
    words = _with_guarded_shell(words)
    try:
        os.execvp(words[0], words)  # noqa: S606 - the user's own command
    except OSError as error:
        sys.exit(f"{words[0]}: {error.strerror}")


def _with_guarded_shell(words: list[str]) -> list[str]:
    inner: list[str] | None = words
    while inner:
        before, name = words[: len(words) - len(inner)], Path(inner[0]).name
        if name in _SHELLS:
            return [*before, "bash", *_guarded_arguments(inner[1:])]
        file = shutil.which(inner[0])
        options = _options_of_script(Path(file)) if file else None
        if file and options is not None:
            return [*before, "bash", *options, str(_copy(Path(file), {b"0", b"BASH_SOURCE"}) or file), *inner[1:]]
        try:
            inner = started(inner)
        except KeyError:  # it starts nothing
            break
    return words


def _options_of_script(file: Path) -> list[str] | None:
    """Return the options on the first line of a shell script; None if the file is none."""
    try:
        with file.open("rb") as opened:
            line = opened.read(200).partition(b"\n")[0].decode(errors="replace")
    except OSError:
        return None
    words = line.removeprefix("#!").split() if line.startswith("#!") else []
    shells = [number for number, word in enumerate(words) if Path(word).name in _SHELLS]
    return words[shells[0] + 1 :] if shells else None


def _guarded_arguments(arguments: list[str]) -> list[str]:
    """Return the arguments of a shell with the plan's words in what it executes."""
    rest, options = list(arguments), []
    while rest and re.match(r"[-+].", rest[0]):
        options.append(rest.pop(0))
        if options[-1] == "--":
            break
        if rest and re.fullmatch(r"[-+]\w*[oO]|--(rcfile|init-file)", options[-1]):
            options.append(rest.pop(0))
    letters = "".join(option for option in options if re.match(r"-\w", option))
    if rest and "c" in letters:
        return [*options, _text(rest[0].encode(errors="surrogateescape")), *rest[1:]]
    if rest and "s" not in letters:
        file = Path(rest[0])
        return [*options, str(_copy(file, {b"0", b"BASH_SOURCE"}) or file), *rest[1:]]
    return [*(option for option in options if option != "-s"), "-c", _text(sys.stdin.buffer.read()), "bash", *rest]


def _text(text: bytes) -> str:
    guarded = _guarded(text, Path("bash"), {})
    functions = shlex.quote(str(_directory() / "functions.sh"))
    return f". {functions}; {os.fsdecode(guarded if guarded is not None else text)}"


def _found(name: str) -> Path | None:
    """Return the file that a shell reads by this name: one without a slash is looked for on the path."""
    folders = os.environ.get("PATH", "").split(os.pathsep) if "/" not in name else []
    return next((file for file in (*(Path(folder, name) for folder in folders), Path(name)) if file.exists()), None)


def _names(listed: str) -> frozenset[str]:
    """Return the names in a shell's lists of its aliases and functions, but for those of programs that it guards."""
    found = re.findall(r"^(?:alias (?:-- )?)?([^\s=]+)=|^declare -f\w* (\S+)$", listed, re.MULTILINE)
    return frozenset(alias or function for alias, function in found) - CHANGING - DECIDED


def _copy(file: Path, own: set[bytes], names: frozenset[str] = frozenset()) -> Path | None:
    """Return a copy of a shell script with the plan's words in it; None if it cannot be understood."""
    number = time.monotonic_ns()
    variable = f"__mlxp_source_{number}"
    try:
        text = _guarded(file.read_bytes(), file, dict.fromkeys(own, variable), names)
    except OSError:
        return None
    if text is None:
        return None
    functions = b". " + os.fsencode(shlex.quote(str(_directory() / "functions.sh"))) + b"; " if b"0" in own else b""
    copy = _directory() / f"source-{number}.sh"
    copy.write_bytes(functions + f"{variable}={shlex.quote(str(file))}; ".encode(errors="surrogateescape") + text)
    return copy


def _guarded(
    text: bytes, file: Path, own_paths: Mapping[bytes, str], names: frozenset[str] = frozenset()
) -> bytes | None:
    try:
        return guarded_text(text, file, own_paths, names)
    except MLXPError:
        return None


def _directory() -> Path:
    return Path(os.environ["MLXP_PLAN"]).parent
