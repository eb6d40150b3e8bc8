"""How the numbers of a table's cell are written: a format given by users, or one that fits the spread."""

import math
import string
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mlxp.errors import InvalidKeyError
from mlxp_reader.analysis.seed_statistics import SPREADS
from mlxp_reader.columns.missing import IS_ABSENT, TEXTS, kind_of

Numbers = npt.NDArray[np.float64]


_MOST_DECIMALS = 8
_LARGE = 1e10
"""From here on, and with more decimals, numbers are written with an exponent."""


def decimals_of(spread: float) -> int:
    """Return how many decimals the spread of a value leaves certain, by the rule of the Particle Data Group.

    Of the spread, two digits are shown if its first three are at most 354, else one.

    References
    ----------
    Particle Data Group, *Review of Particle Physics*, section 5.3 of the introduction.

    Examples
    --------
    >>> decimals_of(0.00396), decimals_of(0.0123), decimals_of(0.97), decimals_of(28.3)
    (3, 3, 1, 0)
    """
    exponent = math.floor(math.log10(spread))
    digits = round(spread / 10 ** (exponent - 2))
    return max(0, 1 - exponent if digits <= 354 else -exponent)


def format_with(decimals: int | None, mean: float = 0.0) -> str:
    """Return a format with so many decimals; without any, of single runs, one with four digits."""
    if decimals is None:
        return "{mean:.4g}"
    if decimals > _MOST_DECIMALS or abs(mean) >= _LARGE:
        return "{mean:.4g} ± {std:.2g}"
    return f"{{mean:.{decimals}f}} ± {{std:.{decimals}f}}"


def fitting(numbers: Mapping[str, Numbers]) -> int | None:
    """Return how many decimals the typical spread of some cells leaves certain; None if there is no spread."""
    spreads = numbers["std"]
    known = spreads[np.isfinite(spreads) & (spreads > 0)]
    return decimals_of(float(np.median(known))) if len(known) else None


def fields_of_format(form: str | None) -> list[str]:
    """Return the statistics that a cell's format names."""
    try:
        parts = [(field, spec) for _, field, spec, _ in string.Formatter().parse(form or "") if field is not None]
        for field, spec in parts:
            format(1 if field == "count" else 1.0, spec or "")
    except ValueError as error:
        raise InvalidKeyError(
            f"{form!r} is not a format of a cell, such as '{{mean:.1f}} ± {{std:.1f}}': {error}"
        ) from error
    for field, _ in parts:
        if field not in SPREADS or field == "bootstrap":
            known = ", ".join(name for name in SPREADS if name != "bootstrap")
            raise InvalidKeyError(f"'{{{field}}}' is not a field of a cell's format; there are {known}")
    return [field for field, _ in parts]


def formatted(form: str, numbers: Mapping[str, float]) -> str:
    """Return a cell's text; for a single run, which has no spread, only what comes before it."""
    if not numbers["count"]:
        kind = kind_of(numbers["mean"])
        return "" if kind == IS_ABSENT else TEXTS[kind]
    text = ""
    for before, field, spec, _ in string.Formatter().parse(form):
        if field is not None and math.isnan(numbers[field]):
            return text.rstrip(" ±([{,")
        number = int(numbers["count"]) if field == "count" else numbers.get(field or "", math.nan)
        text += before + (format(number, spec or "") if field is not None else "")
    return text
