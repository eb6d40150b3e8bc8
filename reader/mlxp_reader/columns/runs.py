"""What code that computes or draws something from a frame of runs expects of it."""

from typing import TYPE_CHECKING, Any, Protocol, Self, overload

import pandas as pd

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Runs(Protocol):
    """Runs, one per row, with their configuration, info and metrics as columns; `mlxp_reader.DataFrame` is one."""

    @property
    def columns(self) -> "pd.Index[Any]":
        """The names of the columns."""

    @property
    def index(self) -> "pd.Index[Any]":
        """The labels of the rows."""

    @property
    def dtypes(self) -> "pd.Series[Any]":
        """The type of each column."""

    def __len__(self) -> int: ...

    @overload
    def __getitem__(self, key: str) -> "pd.Series[Any]": ...
    @overload
    def __getitem__(self, key: list[str]) -> pd.DataFrame: ...
    @overload
    def __getitem__(self, key: "npt.NDArray[np.bool_]") -> Self: ...
    def __getitem__(self, key: Any) -> Any:
        """Return one column, several, or the runs for which a mask is true."""

    def diff(self) -> list[str]:
        """Return the keys of the configuration that vary."""

    def configuration_keys(self) -> list[str]:
        """Return the columns that are keys of the configuration."""
