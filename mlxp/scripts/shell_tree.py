"""The grammar of bash, for modules that parse a script: a tree of nodes, and what can be read from one node."""

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

_LITERALS = {"word", "number", "raw_string", "string", "concatenation"}
_NO_WORDS = {"variable_assignment", "file_redirect", "heredoc_redirect", "herestring_redirect"}


def syntax_tree(text: bytes) -> "Node":
    """Return the root of the tree of a script."""
    import tree_sitter
    import tree_sitter_bash

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language())).parse(text).root_node


def walk(node: "Node") -> Iterator["Node"]:
    """Yield a node and all nodes inside it, in the order of the text."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack += reversed(node.children)


def text_of(node: "Node") -> str:
    """Return the text that a node covers."""
    return (node.text or b"").decode(errors="surrogateescape")


def words_of(command: "Node") -> list["Node"]:
    """Return the words of a command, including those after its redirections."""
    own = [child for child in command.named_children if child.type not in _NO_WORDS]
    outer = command.parent if command.parent is not None and command.parent.type == "redirected_statement" else command
    redirects = [child for child in outer.named_children if child.type == "file_redirect"]
    return sorted(
        [*own, *(word for node in redirects for word in _words_after(node))], key=lambda node: node.start_byte
    )


def _words_after(redirect: "Node") -> list["Node"]:
    """Return the words that the grammar takes for more files: in ``> file a=1``, the command has one argument."""
    return [child for child in redirect.named_children if child.type != "file_descriptor"][1:]


def literal(word: "Node") -> str | None:
    """Return the value of a word; None if it has a value only once it is expanded."""
    if word.type == "command_name":
        word = word.named_children[0] if word.named_children else word
    nodes = list(walk(word))
    if any(node.type.endswith(("expansion", "substitution")) for node in nodes) or word.type not in _LITERALS:
        return None
    try:
        return "".join(shlex.split(text_of(word)))
    except ValueError:
        return None


def ancestors(node: "Node") -> Iterator["Node"]:
    """Yield the nodes around a node, from the innermost to the outermost."""
    parent = node.parent
    while parent is not None:
        yield parent
        parent = parent.parent


def variables_in(word: "Node") -> frozenset[str]:
    """Return the names of the variables that a node mentions."""
    kinds = {"variable_name", "special_variable_name"}
    return frozenset(text_of(inner) for inner in walk(word) if inner.type in kinds)


def begins_a_word(text: bytes, position: int) -> bool:
    """Tell whether a word of a command can begin at a position: the grammar takes the end of ``A=/x/$1`` for one."""
    before = text[max(0, position - 2) : position]
    return not before or (before[-1:] in b" \t\n;&|(){}`!<>=" and (before[-1:].isspace() or before[:-1] != b"\\"))
