"""Categories: the distinct values of some keys, in order, each with a text of its own.

Colours, dashes, panels, places on an axis, and rows and columns of a table are all assigned to categories. None, NaN
and missing values are categories like any other value.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlxp.errors import InvalidKeyError
from mlxp_reader.analysis.settings import rank
from mlxp_reader.columns.keys import cut, short, shown

Value = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """The names that users want for things, and the order that they want for values; see `DataFrame.plot_metric`."""

    labels: Mapping[Any, str] = field(default_factory=dict)
    order: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def name(self, thing: Any, text: str) -> str:
        """Return what a key, a value or a metric is called, `text` if there is no label for it."""
        try:
            return self.labels.get(thing, self.labels.get(text, text))
        except TypeError:  # a list cannot be looked up
            return self.labels.get(text, text)

    def key(self, key: str) -> str:
        """Return what a column is called."""
        return self.name(key, short(key))

    def wanted(self, key: str) -> Sequence[Any] | None:
        """Return the order that is wanted for the values of a key."""
        return self.order.get(key, self.order.get(short(key)))


def words(labels: Mapping[Any, str] | None, order: Mapping[str, Sequence[Any]] | None, columns: Iterable[str]) -> Words:
    """Return the names that users want for things, and the order that they want for values.

    Raises
    ------
    InvalidKeyError
        If `order` is not by keys of the configuration.
    """
    if order is not None and not isinstance(order, Mapping):
        raise InvalidKeyError(f"order names the values of a key, such as order={{'model': ['b', 'a']}}, not {order!r}")
    known = {name for column in columns for name in (column, short(column))}
    for key in order or {}:
        if key not in known:
            raise InvalidKeyError(f"order names the key '{key}', which these runs do not have")
    return Words(labels or {}, order or {})


@dataclass(frozen=True, slots=True)
class Categories:
    """The different combinations of values of some keys.

    Attributes
    ----------
    keys
        The columns.
    combinations, parts, texts
        The combinations in order, the texts of their values, and one text for each combination.
    title
        What the keys are called.
    """

    keys: list[str]
    combinations: list[Value]
    parts: list[list[str]]
    texts: list[str]
    title: str
    _places: dict[Any, int]

    def __len__(self) -> int:
        return len(self.combinations)

    def place(self, value: Value) -> int:
        """Return which of the combinations this one is."""
        return self._places[rank(value)]

    def place_of(self, setting: Mapping[str, Any]) -> int:
        """Return which of the combinations some settings have."""
        return self.place(tuple(setting[key] for key in self.keys))


def categories(keys: Sequence[str], values: Iterable[Value], words: Words, *, with_keys: bool = False) -> Categories:
    """Return the different ones among some combinations of the values of `keys`.

    Parameters
    ----------
    with_keys
        Whether each text names the keys, as ``lr=0.1`` does.

    Examples
    --------
    >>> found = categories(["config.n"], [(1000001.0,), (None,), (1000000.0,), (1000001.0,)], Words())
    >>> found.texts, found.place((None,))
    (['1000000.0', '1000001.0', 'null'], 2)
    """
    different = list({rank(value): value for value in values}.values())
    columns = [_texts([value[at] for value in different], words) for at in range(len(keys))]
    wanted = [{rank(value): at for at, value in enumerate(words.wanted(key) or ())} for key in keys]

    def sort_key(value: Value) -> list[Any]:
        return [(first.get(rank(one), len(first)), rank(one)) for first, one in zip(wanted, value, strict=True)]

    ordered = sorted(different, key=sort_key)
    names = list(map(words.key, keys))
    parts = [[column[rank(one)] for column, one in zip(columns, value, strict=True)] for value in ordered]
    heads = [f"{name}=" if with_keys else "" for name in names]
    texts = [", ".join(f"{head}{text}" for head, text in zip(heads, of, strict=True)) for of in parts]
    places = {rank(value): at for at, value in enumerate(ordered)}
    return Categories(list(keys), ordered, parts, texts, ", ".join(names), places)


def _texts(values: Sequence[Any], words: Words) -> dict[Any, str]:
    different = {rank(value): value for value in values}
    texts = distinct_texts(list(different.values()))
    return {one: words.name(value, text) for (one, value), text in zip(different.items(), texts, strict=True)}


def distinct_texts(values: Sequence[Any]) -> list[str]:
    """Return a short text for each of some different values; no two texts are the same.

    Examples
    --------
    >>> distinct_texts([0.1, "0.1", 1000000.0, 1000001.0, "x" * 100 + "a", "x" * 100 + "b"])[:4]
    ['0.1', "'0.1'", '1000000.0', '1000001.0']
    """
    values = [value.item() if isinstance(value, np.generic) else value for value in values]
    short_texts = texts = [cut(text_of(value)) for value in values]
    for _ in range(2):  # the longer text of one may be the short one of another
        often = Counter(texts)
        texts = [cut(repr(value)) if often[text] > 1 else text for value, text in zip(values, texts, strict=True)]
    often, seen = Counter(texts), Counter[str]()
    for at, text in enumerate(texts):
        if often[text] > 1:  # long texts that begin alike
            seen[text] += 1
            texts[at] = f"{short_texts[at]} ({seen[text]})"
    return texts


def text_of(value: Any) -> str:
    """Return the text of a value; None, NaN and missing values have one, too.

    Examples
    --------
    >>> import pandas as pd
    >>> text_of(None), text_of(float("nan")), text_of(pd.NA), text_of(1e-05)
    ('null', 'nan', '–', '1e-05')
    """
    return shown(value)
