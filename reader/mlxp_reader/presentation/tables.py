"""Tables of runs as text."""

from typing import Any

from mlxp.errors import InvalidKeyError
from mlxp.run_directory.printable import printable
from mlxp_reader.columns.asked_values import named_column
from mlxp_reader.columns.cells import is_missing
from mlxp_reader.columns.keys import shown
from mlxp_reader.columns.missing import IS_ABSENT, IS_NULL, TEXTS, exact_values, kind_of
from mlxp_reader.columns.runs import Runs

_STATUS = "info.status"

_LONGEST = 200
"""The longest text of a cell."""

_FOR_PROGRAMS = ("tsv",)
"""The formats in which nothing is cut."""


def to_table(frame: Runs, columns: list[str] | None, tablefmt: str, **options: Any) -> str:
    """Return some columns of a frame of runs as a text table; see `DataFrame.to_table`."""
    from tabulate import tabulate

    check_format(tablefmt)
    names = _default_columns(frame) if columns is None else list(columns)
    filled = [_column(frame, name, tablefmt) for name in names]
    cells = [column for column, _ in filled]
    # tabulate takes texts that look like numbers for numbers: '007' would become 7.
    texts = [at for at, column in enumerate(cells) if any(isinstance(value, str) for value in column)]
    rows = list(zip(*cells, strict=True))
    options["headers"] = [printable(str(head)) for head in options.get("headers", names)]
    digits = [_digits(frame, name, column) for name, column in zip(names, cells, strict=True)]
    options = {"missingval": [nothing for _, nothing in filled], **options}
    return tabulate(rows, **{"tablefmt": tablefmt, "disable_numparse": texts, "floatfmt": digits, **options})


def check_format(tablefmt: Any) -> None:
    """Raise an error if `tabulate`, which takes any name, does not know a format.

    Raises
    ------
    InvalidKeyError
        If it does not; the message names the formats that there are.
    """
    from tabulate import tabulate_formats

    if isinstance(tablefmt, str) and tablefmt not in tabulate_formats:
        raise InvalidKeyError(f"there is no table format '{tablefmt}'; there are {', '.join(tabulate_formats)}")


def _default_columns(frame: Runs) -> list[str]:
    return [*frame.diff(), *([_STATUS] if _STATUS in frame.columns else [])] or list(frame.columns)


def _column(frame: Runs, name: str, tablefmt: str) -> tuple[list[Any], str]:
    """Return the cells of a column, None for what is missing, and the text that stands for None."""
    values = exact_values(named_column(frame, name, wants="anything"))
    nothing = {IS_ABSENT: "" if tablefmt in _FOR_PROGRAMS else TEXTS[IS_ABSENT], IS_NULL: TEXTS[IS_NULL]}
    kinds = list(map(kind_of, values))
    cells = [_cell(value, tablefmt) for value in values]
    here = sorted(nothing.keys() & kinds)
    if len(here) > 1:  # tabulate has one text for all that is missing in a column
        return [nothing.get(kind, shown(cell)) for cell, kind in zip(cells, kinds, strict=True)], ""
    there = [None if kind in here else cell for cell, kind in zip(cells, kinds, strict=True)]
    return there, nothing[here[0]] if here else ""


def _digits(frame: Runs, name: str, column: list[Any]) -> str:
    """Return the format of the numbers of a column; for a key, it has as many digits as tell its values apart."""
    numbers = {value for value in column if isinstance(value, float) and not is_missing(value)}
    is_key = name in frame.columns
    return ".15g" if is_key and len({f"{number:g}" for number in numbers}) < len(numbers) else "g"


def _cell(value: Any, tablefmt: str) -> Any:
    """Return a value as `tabulate` can show it; a text that no person would read to its end is cut.

    In Markdown, neither a line break nor a bar may end the cell.
    """
    if not isinstance(value, str | list | dict):
        return value
    if tablefmt not in _FOR_PROGRAMS:
        text = str(value)
        value = f"{text[: _LONGEST - 1]}…" if len(text) > _LONGEST else value
    if not isinstance(value, str):
        return value
    value = printable(value)
    return " ".join(value.split("\n")).replace("|", r"\|") if tablefmt in {"github", "pipe"} else value
