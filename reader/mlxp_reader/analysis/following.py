"""Keys that only follow others: an output directory that holds the seed, or a copy of the seed, makes no setting."""

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from mlxp_reader.analysis.settings import group_numbers
from mlxp_reader.columns.cells import is_missing
from mlxp_reader.columns.runs import Runs


def following(frame: Runs | pd.DataFrame, over: Sequence[str], by: Sequence[str], varying: Sequence[str]) -> list[str]:
    """Return those of the keys `varying` that only follow the keys `over`.

    These are texts that, among the runs which have the other keys and the keys `by` in common, differ in nothing but
    the values of `over` within them, and copies of these values.

    Examples
    --------
    >>> runs = pd.DataFrame({"seed": [1, 2], "out": ["run-1", "run-2"], "lr": [0.1, 0.2]})
    >>> following(runs, ["seed"], [], ["out", "lr"])
    ['out']
    """
    if not over:
        return []
    by_run = zip(*(frame[key] for key in over), strict=True)
    seeds = [[text for seed in mine if not is_missing(seed) and (text := str(seed))] for mine in by_run]
    texts = {key: list(map(_text, frame[key], seeds)) for key in varying}
    candidates = {key: [text for text in found if text] for key, found in texts.items() if all(found)}
    groups = group_numbers(frame, [*by, *(key for key in varying if key not in candidates)]).tolist()
    return [key for key, found in candidates.items() if _are_alike(found, seeds, groups)]


def _text(value: Any, seeds: list[str]) -> str | None:
    """Return a text that holds one of the seeds, or a copy of one of them."""
    if isinstance(value, str):
        return value if any(seed in value for seed in seeds) else None
    return str(value) if str(value) in seeds else None


def _are_alike(texts: list[str], seeds: list[list[str]], groups: list[int]) -> bool:
    """Tell whether all texts of a group are its first one with other seeds: each seed in it may have changed or not."""
    firsts: dict[int, tuple[re.Pattern[str], list[str]]] = {}
    for text, mine, group in zip(texts, seeds, groups, strict=True):
        if group not in firsts:
            # What stands before, between and after the seeds, alternating with these; a number is not part of another.
            parts = re.split(rf"(?<![0-9])({'|'.join(map(re.escape, mine))})(?![0-9])", text)
            firsts[group] = re.compile("(.+?)".join(map(re.escape, parts[::2]))), parts[1::2]
        form, before = firsts[group]
        now = form.fullmatch(text)
        if not before or not now or any(new not in {old, *mine} for old, new in zip(before, now.groups(), strict=True)):
            return False
    return True
