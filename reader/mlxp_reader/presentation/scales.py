"""Where the values of a key stand on an axis: numbers on a scale, others in a row, and None or NaN beside the scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlxp.errors import InvalidKeyError
from mlxp_reader.analysis.settings import rank
from mlxp_reader.columns.cells import is_missing
from mlxp_reader.presentation.categories import Words, categories, distinct_texts
from mlxp_reader.presentation.plot_style import is_numeric, spans_decades

Numbers = npt.NDArray[np.float64]

_GAP = 0.18
"""How far beside the numbers None stands, as a share of their range."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Where values stand.

    Attributes
    ----------
    places
        The place of each value.
    is_joined
        Whether a line may go through each value, because it is a number on a scale.
    is_log
        Whether the scale is logarithmic.
    ticks
        The places that need a text, and their texts; there are none if the numbers speak for themselves.
    """

    places: Numbers
    is_joined: npt.NDArray[np.bool_]
    is_log: bool
    ticks: dict[float, str]

    @property
    def is_row(self) -> bool:
        """Whether the values stand in a row."""
        return not self.is_joined.any() and bool(len(self.places))

    def heights(self) -> Numbers:
        """Return the places as shares of the axis, from 0 to 1; all in the middle if there is only one."""
        return self.shares(self.places)

    def shares(self, places: Any) -> Numbers:
        """Return some places as shares of the axis."""
        mine, wanted = (np.log10(one) if self.is_log else one for one in (self.places, np.asarray(places, np.float64)))
        low, size = (mine.min(), np.ptp(mine)) if len(mine) else (0.0, 0.0)
        return np.asarray((wanted - low) / size if size else np.full(len(wanted), 0.5))


def scale(key: str, values: Sequence[Any], words: Words, log: bool | None = None, *, row: bool = False) -> Scale:
    """Return where the values of a key stand.

    Parameters
    ----------
    log
        Whether the scale is logarithmic; by default, it is if positive numbers span two decades.
    row
        Whether numbers stand in a row, too.

    Raises
    ------
    InvalidKeyError
        If a logarithmic scale is wanted, but there are no positive numbers.
    """
    different = list({rank(value): value for value in values}.values())
    numbers = [value for value in different if is_numeric([value]) and np.isfinite(value)]
    positive = [number for number in numbers if number > 0]
    # Zero has no place on a logarithmic scale: like None, it stands beside it.
    is_log = log if log is not None else spans_decades(positive) and min(numbers) >= 0
    if is_log and (not positive or min(numbers) < 0):
        raise InvalidKeyError(f"a logarithmic axis cannot show the values of {words.key(key)}: some are negative")
    on_scale = positive if is_log else numbers
    others = [value for value in different if rank(value) not in set(map(rank, on_scale))]
    are_beside = all(is_missing(value) or is_numeric([value]) for value in others)
    is_row = row or words.wanted(key) is not None or not on_scale or not are_beside or (others and len(on_scale) < 2)
    if is_row:
        return _in_a_row(key, values, words)
    return _on_a_scale(values, on_scale, others, is_log, words)


def _in_a_row(key: str, values: Sequence[Any], words: Words) -> Scale:
    found = categories([key], [(value,) for value in values], words)
    places = np.array([found.place((value,)) for value in values], dtype=np.float64)
    ticks = {float(at): text for at, text in enumerate(found.texts)}
    return Scale(places, np.zeros(len(places), dtype=np.bool_), is_log=False, ticks=ticks)


def _on_a_scale(values: Sequence[Any], numbers: list[float], others: list[Any], is_log: bool, words: Words) -> Scale:
    edges = np.array([min(numbers), max(numbers)], dtype=np.float64)
    low, high = np.log10(edges) if is_log else edges
    gap = _GAP * ((high - low) or 1.0)
    below = sorted((value for value in others if is_numeric([value]) and value <= 0), key=rank)
    above = sorted((value for value in others if rank(value) not in set(map(rank, below))), key=rank)
    beside = {rank(value): low - gap * (len(below) - at) for at, value in enumerate(below)}
    beside |= {rank(value): high + gap * (1 + at) for at, value in enumerate(above)}
    beside = {one: float(10**place if is_log else place) for one, place in beside.items()}
    places = np.array([beside.get(rank(value), value) for value in values], dtype=np.float64)
    is_joined = np.array([rank(value) not in beside for value in values], dtype=np.bool_)
    return Scale(places, is_joined, is_log, _ticks(numbers, [*below, *above], beside, words))


def _ticks(numbers: list[float], others: list[Any], beside: dict[Any, float], words: Words) -> dict[float, str]:
    if not others:
        return {}
    ordered = sorted(numbers)
    few = ordered if len(ordered) <= 8 else [ordered[at] for at in np.linspace(0, len(ordered) - 1, 5).astype(int)]
    values = [*few, *others]
    texts = [words.name(value, text) for value, text in zip(values, distinct_texts(values), strict=True)]
    places = [*map(float, few), *(beside[rank(value)] for value in others)]
    return dict(zip(places, texts, strict=True))
