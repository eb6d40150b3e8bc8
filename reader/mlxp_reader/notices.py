"""What users should know about a result although it is not an error: a warning that shows the user's own line."""

import sys
import warnings

__all__ = ["notice"]

_PACKAGES = ("mlxp_reader", "mlxp", "pandas")


def notice(message: str) -> None:
    """Warn about something, and point to the line outside this package that asked for it."""
    level, frame = 1, sys._getframe()  # noqa: SLF001 - what `warnings` itself uses; see skip_file_prefixes of Python 3.12
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _PACKAGES:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


def some(things: "list[object] | list[int] | list[str]", most: int = 5) -> str:
    """Return the first few of `things`, written as in a sentence.

    Examples
    --------
    >>> some([1, 2, 3, 4, 5, 6, 7])
    '1, 2, 3, 4, 5, ... (7 in all)'
    """
    shown = ", ".join(map(str, things[:most]))
    return f"{shown}, ... ({len(things)} in all)" if len(things) > most else shown
