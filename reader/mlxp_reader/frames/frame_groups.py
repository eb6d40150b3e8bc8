"""The groups of one frame: pandas finds them, and each becomes a frame of its own when it is used."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from mlxp_reader.frames.frame import DataFrame
from mlxp_reader.frames.groups import GroupedDataFrame, Key, as_key, indexed
from mlxp_reader.query.names import Asked


class FrameGroups(GroupedDataFrame[DataFrame]):
    """What `DataFrame.groupby` returns.

    Parameters
    ----------
    frame
        The runs.
    groups
        What pandas' own `groupby` returned for them.

    Examples
    --------
    >>> groups = DataFrame({"config.act": ["relu", None, None]}).groupby("config.act")
    >>> {key: len(group) for key, group in groups.items()}
    {('relu',): 1, (None,): 2}
    """

    def __init__(self, frame: DataFrame, groups: Any) -> None:
        super().__init__([str(name) for name in groups._grouper.names], {})  # noqa: SLF001 - has no public name
        self._frame = frame
        self._pandas = groups
        self._labels_are_of_runs = True

    @cached_property
    def _found(self) -> dict[Key, DataFrame]:
        return {as_key(key): group for key, group in self._pandas}

    @property
    def grouped_dict(self) -> dict[Key, DataFrame]:
        """The groups by the values of the columns; a missing value is None, which forms a group like any other."""
        return self._found

    def as_pandas(self) -> Any:
        """Return the groups as pandas has them."""
        return self._pandas

    def __getitem__(self, key: Any) -> Any:
        """Return the group with these values, or, for names of columns, pandas' groups of these columns."""
        if isinstance(key, tuple) and as_key(key) in self._frame.columns:
            return self._pandas[key]
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[tuple[Any, DataFrame]]:
        for key, group in self._pandas:
            yield as_key(key) if isinstance(key, tuple) else as_key(key)[0], group

    def __len__(self) -> int:
        return int(self._pandas.ngroups)  # pandas 2 cannot take the length of groups of what is missing

    def ungroup(self) -> DataFrame:
        """Return the runs, one group after the other, with their labels."""
        return self._in_order() if self._is_by_columns() else super().ungroup()

    def toPandas(self, lazy: bool = True) -> pd.DataFrame:  # noqa: N802 - MLXP's name
        """Return a plain `pandas.DataFrame` whose index names the groups; see `DataFrame.toPandas`."""
        if not self._is_by_columns():
            return super().toPandas(lazy=lazy)
        runs = self._in_order()
        values = [runs[name].array for name in self.group_keys]
        return indexed(runs.toPandas(lazy=lazy), self.group_keys, values)

    def _is_by_columns(self) -> bool:
        """Tell whether the frame was grouped by columns of its own."""
        return all(name in self._frame.columns for name in self.group_keys)

    def _in_order(self) -> Any:
        number = self._pandas.ngroup().to_numpy()
        order = np.argsort(number, kind="stable")
        return self._frame.iloc[order[number[order] >= 0]]  # without those that pandas was told to leave out

    def _loaded_together(self) -> list[DataFrame]:
        return [self._frame]

    def of_columns(self, names: set[str]) -> GroupedDataFrame[DataFrame]:
        """Return the groups with these columns only, since fewer columns are put together faster."""
        if not self._is_by_columns() or "_found" in self.__dict__:
            return self
        # A statistic is computed from its metric.
        asked = [Asked.of(name, self._frame.columns) for name in names if name not in self._frame.columns]
        if any(one.takes_steps for one in asked):
            return self
        needed = {*names.intersection(self._frame.columns), *(one.metric for one in asked)}
        frame = self._frame[list({*self.group_keys, *needed})]
        pandas = self._pandas
        groups = pd.DataFrame.groupby(
            frame, self.group_keys, dropna=pandas.dropna, observed=pandas.observed, sort=pandas.sort
        )
        return FrameGroups(frame, groups)

    def sample(self) -> DataFrame:
        """Return a frame that has the columns of the groups."""
        return self._frame
