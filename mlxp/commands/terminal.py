"""How the command ``mlxp`` prints: in colour for people, as JSON for programs, and with one-line notices."""

import contextlib
import json
import logging
import math
import os
import re
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from mlxp.run_directory.printable import printable, printable_json
from mlxp.run_directory.status import Status

_COLOURS: dict[str, str] = {
    Status.COMPLETE: "32",
    Status.RUNNING: "36",
    Status.STARTING: "36",
    Status.SUBMITTED: "34",
    Status.PREPARED: "33",
    Status.LOST: "33",
}
"""Colours of a terminal by status; every other status is red."""


def has_colours() -> bool:
    """Tell whether the output goes to a terminal whose user has not set NO_COLOR."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def coloured(status: str, width: int = 0) -> str:
    """Return a status in its colour, padded to `width`."""
    text = printable(f"{status:<{width}}")
    return f"\033[{_COLOURS.get(status, '31')}m{text}\033[0m" if has_colours() else text


_COLOUR = re.compile(r"(\033\[(?:0|1|3[1-6])m)")


def harmless(text: str) -> str:
    r"""Return `text` with everything escaped that a terminal obeys, but for the colours of this module.

    Examples
    --------
    >>> harmless("\033[31mFAILED\033[0m \033[2J") == "\033[31mFAILED\033[0m \\x1b[2J"
    True
    """
    return "".join([part if _COLOUR.fullmatch(part) else printable(part) for part in _COLOUR.split(text)])


def bold(text: str) -> str:
    """Return a heading in bold, where there are colours."""
    return f"\033[1m{text}\033[0m" if has_colours() else text


def plain(value: Any) -> Any:
    """Return a value of a run in JSON's terms: what is absent has no key, and NaN and infinity are texts.

    Examples
    --------
    >>> plain({"lr": 0.1, "loss": float("nan"), "layers": [64, None]})
    {'lr': 0.1, 'loss': 'nan', 'layers': [64, None]}
    """
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items() if not _is_absent(one)}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    if hasattr(value, "item"):  # a number of numpy
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return None if _is_absent(value) else str(value)


def _is_absent(value: Any) -> bool:
    # Without importing pandas, whose value it is, since most commands need none of it.
    return not isinstance(value, str) and str(value) in {"<NA>", "NaT"}


def as_json(value: Any) -> str:
    """Return a value as JSON that every program can read."""
    return printable_json(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False))


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


@contextlib.contextmanager
def notices_in_lines() -> Iterator[None]:
    """Print warnings and log messages as one line each on the error stream, without their place in the code."""

    def show(message: Warning | str, *_: object) -> None:
        print(f"mlxp: {printable(str(message))}", file=sys.stderr)

    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter("mlxp: %(message)s"))
    logger = logging.getLogger("mlxp")
    logger.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = show  # type: ignore[assignment]  # takes more than it needs
            yield
    finally:
        logger.removeHandler(handler)
