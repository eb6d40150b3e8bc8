"""Makes values fit for a YAML file, so that it can be written and read whatever a task or a user's class puts into it.

Long texts are cut, and characters that UTF-8 cannot hold are replaced. Objects become texts. A value that contains
itself, or more values than anybody reads, is cut off.
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

_LONGEST_TEXT = 50_000
_MOST_VALUES = 20_000
_MOST_CHARACTERS = 1_000_000
_DEEPEST = 50
_MOST_BITS = 4096  # of a whole number; Python refuses to spell much larger ones

_CUT = "…"


def storable_text(text: str, longest: int = _LONGEST_TEXT) -> str:
    r"""Return a text of at most about `longest` characters that UTF-8 can hold; it says how much was cut off.

    Examples
    --------
    >>> storable_text("caf\udce9"), storable_text("abcdef", 3)
    ('caf\\udce9', 'abc… (3 more characters)')
    """
    more = str.__len__(text) - longest
    kept = f"{str.__getitem__(text, slice(longest))}{_CUT} ({more} more characters)" if more > 0 else text
    return str.encode(kept, "utf-8", "backslashreplace").decode()


def storable(value: Any) -> Any:
    r"""Return `value` as dicts, lists, texts and numbers, of a size that is quick to write and read.

    Examples
    --------
    >>> storable({"name": "caf\udce9", "sizes": (1, 2)})
    {'name': 'caf\\udce9', 'sizes': [1, 2]}
    """
    return _Copy().of(value)


class _Copy:
    """One copy, which counts what has been copied so far."""

    def __init__(self) -> None:
        self.values = _MOST_VALUES
        self.characters = _MOST_CHARACTERS

    def of(self, value: Any, depth: int = 0) -> Any:
        self.values -= 1
        if value is None or type(value) in {bool, float}:
            return value
        if type(value) is int:
            return value if value.bit_length() <= _MOST_BITS else f"a whole number of {value.bit_length()} bits"
        if type(value) is str:
            return self.text(value)
        try:
            return self.object(value, depth)
        except BaseException as error:  # noqa: BLE001 - any method of a user's object may raise anything
            return f"({_type_name(value)}, which cannot be shown: {_type_name(error)})"

    def text(self, value: str) -> str:
        kept = storable_text(value, min(_LONGEST_TEXT, max(self.characters, 0)))
        self.characters -= len(kept)
        return kept

    def object(self, value: Any, depth: int) -> Any:
        if isinstance(value, Mapping | list | tuple | set | frozenset):
            return self.container(value, depth) if depth < _DEEPEST and self.values > 0 else _CUT
        if isinstance(value, Enum):
            return self.text(value.name)
        if isinstance(value, int | float):
            return self.of((int if isinstance(value, int) else float)(value), depth)
        if getattr(value, "ndim", None) == 0 and type(value.item()) in {bool, int, float, str}:
            return self.of(value.item(), depth)  # a scalar of numpy or of a tensor library
        return self.text(str.__str__(str(value)))

    def container(self, value: Any, depth: int) -> Any:
        if isinstance(value, Mapping):
            return {self.of_key(key): self.of(item, depth + 1) for key, item in self.some(value.items())}
        return [self.of(item, depth + 1) for item in self.some(value)]

    def of_key(self, key: Any) -> Any:
        return key if key is None or type(key) in {bool, int, float} else self.text(str.__str__(str(key)))

    def some(self, items: Iterable[Any]) -> Iterable[Any]:
        for item in list(items):
            if self.values <= 0:
                return
            yield item


def _type_name(value: Any) -> str:
    return storable_text(type.__getattribute__(type(value), "__name__"))
