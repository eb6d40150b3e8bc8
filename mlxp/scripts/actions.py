"""Finds what a script does besides starting Python: other commands, files it writes to, and what it leaves running.

The plan checks each of these before doing it, since a plan changes nothing that was there before; see effects.py.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from mlxp.scripts.shell_tree import ancestors, begins_a_word, literal, text_of, walk, words_of

if TYPE_CHECKING:
    from tree_sitter import Node


class ActionKind(Enum):
    """The kind of an action."""

    COMMAND = "command"
    FILE = "file"
    """A redirection that opens a file for writing."""
    BACKGROUND = "background"
    """A statement that is left running and starts no Python."""
    SOURCE = "source"
    """The name of a file whose commands are executed."""
    EVAL = "eval"
    """The words of a text that is executed."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a script does besides starting Python.

    Attributes
    ----------
    start, end
        The position of the command's first word, of the redirection's target, or of the statement.
    whole
        The part that messages show.
    is_needed
        Whether the script uses a command's output, or checks whether the command succeeds.
    is_substituted
        Whether its output becomes part of something else.
    takes_input
        Whether it reads the output of another command.
    """

    kind: ActionKind
    start: int
    end: int
    line: int
    whole: tuple[int, int]
    is_needed: bool = False
    is_substituted: bool = False
    takes_input: bool = False


_INSIDE_THE_SHELL = frozenset(
    """
    : . source cd eval exit return set shift unset export readonly local declare typeset read echo printf test [ true
    false pwd umask ulimit getopts hash type times wait jobs fg bg let shopt enable alias unalias pushd popd dirs
    mapfile readarray break continue disown suspend logout complete compgen bind help caller print
    """.split()  # noqa: SIM905 - a table of words
)
"""Commands that change only the shell that executes them."""


def actions_of(root: "Node", python: Iterable["Node"], starting: Iterable["Node"], own: frozenset[str]) -> list[Action]:
    """Return the actions in a script, in the order of its text.

    Parameters
    ----------
    python
        The commands that may start Python.
    starting
        These commands, and the calls of functions that may start Python.
    own
        The names of the script's functions and aliases.
    """
    others = {node.start_byte for node in python}
    positions = [node.start_byte for node in starting]
    text = root.text or b""
    found = [
        action
        for node in walk(root)
        for action in (_command(node, others, own), _file(node), _background(node, positions))
        if action is not None and begins_a_word(text, action.start - root.start_byte)
    ]
    return sorted(found, key=lambda action: action.start)


def functions_and_aliases(root: "Node") -> frozenset[str]:
    """Return the names that a script gives to functions and aliases."""
    names = {
        text_of(child)
        for node in walk(root)
        if node.type == "function_definition"
        for child in node.named_children
        if child.type == "word"
    }
    for node in walk(root):
        if node.type == "command" and [literal(word) for word in words_of(node)[:1]] == ["alias"]:
            names |= {text_of(word).partition("=")[0] for word in words_of(node)[1:]}
    return frozenset(names)


def _command(node: "Node", others: set[int], own: frozenset[str]) -> Action | None:
    if node.type != "command" or node.start_byte in others or not words_of(node):
        return None
    words = words_of(node)
    names = [literal(word) for word in words]
    if names[0] in {"time", "coproc"} and len(words) > 1:  # keywords of bash, which may stand before functions
        words, names = words[1:], names[1:]
    if names[0] in {".", "source"} and len(words) > 1:
        start, end = words[1].start_byte, words[1].end_byte
        return Action(ActionKind.SOURCE, start, end, node.start_point.row + 1, (start, end))
    if names[0] == "eval" and len(words) > 1:
        start, end = words[1].start_byte, words[-1].end_byte
        return Action(ActionKind.EVAL, start, end, node.start_point.row + 1, (start, end))
    if names[0] in own | _INSIDE_THE_SHELL or (names[0] == "exec" and all(map(_is_file_variable, words[1:]))):
        return None
    start = words[0].start_byte
    pipeline = next((one for one in (node, *ancestors(node)) if one.parent and one.parent.type == "pipeline"), None)
    substituted = _is_substituted(node)
    return Action(
        ActionKind.COMMAND,
        start,
        node.end_byte,
        node.start_point.row + 1,
        _whole(node),
        is_needed=substituted or _decides(node, others) or _is_read(pipeline, others),
        is_substituted=substituted,
        takes_input=pipeline is not None and pipeline.prev_sibling is not None,
    )


def _is_file_variable(word: "Node") -> bool:
    """Tell whether a word is part of a redirection: ``exec {name}> file`` executes no program."""
    return re.fullmatch(r"\{\w+\}", text_of(word)) is not None


def _whole(node: "Node") -> tuple[int, int]:
    if node.parent is not None and node.parent.type == "redirected_statement":
        node = node.parent
    return node.start_byte, node.end_byte


def _is_substituted(node: "Node") -> bool:
    return any(
        parent.type == "command_substitution"
        or (parent.type == "process_substitution" and text_of(parent).startswith("<"))
        for parent in ancestors(node)
    )


def _is_read(part: "Node | None", python: set[int]) -> bool:
    """Tell whether runs depend on the output of a part of a pipeline: a later part reads it, or starts Python."""
    while part is not None and part.next_sibling is not None:
        part = part.next_sibling
        for node in walk(part):
            reads = node.type == "command" and literal(words_of(node)[0]) in {"read", "mapfile", "readarray"}
            if reads or (node.type == "command" and node.start_byte in python):
                return True
    return False


def is_tested(node: "Node") -> bool:
    """Tell whether ``set -e`` would ignore a command's failure."""
    for parent in ancestors(node):
        is_first = parent.type == "list" and node == parent.named_children[0]
        if parent.type == "negated_command" or is_first or node in parent.children_by_field_name("condition"):
            return True
        node = parent
    return False


def _decides(node: "Node", python: set[int]) -> bool:
    """Tell whether a command's exit code decides what else the plan reaches.

    In ``COMMAND || exit`` and ``COMMAND && python main.py``, success is expected, and the job finds out.
    """
    for parent in ancestors(node):
        if parent.type == "negated_command" or node in parent.children_by_field_name("condition"):
            return True
        if parent.type == "list" and node == parent.named_children[0]:
            is_or = any(child.type == "||" for child in parent.children)
            rest = [inner for child in parent.named_children[1:] for inner in walk(child)]
            if any(_changes_the_shell(inner) or (is_or and inner.start_byte in python) for inner in rest):
                return True
        node = parent
    return False


def _changes_the_shell(node: "Node") -> bool:
    changing = {"cd", "source", ".", "read", "set", "export"}
    return node.type in {"variable_assignment", "declaration_command"} or (
        node.type == "command" and bool(words_of(node)) and literal(words_of(node)[0]) in changing
    )


def _file(node: "Node") -> Action | None:
    if node.type != "file_redirect":
        return None
    operator = next((child.type for child in node.children if not child.is_named), "")
    is_for_both = text_of(node).partition("<")[2].startswith(">")  # `<>`, which the grammar takes for an error
    targets = [child for child in node.named_children if child.type not in {"file_descriptor", "ERROR"}]
    if not targets or not (">" in operator or is_for_both) or targets[0].type == "process_substitution":
        return None
    target = targets[0]
    if operator == ">&" and re.fullmatch(r"\d+-?|-", text_of(target)):
        return None
    return Action(
        ActionKind.FILE,
        target.start_byte,
        target.end_byte,
        node.start_point.row + 1,
        (node.start_byte, target.end_byte),
    )


def _background(node: "Node", starting: list[int]) -> Action | None:
    if node.next_sibling is None or node.next_sibling.type != "&" or not node.is_named:
        return None
    start, end = node.start_byte, node.end_byte
    if any(start <= position < end for position in starting):
        return None
    return Action(ActionKind.BACKGROUND, start, end, node.start_point.row + 1, (start, end))
