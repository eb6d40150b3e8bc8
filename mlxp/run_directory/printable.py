r"""Makes the text of a run safe to show: what a run has logged must not command the terminal of whoever looks at it.

An escape sequence in a configuration, a reason or a traceback could set the window's title, clear the screen or write
over other lines. Each such character is shown as Python escapes it, such as ``\x1b``.
"""

import re

# Control characters but for tab and newline, halves of surrogate pairs, separators of lines, marks that turn the
# direction of the text around them, and characters without width, but for those that join the parts of others.
_COMMANDS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]"
)


def printable(text: str) -> str:
    r"""Return `text` with each character escaped that a terminal takes for a command; the lines stay the same.

    Examples
    --------
    >>> printable("a\x1b]0;title\x07b")
    'a\\x1b]0;title\\x07b'
    >>> printable("naïve 日本\n\tline") == "naïve 日本\n\tline"
    True
    """
    return text if text.isascii() and text.isprintable() else _COMMANDS.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def printable_json(text: str) -> str:
    r"""Return the JSON `text` without such characters; its meaning stays the same.

    Examples
    --------
    >>> printable_json('"a\x9b"')
    '"a\\u009b"'
    """
    return _COMMANDS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
