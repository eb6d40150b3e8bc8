"""Numbers for running text: a value with its runs, and a file of LaTeX macros that can be verified."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlxp.errors import InvalidKeyError
from mlxp_reader.analysis.run_numbers import numbers_of
from mlxp_reader.analysis.seed_statistics import SPREADS, spread
from mlxp_reader.analysis.seeds import seed_groups
from mlxp_reader.columns.keys import as_names, resolve_columns
from mlxp_reader.evidence.cells import Question
from mlxp_reader.evidence.notes import part_of, write_note
from mlxp_reader.presentation.table_formats import in_latex


class Value(str):
    """A number as text, which knows the runs behind it; `mlxp.numbers` writes it."""

    __slots__ = ("part",)
    part: dict[str, Any] | None


def value(frame: Any, what: str, query: str = "", *, over: str | Sequence[str] = (), fmt: str = "{mean:.4g}") -> Value:
    """Return a mean over runs as text, for a sentence in a paper.

    Parameters
    ----------
    what
        A statistic of a metric such as ``"test.acc.last"``, or a column of numbers.
    query
        A query that chooses runs; by default all count.
    over
        The keys in which these runs differ, such as ``"seed"``.
    fmt
        The format, such as ``"{mean:.1f} ± {std:.1f}"`` with any of the statistics of `SeedGroups.aggregate`.

    Returns
    -------
    str
        The text. It remembers its runs, so `mlxp.numbers` can write a note about them.

    Raises
    ------
    InvalidKeyError
        If there is no such value or format, no run matches, or the runs differ in another key.

    Examples
    --------
    >>> from mlxp_reader import DataFrame
    >>> runs = DataFrame({"config.model": ["a", "a", "b"], "config.seed": [1, 2, 1], "acc": [0.5, 0.7, 0.9]})
    >>> runs.value("acc", "model == 'a'", over="seed", fmt="{mean:.2f} (n={count})")
    '0.60 (n=2)'
    """
    runs = frame.filter(query) if query else frame
    if not len(runs):
        raise InvalidKeyError(f"no run matches {query!r}" if query else "there is no run")
    names = as_names(over)
    if not names and len(runs) > 1:
        raise InvalidKeyError(
            f"{len(runs)} runs match: name what they differ in, such as over='seed', or fewer of them"
        )
    if names:
        seed_groups(runs, names, by=[])
    numbers = numbers_of(runs, what)
    found = spread(numbers[:, None], [name for name in SPREADS if name != "bootstrap"])
    told = {name: (int(of[0]) if name == "count" else float(of[0])) for name, of in found.items()}
    try:
        text = fmt.format(**told)
    except (KeyError, ValueError, IndexError) as error:
        known = ", ".join(told)
        raise InvalidKeyError(
            f"{fmt!r} is not a format of a value, such as '{{mean:.1f}}': {error}; there are {known}"
        ) from error
    shown = Value(text)
    shown.part = part_of(runs, "value", Question([what], [], resolve_columns(runs, names)), fmt=fmt, where=query)
    return shown


class Numbers:
    r"""A file of LaTeX macros, one for each number of a text; written whenever one is set.

    Parameters
    ----------
    path
        The file, for ``\input``. Beside it is a note, by which ``mlxp verify`` recomputes the numbers.

    Examples
    --------
    >>> import tempfile
    >>> from mlxp_reader import DataFrame, numbers
    >>> macros = numbers(tempfile.mkdtemp() + "/numbers.tex")
    >>> macros["bestAcc"] = DataFrame({"config.seed": [1], "acc": [0.9]}).value("acc", fmt="{mean:.2f}")
    >>> print(macros.path.read_text(), end="")
    \newcommand{\bestAcc}{0.90}
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._values: dict[str, Value] = {}

    def __setitem__(self, name: str, number: Value) -> None:
        """Define a macro.

        Raises
        ------
        InvalidKeyError
            If LaTeX does not allow the name, or if the number is not from `value`.
        """
        if not re.fullmatch("[a-zA-Z]+", name):
            raise InvalidKeyError(f"a macro of LaTeX has a name of letters only, such as bestAcc, not {name!r}")
        if not isinstance(number, Value):
            raise InvalidKeyError(
                f"{name} is {number!r}: take a number from runs.value(...), so that it can be verified"
            )
        self._values[name] = number
        lines = [rf"\newcommand{{\{known}}}{{{_latex(text)}}}" for known, text in self._values.items()]
        self.path.write_text("\n".join([*lines, ""]), encoding="utf-8")
        write_note(self.path, [one.part and {**one.part, "name": known} for known, one in self._values.items()])


def _latex(text: str) -> str:
    """Return a text that LaTeX shows as it is, also within a formula."""
    return re.sub(r"(?<!\\)\$([^$]+)\$", r"\\ensuremath{\1}", in_latex(text))


def numbers(path: str | os.PathLike[str]) -> Numbers:
    """Return a file of LaTeX macros for the numbers in a text, which ``mlxp verify`` recomputes; see `Numbers`."""
    return Numbers(path)
