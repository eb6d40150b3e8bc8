"""Puts the plan's own words into a script, before its commands, its loops, and the files that it writes to.

The shell functions at the top, and plan_step.py, which they start, define what the words do.
"""

import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from mlxp.scripts import plan_step
from mlxp.scripts.actions import Action, ActionKind
from mlxp.scripts.effects import CHANGING, DECIDED, READING
from mlxp.scripts.python_command import LAUNCHERS
from mlxp.scripts.script import OWN_PATH, Script, parsed

_UNTRACED = "{ case $- in *x*) local - || :; set +x;; esac; } 2> /dev/null"
"""Keeps ``set -x`` in the script from showing our own commands."""

_FUNCTIONS = """
OWN_PATH
MLXP_PLAN=${MLXP_PLAN:-DIRECTORY/unknown.jsonl}; export MLXP_PLAN
set -C
__mlxp_enter() { UNTRACED; __mlxp_block=$1; __mlxp_place=$PWD; env -0 >| DIRECTORY/"block-$1.env"; }
__mlxp_leave() {
    { __mlxp_status=$?; } 2> /dev/null
    UNTRACED
    [ "$PWD" = "$__mlxp_place" ] || echo "$__mlxp_block" >> DIRECTORY/moved
    __mlxp_block=
    return $__mlxp_status
}
__mlxp_run() {
    UNTRACED
    __mlxp_command=$1; shift
    __mlxp_at "c$__mlxp_command"
    __mlxp_first=; __mlxp_python=
    for __mlxp_word do
        [ "$__mlxp_word" = SEPARATOR ] || [ -n "$__mlxp_first" ] || __mlxp_first=${__mlxp_word##*/}
        case ${__mlxp_word##*/} in python*|pypy*|*.py|-m|--module) __mlxp_python=yes;; esac
    done
    case $__mlxp_python$__mlxp_first in
        yespython*|yespypy*|yes*.py|LAUNCHERS)
            HELPER run "$__mlxp_command" "${__mlxp_block:-}" $$ "$@"; return;;
    esac
    echo "$__mlxp_command" >> DIRECTORY/direct
    for __mlxp_word do shift; [ "$__mlxp_word" = SEPARATOR ] || set -- "$@" "$__mlxp_word"; done
    __mlxp_do "c$__mlxp_command" "$@"
}
__mlxp_turn() {
    UNTRACED
    __mlxp_turns=$((${__mlxp_turns:-0} + 1))
    echo "$__mlxp_turns" >| DIRECTORY/turns
    __mlxp_at "$1"
    ITSELF kill -0 PARENT 2> /dev/null || exit 1
}
__mlxp_do() {
    UNTRACED
    __mlxp_part=$1; shift
    __mlxp_kind=
    __mlxp_at "$__mlxp_part"
    case ${1##*/} in
        READING) "$@" CLOSED; return;;
        python|python[0-9]*) HELPER side "$__mlxp_part" "${__mlxp_block:-}" "$@"; return;;
        command|builtin|exec) case ${2:--} in -*) ;; *) __mlxp_kind=$(command -v "$2" || :);; esac;;
        CHANGING) ;;
        *) __mlxp_kind=$(command -v "$1" || :);;
    esac
    if HELPER ask "$__mlxp_part" "${__mlxp_block:-}" "$__mlxp_kind" "$@"; then return 0; else __mlxp_status=$?; fi
    case $__mlxp_status in
        RUN) ;;
        GUARDED) BASH_ENV=DIRECTORY/functions.sh HELPER_WITH_GRAMMAR answer "$@" CLOSED; return;;
        STOP) exit 0;;
        *) exit "$__mlxp_status";;
    esac
    case $1 in command) ITSELF "$@"; return;; esac
    case $__mlxp_kind${1##*/} in
        OURS) ITSELF "$@" CLOSED;;
        *) "$@";;
    esac
}
__mlxp_file() {
    if [ ! -e "$2" ] && [ ! -h "$2" ]; then
        case $2 in /*) echo "$2";; *) echo "$PWD/$2";; esac >> DIRECTORY/created
    elif [ ! -d "$2" ]; then
        case $2 in
            /dev/null|/dev/tty|/dev/std*|/dev/fd/*|/proc/self/fd/*) __mlxp_name=;;
            /*) __mlxp_name=$2;;
            *) __mlxp_name=$PWD/$2;;
        esac
        [ -z "$__mlxp_name" ] || grep -qxF -e "$__mlxp_name" DIRECTORY/created ||
            { echo "$1" >> DIRECTORY/kept; echo /dev/null; return 0; }
    fi
    case $2 in "") echo /dev/null;; *) printf '%s\\n' "$2";; esac
}
__mlxp_names() { alias; declare -F 2> /dev/null || :; }
__mlxp_at() {
    case $1 in "${__mlxp_placed:-}"|-*) ;; *) __mlxp_placed=$1; echo "$1" >| DIRECTORY/place;; esac
}
__mlxp_source() { __mlxp_at "$1"; HELPER_WITH_GRAMMAR source "$2" "$(__mlxp_names)" || printf '%s\n' "$2"; }
__mlxp_eval() {
    __mlxp_at "$1"; shift
    HELPER_WITH_GRAMMAR eval "$*" "$(__mlxp_names)" || printf '%s\n' "$*"
}
__mlxp_background() { echo "$1" >> DIRECTORY/background; }
python() { __mlxp_do - python "$@"; }
python3() { __mlxp_do - python3 "$@"; }
"""

