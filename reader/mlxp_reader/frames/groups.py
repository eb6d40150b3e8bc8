"""Groups of runs: what `DataFrame.groupby` returns, MLXP's verbs on top of pandas' groups.

By composition: `keys`, `sort` and `group_keys` mean other things to pandas' own class. What is not MLXP's is passed on
to pandas.
"""

from collections.abc import ItemsView, Iterator, KeysView, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mlxp.errors import InvalidKeyError
from mlxp_reader.columns.cells import is_missing
from mlxp_reader.columns.mixed import MixedArray
from mlxp_reader.frames import maps
from mlxp_reader.frames.frame import DataFrame

Key = tuple[Any, ...]


class GroupedDataFrame:
    """Frames of runs by the values of some columns.

    Parameters
    ----------
    group_keys
        The names of these columns.
    grouped_dict
        The groups by these values, which are always a tuple.

    Examples
    --------
    >>> runs = DataFrame({"config.lr": [0.1, 1.0, 1.0], "config.seed": [1, 1, 2]})
    >>> groups = runs.groupby(["config.lr"])
    >>> list(groups.keys()), len(groups[(1.0,)])
    ([(0.1,), (1.0,)], 2)
    >>> groups["config.seed"].sum().tolist()
    [1, 3]
    """

    def __init__(self, group_keys: Sequence[str], grouped_dict: dict[Key, Any]) -> None:
        self.group_keys = list(group_keys)
        self._groups: dict[Key, Any] | None = dict(grouped_dict)
        self._frame: pd.DataFrame | None = None
        self._pandas: Any = None

    @classmethod
    def of(cls, frame: pd.DataFrame, groups: Any) -> "GroupedDataFrame":
        """Return the groups that pandas made of `frame`."""
        grouped = cls([str(name) for name in groups._grouper.names], {})  # noqa: SLF001 - has no public name
        grouped._groups, grouped._frame, grouped._pandas = None, frame, groups
        return grouped

    @property
    def grouped_dict(self) -> dict[Key, Any]:
        """The groups by the values of the columns; a missing value is None."""
        if self._groups is None:
            self._groups = self._found_groups()
        return self._groups

    def _found_groups(self) -> dict[Key, Any]:
        frame = self._frame_by_columns()
        groups = self._pandas if frame is None else self._by_columns(frame)
        return {_as_key(key): group for key, group in groups}

    def _frame_by_columns(self) -> pd.DataFrame | None:
        """Return the frame that was grouped, if it was by columns of its own."""
        frame = self._frame
        return frame if frame is not None and all(name in frame.columns for name in self.group_keys) else None

    def _by_columns(self, frame: pd.DataFrame) -> Any:
        # pandas leaves out the runs without a value, unless it is told not to.
        return pd.DataFrame.groupby(frame, self.group_keys, dropna=False, observed=True, sort=self._pandas.sort)

    @property
    def group_vals(self) -> list[Key]:
        """The values of the columns, one tuple per group."""
        return list(self.grouped_dict)

    @property
    def groups_size(self) -> int:
        """How many groups there are."""
        return len(self.grouped_dict)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in {"_pandas", "_groups", "_frame"}:
            raise AttributeError(name)
        return getattr(self._as_pandas(), name)

    def _as_pandas(self) -> Any:
        if self._pandas is None:
            self._pandas = pd.DataFrame(self.ungroup()).groupby(self.group_keys, dropna=False)
        return self._pandas

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(pd.api.typing.DataFrameGroupBy)})

    def __getitem__(self, key: Any) -> Any:
        """Return the group with these values, or, for names of columns, pandas' groups of these columns."""
        normal = _as_key(key)
        if not isinstance(key, tuple) or (self._frame is not None and normal in self._frame.columns):
            return self._as_pandas()[key]
        if normal not in self.grouped_dict:
            raise InvalidKeyError(f"there is no group {key}; there are {_some(self.group_vals)}")
        return self.grouped_dict[normal]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._pandas) if self._frame is not None else iter(self.grouped_dict.items())

    def __len__(self) -> int:
        return len(self._pandas) if self._groups is None else len(self._groups)

    def __repr__(self) -> str:
        return repr(self.toPandas())

    def _repr_html_(self) -> str:
        return self.toPandas().to_html()

    def keys(self) -> KeysView[Key]:
        """Return the values of the columns, one tuple per group."""
        return self.grouped_dict.keys()

    def items(self) -> ItemsView[Key, Any]:
        """Return the groups with the values of the columns."""
        return self.grouped_dict.items()

    def select(self, key_list: Any) -> "GroupedDataFrame":
        """Return the groups whose values are in `key_list`."""
        wanted = {_as_key(key) for key in key_list}
        return GroupedDataFrame(self.group_keys, {key: group for key, group in self.items() if key in wanted})

    def ungroup(self) -> Any:
        """Return all groups as one frame, in which the values that they were grouped by are columns."""
        if (frame := self._frame_by_columns()) is not None:
            return self._in_order(frame).reset_index(drop=True)
        if all(isinstance(group, GroupedDataFrame) for group in self.grouped_dict.values()) and self.grouped_dict:
            return GroupedDataFrame(self.group_keys, {key: group.ungroup() for key, group in self.items()})
        frames = [self._with_keys(group, key) for key, group in self.items()]
        return pd.concat(frames, ignore_index=True) if frames else DataFrame(columns=pd.Index(self.group_keys))

    def _in_order(self, frame: pd.DataFrame) -> Any:
        """Return the runs, one group after the other."""
        return frame.iloc[np.argsort(self._by_columns(frame).ngroup().to_numpy(), kind="stable")]

    def _with_keys(self, group: Any, key: Key) -> Any:
        missing = {
            name: maps.column([value] * len(group))
            for name, value in zip(self.group_keys, key, strict=True)
            if name not in group.columns
        }
        return group.assign(**missing)

    def toPandas(self, lazy: bool = True) -> pd.DataFrame:  # noqa: N802 - MLXP's name
        """Return a plain `pandas.DataFrame` whose index tells the groups; see `DataFrame.toPandas`."""
        if (frame := self._frame_by_columns()) is not None:
            runs = self._in_order(frame)
            values = [runs[name].array for name in self.group_keys]
            return _indexed(runs.toPandas(lazy=lazy), self.group_keys, values)
        frames: dict[Key, pd.DataFrame] = {key: group.toPandas(lazy=lazy) for key, group in self.items()}
        if not frames:
            return pd.DataFrame(columns=pd.Index(self.group_keys))
        keys = [key for key, group in frames.items() for _ in range(len(group))]
        return _indexed(pd.concat(list(frames.values())), self.group_keys, list(zip(*keys, strict=True)))

    def aggregate(self, *args: Any, **kwargs: Any) -> Any:
        """Return one row per group; see `DataFrame.aggregate`. Given no maps, what pandas returns.

        This and the verbs below take ``ungroup=True``, to return one frame instead of groups.
        """
        return self._verb("aggregate", args, kwargs, "maps", "ungroup")

    agg = aggregate

    def apply(self, *args: Any, **kwargs: Any) -> Any:
        """Return what maps make of each group; see `DataFrame.apply`. Given no maps, what pandas returns."""
        return self._verb("apply", args, kwargs, "maps", "map_type", "ungroup")

    def transform(self, *args: Any, **kwargs: Any) -> Any:
        """Return one row per run; see `DataFrame.transform`. Given no maps, what pandas returns."""
        return self._verb("transform", args, kwargs, "maps", "ungroup")

    def map(self, *args: Any, **kwargs: Any) -> Any:
        """Return one row per run; see `DataFrame.map`."""
        return self._verb("map", args, kwargs, "maps", "ungroup")

    def filter(self, *args: Any, **kwargs: Any) -> Any:
        """Return the runs of each group that a map keeps; see `DataFrame.filter`.

        With ``bygroups``, a column or several, the function is asked for each group of these columns instead. Given no
        map, what pandas returns.
        """
        parameters = ("filter_map", "bygroups", "ungroup")
        given = {**dict(zip(parameters, args, strict=False)), **kwargs}
        bygroups = given.get("bygroups")
        if not bygroups or isinstance(bygroups, bool):  # pandas' second parameter is one
            return self._verb("filter", args, kwargs, *parameters)
        filtered = self.ungroup()
        if len(filtered):
            filtered = filtered.groupby(bygroups).filter(given["filter_map"], ungroup=True)
        return filtered if given.get("ungroup") else filtered.groupby(self.group_keys)

    def sort(self, by: str | list[str], ascending: bool = True, ungroup: bool = False) -> Any:
        """Return the groups with their runs in the order of some columns."""
        return self._each("sort", (by, ascending), {}, ungroup)

    def groupby(self, group_keys: str | list[str]) -> "GroupedDataFrame":
        """Return groups of groups."""
        grouped: GroupedDataFrame = self._each("groupby", (group_keys,), {}, ungroup=False)
        return grouped

    def _verb(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], *parameters: str) -> Any:
        """Apply a verb of MLXP, whose `parameters` may be given by place, to each group, or else that of pandas."""
        given = {**dict(zip(parameters, args, strict=False)), **kwargs}
        found = maps.as_maps(given.get(parameters[0]), self.sample_frame())
        if found is None:
            return getattr(self._as_pandas(), name)(*args, **kwargs)
        # All groups at once: each by itself would have the files looked up again.
        maps.load([self._frame] if self._frame is not None else list(self.grouped_dict.values()), found)
        ungroup = given.pop("ungroup", False)
        groups = self if name == "filter" else self._of_columns({column for one in found for column in one.columns})
        return groups._each(name, (), given, ungroup)  # noqa: SLF001 - of our own class

    def _of_columns(self, names: set[str]) -> "GroupedDataFrame":
        """Return the groups with these columns only, of which others need not be put together."""
        frame = self._frame_by_columns()
        if frame is None or self._groups is not None:
            return self
        # A statistic is made of its metric.
        needed = {name if name in frame.columns else name.rpartition(".")[0] for name in names}
        return GroupedDataFrame.of(frame[list({*self.group_keys, *needed})], self._pandas)

    def sample_frame(self) -> pd.DataFrame:
        """Return a frame that has the columns of the groups."""
        if self._frame is not None:
            return self._frame
        first = next(iter(self.grouped_dict.values()), DataFrame())
        return first.sample_frame() if isinstance(first, GroupedDataFrame) else first

    @property
    def columns(self) -> Any:
        """The names of the columns of the groups."""
        if self._frame is not None:
            return self._frame.columns
        return next((group.columns for group in self.grouped_dict.values()), pd.Index([]))

    def _each(self, verb: str, args: tuple[Any, ...], kwargs: dict[str, Any], ungroup: bool) -> Any:
        results = {key: getattr(group, verb)(*args, **kwargs) for key, group in self.items()}
        grouped = GroupedDataFrame(self.group_keys, results)
        return grouped.ungroup() if ungroup else grouped


def _indexed(frame: pd.DataFrame, names: list[str], values: Sequence[Any]) -> pd.DataFrame:
    """Return `frame` with `values`, per name one for each row, as levels before its index."""
    # By hand: pandas' own ways to make such an index take a list for several values, and know no missing one.
    levels: list[tuple[Any, Any]] = []
    for level in values:
        codes, different = pd.factorize(pd.Series(MixedArray.of(level)), sort=True)
        levels.append((codes, maps.column(different.tolist())))
    inner = frame.index
    if isinstance(inner, pd.MultiIndex):
        levels += zip(inner.codes, inner.levels, strict=True)
    else:
        levels.append(pd.factorize(inner))
    index = pd.MultiIndex(
        levels=[pd.Index(different) for _, different in levels],
        codes=[codes for codes, _ in levels],
        names=[*names, *inner.names],
    )
    return frame.set_axis(index)


def _as_key(key: Any) -> Key:
    values = MixedArray.of(key if isinstance(key, tuple) else (key,))
    return tuple(None if is_missing(value) else value for value in values)


def _some(keys: list[Key], most: int = 5) -> str:
    return f"{', '.join(map(str, keys[:most]))}{', ...' if len(keys) > most else ''}"
