"""Limits what the files of a run may stand for: a few lines of YAML that name each other can mean billions of values.

What a file stands for is counted before it is loaded. All files of a run share one budget.
"""

import re
from dataclasses import dataclass
from typing import Any

import yaml

MOST_VALUES = 2**18
MOST_CHARACTERS = 2**24
DEEPEST = 100

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ExceededError(yaml.YAMLError):
    """A file stands for more than is left of its run's budget."""


@dataclass(slots=True)
class Budget:
    """What is left for the files of a run: a number of values, and of characters of text.

    Examples
    --------
    >>> Budget(values=100).spend(values=101, characters=0)
    Traceback (most recent call last):
    ...
    mlxp.run_directory.budget.ExceededError: stands for too much: a run's files may hold 262144 values
    """

    values: int = MOST_VALUES
    characters: int = MOST_CHARACTERS

    def spend(self, values: int, characters: int) -> None:
        """Subtract from the budget what a file stands for.

        Raises
        ------
        ExceededError
            If less is left; the budget then stays as it is.
        """
        if values > self.values or characters > self.characters:
            self.check(values, characters)
        self.values -= values
        self.characters -= characters

    def check(self, values: int, characters: int) -> None:
        """Raise an `ExceededError` if less than this is left."""
        if values > self.values:
            raise ExceededError(f"stands for too much: a run's files may hold {MOST_VALUES} values")
        if characters > self.characters:
            raise ExceededError(f"stands for too much: a run's files may hold {MOST_CHARACTERS // 2**20} MB of text")


def spend_on(text: str, budget: Budget) -> None:
    """Subtract from `budget` what a YAML file stands for; each alias counts for everything that it names.

    Raises
    ------
    yaml.YAMLError
        If that is more than is left, if it is nested too deeply, or if `text` is not YAML.
    """
    if _is_surely_small(text):
        budget.spend(len(text) // 2, len(text))
        return
    count = _Count(budget)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            count.add(event)
    except yaml.MarkedYAMLError as error:
        # PyYAML's C loader calls itself for each level. A newer libyaml gives up at a thousand of them.
        if "nesting depth" in str(error.problem):
            raise _too_deep() from error
        raise
    budget.spend(count.values, count.characters)


_SMALL = 10_000
_LONGEST_NUMBER = 3000  # Python writes no integer of more than 4300 digits, which are fewer than in base 16
_ENDLESS = re.compile(rf"[-+]?[0-9][0-9a-fA-FxX_:]{{{_LONGEST_NUMBER},}}")
# A line that is far indented, or on which collections follow each other: "- - - 1".
_DEEP_LINE = re.compile(r"^ {50}|[-?:][ \t]+[-?:][ \t]", re.MULTILINE)


def _is_surely_small(text: str) -> bool:
    """Tell whether a short text has no aliases and no deep nesting, in a third of the time that counting takes."""
    return (
        len(text) <= _SMALL
        and "*" not in text
        and text.count("[") + text.count("{") < DEEPEST // 2
        and _DEEP_LINE.search(text) is None
        and (len(text) <= _LONGEST_NUMBER or _ENDLESS.search(text) is None)
    )


def _is_endless(event: yaml.ScalarEvent) -> bool:
    is_plain_or_tagged = event.implicit[0] or event.tag is not None
    return is_plain_or_tagged and _ENDLESS.fullmatch(event.value) is not None


def _too_deep() -> yaml.YAMLError:
    return yaml.YAMLError(f"nested more than {DEEPEST} levels deep")


class _Count:
    """Counts what the events of a parser stand for."""

    def __init__(self, budget: Budget) -> None:
        self.values = 0
        self.characters = 0
        self._budget = budget
        self._named: dict[str, tuple[int, int] | None] = {}  # what each anchor stands for; None within itself
        self._open: list[tuple[str | None, int, int]] = []

    def add(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._spend(1, len(event.value))
            if len(event.value) > _LONGEST_NUMBER and _is_endless(event):
                raise yaml.YAMLError(f"holds a number of more than {_LONGEST_NUMBER} digits")
            if event.anchor:
                self._named[event.anchor] = 1, len(event.value)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._enter(event.anchor)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._leave()
        elif isinstance(event, yaml.AliasEvent):
            self._follow(event)

    def _spend(self, values: int, characters: int) -> None:
        self.values += values
        self.characters += characters
        self._budget.check(self.values, self.characters)

    def _enter(self, anchor: str | None) -> None:
        if len(self._open) == DEEPEST:
            raise _too_deep()
        if anchor:
            self._named[anchor] = None
        self._open.append((anchor, self.values, self.characters))
        self._spend(1, 0)

    def _leave(self) -> None:
        anchor, values, characters = self._open.pop()
        if anchor:
            self._named[anchor] = self.values - values, self.characters - characters

    def _follow(self, alias: yaml.AliasEvent) -> None:
        named = self._named.get(str(alias.anchor), (1, 0))  # PyYAML tells of one that there is not
        if named is None:
            raise yaml.YAMLError(f"*{alias.anchor} stands for a collection that it is in")
        self._spend(*named)
