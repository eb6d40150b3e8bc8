"""Keys that only follow others: an output directory that holds the seed, or a copy of the seed, makes no setting."""

import re
from collections.abc import Sequence
from typing import Any

from mlxp_reader.analysis.settings import RunSettings
from mlxp_reader.columns.cells import is_missing


def following(settings: RunSettings, over: Sequence[str], by: Sequence[str], varying: Sequence[str]) -> list[str]:
    """Return the keys among `varying` that only follow the keys `over`.

    Such keys are copies of the values of `over`, or texts that differ in nothing but these values within them. Only
    runs that have the other keys and the keys `by` in common are compared.

    Examples
    --------
    >>> import pandas as pd
    >>> runs = pd.DataFrame({"seed": [1, 2], "out": ["run-1", "run-2"], "lr": [0.1, 0.2]})
    >>> following(RunSettings(runs), ["seed"], [], ["out", "lr"])
    ['out']
    """
    if not over:
        return []
    by_run = zip(*map(settings.values, over), strict=True)
    seeds = [[text for seed in mine if not is_missing(seed) and (text := str(seed))] for mine in by_run]
    found = {key: _texts(settings.values(key), seeds) for key in varying}
    candidates = {key: texts for key, texts in found.items() if texts is not None}
    groups = settings.groups([*by, *(key for key in varying if key not in candidates)]).tolist()
    return [key for key, texts in candidates.items() if _are_alike(texts, seeds, groups)]


def _texts(values: Sequence[Any], seeds: list[list[str]]) -> list[str] | None:
    """Return the values of all runs as texts that hold a seed; None if one of them does not."""
    texts = []
    for value, mine in zip(values, seeds, strict=True):
        text = _text(value, mine)
        if not text:
            return None
        texts.append(text)
    return texts


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
