"""Reads a user's shell script: its directives, the commands that may start Python, and what surrounds those.

A real grammar of bash parses the text. Nothing is run here; plan.py finds out what the commands do.
"""

import codecs
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlxp.errors import InvalidShellPathError, MLXPError
from mlxp.programs import ProgramError, run_program
from mlxp.scripts.actions import Action, actions_of, functions_and_aliases, is_tested
from mlxp.scripts.assignments import Assignment, assignments_of, is_derived
from mlxp.scripts.python_command import LAUNCHERS, is_interpreter, is_script
from mlxp.scripts.shell_tree import (
    ancestors,
    begins_a_word,
    literal,
    syntax_tree,
    text_of,
    variables_in,
    walk,
    words_of,
)

if TYPE_CHECKING:
    from tree_sitter import Node

OWN_PATH = "MLXP_SCRIPT"
"""The variable that replaces ``$0`` and ``BASH_SOURCE``, which do not name the user's script in plan and jobs."""

_STRAIGHT = frozenset(
    {"program", "list", "pipeline", "redirected_statement", "compound_statement", "subshell", "negated_command"}
)
"""Nodes whose commands run at most once, whatever happens before, so a run's command can be replaced in place."""

_STATEMENTS = _STRAIGHT | {
    "c_style_for_statement",
    "case_statement",
    "command",
    "declaration_command",
    "for_statement",
    "function_definition",
    "if_statement",
    "test_command",
    "variable_assignment",
    "variable_assignments",
    "while_statement",
}
_OWN_PATHS = {b"0": OWN_PATH, b"BASH_SOURCE": OWN_PATH}
_SHELLS = ("bash", "sh", "dash", "ksh")


class ScriptError(MLXPError, ValueError):
    """A script that cannot be read, or that does something a submission cannot do."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a command: its position, and the variables from which it takes its value."""

    start: int
    end: int
    variables: frozenset[str]
    is_derived: bool
    """Whether it does more with a variable than insert its value, such as arithmetic."""


@dataclass(frozen=True, slots=True)
class Place:
    """The position of a command or block, with the parts that make no sense without it.

    Attributes
    ----------
    start, end
        The position, including its redirections and the pipeline that it is part of.
    lines
        The line or lines, if nothing else stands there.
    pipeline
        The pipeline.
    """

    start: int
    end: int
    lines: tuple[int, int] | None
    pipeline: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Command:
    """A command that may start a Python program.

    Attributes
    ----------
    start, end
        Its position in the script, including the assignments before its first word.
    assignments
        The names of the variables that it sets for itself only: ``A`` in ``A=1 python main.py``.
    looks_like_python
        Whether its words show that it starts Python, before any expansion.
    substituted
        Whether it stands in ``$(...)``, so that its output is part of another command.
    tested
        Whether the script checks its exit code, as in ``if COMMAND``, ``COMMAND || ...`` and the like.
    block
        The block that it stands in.
    place
        Everything that would have to go if it were removed.
    in_function
        Whether it stands in the definition of a function, so that it runs only where the function is called.
    """

    start: int
    end: int
    words: tuple[Word, ...]
    assignments: frozenset[str]
    line: int
    looks_like_python: bool
    substituted: bool
    tested: bool
    block: int | None
    place: "Place"
    in_function: bool


@dataclass(frozen=True, slots=True)
class Block:
    """The outermost loop, condition or function call around commands; what they do is known once it has run."""

    start: int
    end: int
    line: int
    place: Place
    assigned: frozenset[str]
    """Variables that have a value only while it runs, such as a loop's, including those of a function call."""


