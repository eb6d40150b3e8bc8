"""Where the variables of a script get their values from, as far as its text shows."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlxp.scripts.shell_tree import text_of, variables_in, walk

if TYPE_CHECKING:
    from tree_sitter import Node


_COMPUTING = {"arithmetic_expansion", "command_substitution", "process_substitution"}


@dataclass(frozen=True, slots=True)
class Assignment:
    """A value that a script gives to a variable.

    Attributes
    ----------
    start, end
        The position of the assignment.
    variables
        The variables that the value is made of.
    is_derived
        Whether the value does more with them than insert their values.
    is_substituted
        Whether the value is the output of a command.
    """

    name: str
    start: int
    end: int
    variables: frozenset[str]
    is_derived: bool
    is_substituted: bool


def assignments_of(root: "Node") -> Iterator[Assignment]:
    """Yield the assignments in a script; the values of a loop's variable count as one, too."""
    for node in walk(root):
        if node.type == "variable_assignment":
            parts = node.named_children[1:]
        elif node.type == "for_statement":
            parts = node.children_by_field_name("value")
        else:
            continue
        yield Assignment(
            text_of(node.named_children[0]).partition("[")[0],
            node.start_byte,
            node.end_byte,
            frozenset[str]().union(*map(variables_in, parts)),
            any(map(is_derived, parts)),
            any(inner.type == "command_substitution" for part in parts for inner in walk(part)),
        )


def is_derived(node: "Node") -> bool:
    """Tell whether a word does more with a variable than insert its value."""
    for inner in walk(node):
        if inner.type in {"arithmetic_expansion", "command_substitution", "process_substitution"} and variables_in(
            inner
        ):
            return True
        if inner.type == "expansion" and not re.match(r"\$\{\w+(\[[@*]\])?(:?[-=?].*)?\}$", text_of(inner), re.DOTALL):
            return True
    return False


def made_of(names: frozenset[str], assignments: Sequence[Assignment]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the variables that are made of those with these `names`, and those derived from them."""
    found, derived = set(names), set[str]()
    size = -1
    while size != len(found) + len(derived):
        size = len(found) + len(derived)
        for one in assignments:
            if one.variables & found:
                found.add(one.name)
                if one.is_derived or one.variables & derived:
                    derived.add(one.name)
    return frozenset(found), frozenset(derived)