_COMMAND_OF_BASH = """\
command() { case ${1:--} in -*) builtin command "$@";; *) __mlxp_do - command "$@";; esac; }
"""

_STARTS = {
    ActionKind.BACKGROUND: 0,
    ActionKind.COMMAND: 2,
    ActionKind.FILE: 3,
    ActionKind.SOURCE: 3,
    ActionKind.EVAL: 3,
}


def functions(script: Script, directory: Path, life_line: int) -> str:
    """Return the text of the shell functions for the plan of a script.

    Parameters
    ----------
    directory
        The directory for the functions' notes.
    life_line
        The number of an open file that only the script's shells may have.
    """
    shell = shell_name(script)
    quick = sorted(READING - DECIDED)
    ours = sorted(_guarded(shell))
    values = {
        "OWN_PATH": f"{OWN_PATH}={shlex.quote(str(script.path.absolute()))}",
        "UNTRACED": _UNTRACED,
        "DIRECTORY": shlex.quote(str(directory)),
        "HELPER": shlex.join([sys.executable, "-I", "-S", plan_step.__file__]),
        "HELPER_WITH_GRAMMAR": shlex.join([sys.executable, "-I", plan_step.__file__]),
        "SEPARATOR": plan_step.SEPARATOR,
        "LAUNCHERS": "|".join(f"yes{name}" for name in LAUNCHERS),
        "READING": "|".join(shlex.quote(name) for name in quick),
        "CHANGING": "|".join(sorted(CHANGING | DECIDED)),
        "OURS": "|".join(ours),
        "ITSELF": "builtin command" if shell == "bash" else "command",
        "CLOSED": f"{life_line}>&-",
        "PARENT": str(os.getpid()),
        "RUN": str(plan_step.RUN),
        "GUARDED": str(plan_step.RUN_GUARDED),
        "STOP": str(plan_step.STOP),
    }
    text = re.sub(r"\b(" + "|".join(values) + r")\b", lambda match: values[match.group()], _FUNCTIONS)
    text += _COMMAND_OF_BASH if shell == "bash" else ""
    return text + "".join(_guard(name, is_bash=shell == "bash") for name in ours)


def _guarded(shell: str) -> set[str]:
    """Return the programs that are checked even where the text of the command is in another file."""
    of_shells = {"command", "builtin", "exec", "time", "trap", "kill", "conda", "mamba", "micromamba", "module", "ml"}
    names = (CHANGING | DECIDED) - of_shells - {"spack", "mlxp"}
    return {name for name in names if shell == "bash" or name.isidentifier()}


def _guard(name: str, *, is_bash: bool) -> str:
    paths = [name, f"/bin/{name}", f"/usr/bin/{name}"] if is_bash else [name]
    return "".join(f'{path}() {{ __mlxp_do - {path} "$@"; }}\n' for path in paths)


def shell_name(script: Script) -> str:
    """Return the name of the shell that a script is written for."""
    return next((Path(word).name for word in script.interpreter if Path(word).name.endswith("sh")), "bash")