@dataclass(frozen=True, slots=True)
class Script:
    """A parsed shell script; positions count bytes of `text`."""

    path: Path
    text: bytes
    interpreter: tuple[str, ...]
    shebang: str
    body_start: int
    commands: tuple[Command, ...]
    blocks: tuple[Block, ...]
    actions: tuple[Action, ...]
    """What it does besides starting Python."""
    assignments: tuple[Assignment, ...]
    comments: tuple[tuple[int, str], ...]
    """The comments that are whole lines, with the numbers of their lines."""
    first_statement: int
    """The number of the first line that is neither empty nor a comment."""
    loops: tuple[int, ...] = ()
    """Where the conditions of loops begin that may go on for ever; in those of C's kind, the body."""

    def text_of(self, part: Command | Block | Word) -> str:
        """Return a part as written in the script."""
        return self.text[part.start : part.end].decode(errors="surrogateescape")

    def line_of(self, position: int) -> int:
        """Return the number of the line at `position`, counted from 1."""
        return self.text.count(b"\n", 0, position) + 1


def read_script(path: Path) -> Script:
    """Return the script at `path`, parsed.

    Raises
    ------
    ScriptError
        If the file does not exist or is not valid shell.
    InvalidShellPathError
        If the script is written for something other than bash or sh.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ScriptError(f"cannot read the script {path}: {error.strerror or error}") from error
    return parsed(text.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n"), path)


def parsed(
    text: bytes, path: Path, own_paths: Mapping[bytes, str] = _OWN_PATHS, names: frozenset[str] = frozenset()
) -> Script:
    """Return a script that has been read from `path`, parsed; see `read_script`.

    Parameters
    ----------
    own_paths
        The variables that name the script, and what is to replace them.
    names
        The names of functions and aliases that exist before it begins.
    """
    shebang, interpreter, body_start = _shebang(text, path)
    _check_syntax(text, interpreter, path)
    text = _with_own_path(_with_subshells(text), own_paths)
    root = syntax_tree(text)
    _check_understood(root, path)
    functions = _python_functions(root)
    candidates = [node for node in walk(root) if _is_candidate(node, functions)]
    found = [(node, _outermost_block(node, functions)) for node in candidates if begins_a_word(text, node.start_byte)]
    nodes = {(node.start_byte, node.end_byte): node for _, node in found if node is not None}
    blocks = {key: number for number, key in enumerate(sorted(nodes))}
    of_functions = _assigned_in_functions(root)
    return Script(
        path,
        text,
        interpreter,
        shebang,
        body_start,
        commands=tuple(_command(node, block, blocks) for node, block in found if _may_run(node)),
        blocks=tuple(_block(nodes[key], of_functions) for key in sorted(nodes)),
        actions=tuple(
            actions_of(
                root,
                [node for node, _ in found if _may_run(node)],
                [node for node, _ in found],
                functions_and_aliases(root) | names,
            )
        ),
        assignments=tuple(assignments_of(root)),
        comments=tuple(
            (node.start_point.row + 1, text_of(node).rstrip())
            for node in walk(root)
            if node.type == "comment" and node.start_point.column == 0
        ),
        first_statement=next((node.start_point.row + 1 for node in root.children if node.type != "comment"), 1 << 30),
        loops=tuple(end for node in walk(root) if (end := _start_of_turns(node)) is not None),
    )


def _shebang(text: bytes, path: Path) -> tuple[str, tuple[str, ...], int]:
    if not text.startswith(b"#!"):
        return "#!/bin/bash", ("/bin/bash",), 0
    line, _, _ = text.partition(b"\n")
    shebang = line.decode(errors="surrogateescape").rstrip()
    words = tuple(shebang[2:].split())
    if not words or not any(Path(word).name in _SHELLS for word in words):
        raise InvalidShellPathError(
            f"{path} starts with {shebang!r}; begin it with a line for one of {', '.join(_SHELLS)}, "
            "such as '#!/bin/bash' or '#!/usr/bin/env bash'"
        )
    if len(words) > 2 and not words[1].startswith("-S"):
        raise InvalidShellPathError(
            f"{path} starts with {shebang!r}, where the system takes {' '.join(words[1:])!r} for one option; join "
            "several options into one, as in '#!/bin/bash -eu', or '#!/usr/bin/env -S bash -e'"
        )
    return shebang, words, min(len(line) + 1, len(text))


def _check_syntax(text: bytes, interpreter: tuple[str, ...], path: Path) -> None:
    # `shopt -s extglob` changes the syntax, and is not executed here.
    options = (
        ["-O", "extglob", "-n"]
        if b"extglob" in text and any(Path(word).name == "bash" for word in interpreter)
        else ["-n"]
    )
    try:
        answer = run_program([*interpreter, *options], seconds=60, given=text)
    except ProgramError as error:
        reason = getattr(error.__cause__, "strerror", None) or error
        raise InvalidShellPathError(f"{path} is written for {shlex.join(interpreter)}: {reason}") from error
    if answer.code:
        raise ScriptError(f"{path} is not valid shell: {answer.errors.strip()}")


def _with_subshells(text: bytes) -> bytes:
    """Return a script in which ``$((cd x; ls) | wc)`` is ``$( (cd x; ls) | wc)``: the grammar sees sums."""
    starts = [found.end() for found in re.finditer(rb"\$\(\(", text)] if b"$((" in text else []
    spaced = text
    for start in reversed(starts):
        end = _closing_parenthesis(text, start)
        if end is not None and text[end : end + 1] != b")":
            spaced = spaced[: start - 1] + b" " + spaced[start - 1 :]
    is_better = spaced != text and _number_of_errors(spaced) < _number_of_errors(text)
    return spaced if is_better else text


def _closing_parenthesis(text: bytes, start: int) -> int | None:
    """Return the position after the parenthesis that closes one just before `start`."""
    depth = 1
    for found in re.compile(rb"(?s)\\.|'[^']*'|\"(?:\\.|[^\"\\])*\"|[()]").finditer(text, start):
        depth += {b"(": 1, b")": -1}.get(found.group(), 0)
        if depth == 0:
            return found.end()
    return None


def _number_of_errors(text: bytes) -> int:
    root = syntax_tree(text)
    return sum(node.type == "ERROR" or node.is_missing for node in walk(root)) if root.has_error else 0


def _with_own_path(text: bytes, own_paths: Mapping[bytes, str]) -> bytes:
    names = [node for node in walk(syntax_tree(text)) if node.type == "variable_name" and node.text in own_paths]
    for node in reversed(names):
        around = node.parent.type if node.parent is not None else ""
        if around in {"simple_expansion", "expansion", "subscript"}:
            name = own_paths[node.text or b""]
            new = f"{{{name}}}" if around == "simple_expansion" else name
            text = text[: node.start_byte] + new.encode() + text[node.end_byte :]
    return text


def _check_understood(root: "Node", path: Path) -> None:
    # Syntax that bash accepts but the grammar does not know does no harm, as long as no program is started there.
    for statement in root.children:
        if statement.has_error and any(_is_pythonic(word) for word in text_of(statement).replace(";", " ").split()):
            raise ScriptError(
                f"{path}, line {statement.start_point.row + 1}: cannot be parsed; "
                "write the command that starts Python on a line of its own"
            )


def _is_pythonic(word: str) -> bool:
    return is_interpreter(word) or is_script(word)


def _may_run(command: "Node") -> bool:
    if command.type != "command":
        return False
    literals = [literal(word) for word in words_of(command)]
    if not literals:
        return False
    first = literals[0]
    if first is not None and not (_is_pythonic(first) or Path(first).name in LAUNCHERS):
        return False
    return first is None or any(word is None or _is_pythonic(word) or word == "-m" for word in literals)


def _looks_like_python(command: "Node") -> bool:
    literals = [literal(word) for word in words_of(command)]
    return any(word is not None and _is_pythonic(word) for word in literals)


def _python_functions(root: "Node") -> frozenset[str]:
    """Return the names of the functions that may start a Python program, directly or through each other."""
    calls: dict[str, set[str]] = {}
    for node in walk(root):
        if node.type == "function_definition":
            name = text_of(next(child for child in node.named_children if child.type == "word"))
            inside = [inner for inner in walk(node) if inner.type == "command"]
            calls[name] = {literal(words_of(inner)[0]) or "" for inner in inside if words_of(inner)}
            if any(_may_run(inner) for inner in inside):
                calls[name].add("python")
    found = {"python"}
    while new := {name for name, called in calls.items() if called & found} - found:
        found |= new
    return frozenset(found - {"python"})


def _is_candidate(node: "Node", functions: frozenset[str]) -> bool:
    """Tell whether a node is a command that may start Python, directly or through a function."""
    if node.type != "command" or not words_of(node) or any(_may_run(parent) for parent in ancestors(node)):
        return False
    return _may_run(node) or literal(words_of(node)[0]) in functions


def _outermost_block(node: "Node", functions: frozenset[str]) -> "Node | None":
    """Return the outermost block around a command, which may be the command itself."""
    chain = [node, *ancestors(node)]
    branching = [parent for parent in chain[1:] if parent.type not in _STRAIGHT]
    if not branching:
        return node if literal(words_of(node)[0]) in functions else None
    if branching[-1].type == "function_definition":
        return None
    return next(parent for parent in chain[chain.index(branching[-1]) :] if parent.type in _STATEMENTS)


def _start_of_turns(node: "Node") -> int | None:
    if node.type == "while_statement":
        return node.children[0].end_byte
    body = node.child_by_field_name("body") if node.type == "c_style_for_statement" else None
    return body.children[0].end_byte if body is not None else None


def _block(node: "Node", of_functions: frozenset[str]) -> Block:
    return Block(
        node.start_byte,
        node.end_byte,
        node.start_point.row + 1,
        _place(node),
        of_functions | _assigned(node),
    )


def _assigned_in_functions(root: "Node") -> frozenset[str]:
    """Return the variables that mean nothing outside a function's call: its arguments and those that it assigns."""
    functions = [inner for inner in walk(root) if inner.type == "function_definition"]
    return frozenset("@*#123456789").union(*map(_assigned, functions))


