"""One run of a frame."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from mlxp.run_directory.printable import printable
from mlxp_reader.columns.asked_values import named_column
from mlxp_reader.columns.cells import CellArray, is_missing
from mlxp_reader.columns.keys import shown
from mlxp_reader.columns.missing import IS_NULL, exact_values, kind_of
from mlxp_reader.columns.plain_values import plain


class Run(Mapping[str, Any]):
    """One run of a frame: its values by name, loaded on access.

    Its keys are the full names of the columns. Short names and statistics can be looked up, too.

    Examples
    --------
    >>> from mlxp_reader import DataFrame
    >>> run = DataFrame({"config.lr": [0.1, 1.0], "config.seed": [1, 2]})[0]
    >>> run["config.seed"], dict(run)
    (1, {'config.lr': 0.1, 'config.seed': 1})
    """

    def __init__(self, frame: pd.DataFrame, row: int) -> None:
        self._frame = frame
        self._row = row

    def __getitem__(self, name: str) -> Any:
        if name in self._frame.columns:
            column = self._frame[name].iloc[[self._row]]
        else:
            column = named_column(self._frame.iloc[[self._row]], name, wants="anything")
        value = column.iloc[0]
        return None if value is pd.NA or kind_of(value) == IS_NULL else plain(value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._frame.columns)

    def __len__(self) -> int:
        return len(self._frame.columns)

    def __repr__(self) -> str:
        return printable(repr(self._frame.iloc[self._row]))

    def _repr_html_(self) -> str:
        texts = [_text(self._frame[name].iloc[[self._row]]) for name in self]
        html: str = pd.DataFrame({"": texts}, index=pd.Index(list(self)))._repr_html_()  # type: ignore[operator]  # as below
        return html


def _text(column: "pd.Series[Any]") -> str:
    """Return the only value of a column as a frame shows it: nothing is loaded."""
    (value,), array = exact_values(column), column.array
    if is_missing(value) or not isinstance(array, CellArray):
        return shown(value)
    return str(array._formatter()(value))  # type: ignore[attr-defined]  # noqa: SLF001 - as pandas does