def planned_text(script: Script, functions_file: Path, directory: Path) -> bytes:
    """Return the text of a script with the plan's words in it."""
    edits = [*_edits_of_commands(script), *_edits_of_actions(script), *_edits_of_loops(script)]
    text = _edited(script, edits)
    shift = sum(len(insertion.encode()) for position, _, insertion in edits if position < script.body_start)
    # They replace the first line, so that the shell's messages count lines as the user does.
    start = f". {shlex.quote(str(functions_file))}".encode()
    text = start + b"\n" + text[script.body_start + shift :] if script.body_start else start + b"; " + text
    end = shlex.quote(str(directory / "end"))
    return text + f"\n{{ __mlxp_status=$?; set +x; }} 2> /dev/null; : >| {end}; exit $__mlxp_status\n".encode()


def guarded_text(text: bytes, file: Path, own_paths: Mapping[bytes, str], names: frozenset[str]) -> bytes:
    """Return a text that a script executes, with the plan's words before its commands.

    Parameters
    ----------
    file
        Where the text comes from, for messages.
    own_paths
        The variables that name this file, and what is to replace them.
    names
        The names of the functions and aliases that there are already.
    """
    script = parsed(text, file, own_paths, names)
    numbered = re.compile(r"(__mlxp_(?:do|file|turn|source|eval)) l?\d+")
    of_script = [*_edits_of_actions(script), *_edits_of_loops(script)]
    edits = [(*edit[:2], numbered.sub(r"\1 -", edit[2])) for edit in of_script]
    python = [(command.words[0].start, 2, "__mlxp_do - ") for command in script.commands]
    return _edited(script, [*python, *(edit for edit in edits if "__mlxp_background" not in edit[2] and edit[1] != -1)])


def _edits_of_commands(script: Script) -> Iterator[tuple[int, int, str]]:
    separator = f" {plan_step.SEPARATOR}"
    for number, command in enumerate(script.commands):
        yield command.words[0].start, 2, f"__mlxp_run {number}{separator} "
        yield from ((word.end, -3, separator) for word in command.words[:-1])
    for number, block in enumerate(script.blocks):
        yield block.start, 1, f"{{ __mlxp_enter {number}; "
        yield block.end, -2, _closing(script, block.start, block.end) + "__mlxp_leave; }"


def _edits_of_loops(script: Script) -> Iterator[tuple[int, int, str]]:
    for position in script.loops:
        yield position, 0, f" __mlxp_turn l{script.line_of(position)};"


def _edits_of_actions(script: Script) -> Iterator[tuple[int, int, str]]:
    for number, action in enumerate(script.actions):
        rank = _STARTS[action.kind]
        if action.kind is ActionKind.COMMAND:
            yield action.start, rank, f"__mlxp_do {number}{_flags(action)} "
        elif action.kind in {ActionKind.SOURCE, ActionKind.EVAL}:
            yield action.start, rank, f'"$(__mlxp_{action.kind.value} {number} '
            yield action.end, -4, ')"'
        elif action.kind is ActionKind.BACKGROUND:
            yield action.start, rank, f"{{ __mlxp_background {number}; exit 0; "
            yield action.end, -1, _closing(script, action.start, action.end) + "}"
        else:
            operator = script.text[action.whole[0] : action.start].strip()
            is_for_both = script.text[: action.whole[0]].endswith(b"<")  # `<>`, whose start the grammar leaves out
            if re.fullmatch(rb"\d*>", operator) and not is_for_both:
                yield action.whole[0] + len(operator), -5, "|"  # what the plan created itself, it may replace
            yield action.start, rank, f'"$(__mlxp_file {number} '
            yield action.end, -4, ')"'


def _edited(script: Script, edits: list[tuple[int, int, str]]) -> bytes:
    parts, last = [], 0
    for position, _, insertion in sorted(edits, key=lambda edit: edit[:2]):
        parts += [script.text[last:position], insertion.encode()]
        last = position
    return b"".join([*parts, script.text[last:]])


def _closing(script: Script, start: int, end: int) -> str:
    return "\n" if b"<<" in script.text[start:end] else "; "


def _flags(action: Action) -> str:
    given = {"n": action.is_needed, "s": action.is_substituted, "p": action.takes_input}
    return "".join(letter for letter, is_given in given.items() if is_given)
