"""Whether two configurations are the same in all that can matter: values, types, flags, and the order of keys."""

from dataclasses import is_dataclass
from typing import Any

from omegaconf import Node

_ELSEWHERE = {"_parent", "_flags_cache", "resolver_cache"}
"""Attributes of nodes that lead out of them, or that are computed."""


def is_same(one: Any, other: Any) -> bool:
    """Return whether two configurations, or parts of them, are the same before anything is resolved.

    Examples
    --------
    >>> from omegaconf import OmegaConf
    >>> is_same(OmegaConf.create({"a": 1, "b": 2}), OmegaConf.create({"a": 1, "b": 2}))
    True
    >>> is_same(OmegaConf.create({"a": 1, "b": 2}), OmegaConf.create({"b": 2, "a": 1}))
    False
    >>> is_same(OmegaConf.create({"a": 1}), OmegaConf.create({"a": 1.0}))
    False
    """
    if type(one) is not type(other):
        return False
    if isinstance(one, Node) or is_dataclass(one):  # what OmegaConf knows about a node is a dataclass
        return is_same(_attributes(one), _attributes(other))
    if isinstance(one, dict):
        return is_same(list(one), list(other)) and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(is_same, one, other))
    return one is other or bool(one == other) or (isinstance(one, float) and one != one and other != other)  # noqa: PLR0124


def _attributes(node: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(node).items() if name not in _ELSEWHERE}
