"""Spells the values of a sweep as the user wrote them: ``lr=10.,1.`` is ``lr=10.`` and ``lr=1.``, not ``lr=10.0``."""

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override

_PAIRS = {"(": ")", "[": "]", "{": "}"}


def spelled_values(override: Override) -> list[str]:
    """Return the values of a sweep in Hydra's grammar: as written if they are listed, or else as Hydra prints them."""
    printed = list(override.sweep_string_iterator())
    sweep = override.value()
    if not isinstance(sweep, ChoiceSweep) or not sweep.simple_form or sweep.shuffle or sweep.tags:
        return printed
    written = [part.strip() for part in _parts(str(override.input_line).partition("=")[2])]
    return written if len(written) == len(printed) and _are_equal(written, printed) else printed


def _are_equal(written: list[str], printed: list[str]) -> bool:
    differing = [pair for pair in zip(written, printed, strict=True) if pair[0] != pair[1]]
    if not differing:  # parsing takes long
        return True
    parsed = OverridesParser.create().parse_overrides([f"value={text}" for pair in differing for text in pair])
    values = [repr(override.value()) for override in parsed]
    return values[::2] == values[1::2]


def _parts(text: str) -> list[str]:
    """Split at the commas outside brackets and quotes.

    Examples
    --------
    >>> _parts("[1,2],{a: 'x,y'},3.")
    ['[1,2]', "{a: 'x,y'}", '3.']
    """
    parts = [""]
    closing: list[str] = []
    escaped = False
    for character in text:
        if closing and closing[-1] in "'\"":
            if character == closing[-1] and not escaped:
                closing.pop()
        elif character in "'\"":
            closing.append(character)
        elif character in _PAIRS:
            closing.append(_PAIRS[character])
        elif closing and character == closing[-1]:
            closing.pop()
        escaped = character == "\\" and not escaped
        parts[-1] += character
        if character == "," and not closing:
            parts[-1] = parts[-1][:-1]
            parts.append("")
    return parts