def _assigned(node: "Node") -> set[str]:
    inner = list(walk(node))
    assignments = {"for_statement", "select_statement", "variable_assignment", "c_style_for_statement"}
    targets = [child for parent in inner if parent.type in assignments for child in parent.named_children[:1]]
    # `read`, `mapfile` and `getopts` take the names of variables as plain words.
    words = {text_of(word) for word in inner if word.type == "word"} & variables_in(node)
    return words | {text_of(target).partition("[")[0] for target in targets}


def _command(node: "Node", block: "Node | None", blocks: dict[tuple[int, int], int]) -> Command:
    types = {parent.type for parent in ancestors(node)}
    words = [Word(word.start_byte, word.end_byte, variables_in(word), is_derived(word)) for word in words_of(node)]
    return Command(
        start=node.start_byte,
        end=max(node.end_byte, *(word.end for word in words)),
        words=tuple(words),
        assignments=frozenset(
            text_of(child.named_children[0]) for child in node.named_children if child.type == "variable_assignment"
        ),
        line=node.start_point.row + 1,
        looks_like_python=_looks_like_python(node),
        substituted=bool(types & {"command_substitution", "process_substitution"}),
        tested=is_tested(node),
        block=blocks[block.start_byte, block.end_byte] if block is not None else None,
        place=_place(node),
        in_function="function_definition" in types,
    )


def _place(node: "Node") -> Place:
    whole, pipeline = node, None
    while node.parent is not None and node.parent.type in {"redirected_statement", "pipeline", "negated_command"}:
        node = node.parent
        whole = whole if node.type == "negated_command" else node
        pipeline = (node.start_byte, node.end_byte) if node.type == "pipeline" else pipeline
    return Place(whole.start_byte, whole.end_byte, _lines(node), pipeline)


def _lines(node: "Node") -> tuple[int, int] | None:
    """Return the range of lines that hold nothing but this node."""
    if node.parent is None or node.parent.type != "program":
        return None
    text = node.parent.text or b""
    start = text.rfind(b"\n", 0, node.start_byte) + 1
    end = text.find(b"\n", node.end_byte)
    end = len(text) if end < 0 else end + 1
    # A process started in the background leaves its number in `$!`, which the script may ask for.
    rest = re.fullmatch(rb"[ \t]*;?[ \t]*(#.*)?\n?", text[node.end_byte : end])
    return (start, end) if rest and not text[start : node.start_byte].strip() else None
