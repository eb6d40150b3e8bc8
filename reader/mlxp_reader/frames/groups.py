"""Groups of runs: the verbs of MLXP on several frames, one for each combination of some values.

The class uses composition, because `keys`, `sort` and `group_keys` mean other things to pandas' own class. Anything
that is not MLXP's is passed on to pandas. `mlxp_reader.frames.frame_groups` has the groups that `DataFrame.groupby`
returns.
"""

from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, overload

import pandas as pd

from mlxp.errors import InvalidKeyError
from mlxp.run_directory.printable import printable
from mlxp_reader.columns.cells import is_missing
from mlxp_reader.columns.mixed import MixedArray
from mlxp_reader.frames import maps
from mlxp_reader.frames.column_names import full_names
from mlxp_reader.frames.frame import DataFrame
from mlxp_reader.frames.maps import Function, Functions, MapForm, Maps, MapType
from mlxp_reader.notices import some

if TYPE_CHECKING:
    from pandas.api.typing import DataFrameGroupBy, SeriesGroupBy
    from typing_extensions import TypeVar

    Group = TypeVar("Group", bound="DataFrame | GroupedDataFrame[Any]", default=DataFrame)
else:
    from typing import TypeVar

    Group = TypeVar("Group")

Key = tuple[Any, ...]

_OWN = {"_groups", "_frame", "_pandas", "_found", "_labels_are_of_runs"}
_KEEPS_RUNS = {"transform", "map", "filter", "sort"}


class GroupedDataFrame(Generic[Group]):
    """Frames of runs, grouped by the values of some columns; `groupby` of groups returns groups of groups.

    Parameters
    ----------
    group_keys
        The names of these columns.
    grouped_dict
        The groups by these values; a key is always a tuple.

    Examples
    --------
    >>> runs = DataFrame({"config.lr": [0.1, 1.0, 1.0], "config.seed": [1, 1, 2]})
    >>> groups = runs.groupby(["config.lr"])
    >>> list(groups.keys()), len(groups[(1.0,)])
    ([(0.1,), (1.0,)], 2)
    >>> groups["config.seed"].sum().tolist()
    [1, 3]
    """

    def __init__(self, group_keys: Sequence[str], grouped_dict: Mapping[Key, Group]) -> None:
        self.group_keys = list(group_keys)
        self._groups = dict(grouped_dict)
        self._labels_are_of_runs = False

    @property
    def grouped_dict(self) -> dict[Key, Group]:
        """The groups by the values of the columns; a missing value is None, which forms a group like any other."""
        return self._groups

    @property
    def group_vals(self) -> list[Key]:
        """The values of the columns, one tuple per group."""
        return list(self.grouped_dict)

    @property
    def groups_size(self) -> int:
        """How many groups there are."""
        return len(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in _OWN:  # which unpickling and copying ask for before they are there
            raise AttributeError(name)
        return getattr(self.as_pandas(), name)

    def as_pandas(self) -> Any:
        """Return the groups as pandas has them."""
        return pd.DataFrame(self.ungroup()).groupby(self.group_keys, dropna=False, observed=True)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(pd.api.typing.DataFrameGroupBy)})

    @overload
    def __getitem__(self, key: tuple[Any, ...]) -> Group: ...
    @overload
    def __getitem__(self, key: str) -> "SeriesGroupBy[Any, Any]": ...
    @overload
    def __getitem__(self, key: list[str]) -> "DataFrameGroupBy[Any, Any]": ...
    @overload
    def __getitem__(self, key: Any) -> Any: ...
    def __getitem__(self, key: Any) -> Any:
        """Return the group with these values, or, for names of columns, pandas' groups of these columns."""
        if not isinstance(key, tuple):
            if pd.api.types.is_number(key) and key not in self.columns and as_key(key) in self.grouped_dict:
                raise InvalidKeyError(f"a group is found by a tuple of its values: groups[({key!r},)]")
            return self.as_pandas()[full_names(self.sample(), key)]
        if as_key(key) not in self.grouped_dict:
            raise InvalidKeyError(f"there is no group {key}; there are {some(list(map(str, self.group_vals)))}")
        return self.grouped_dict[as_key(key)]

    def __iter__(self) -> Iterator[tuple[Any, Group]]:
        return iter(self.grouped_dict.items())

    def __len__(self) -> int:
        return len(self.grouped_dict)

    def __repr__(self) -> str:
        return printable(repr(self.toPandas()))

    def _repr_html_(self) -> str | None:
        html: str | None = self.toPandas()._repr_html_()  # type: ignore[operator]  # which Jupyter calls
        return html

    def keys(self) -> KeysView[Key]:
        """Return the values of the columns, one tuple per group."""
        return self.grouped_dict.keys()

    def items(self) -> ItemsView[Key, Group]:
        """Return the groups with the values of the columns."""
        return self.grouped_dict.items()

    def select(self, key_list: Iterable[Any]) -> "GroupedDataFrame[Group]":
        """Return the groups whose values are in `key_list`."""
        wanted = {as_key(key) for key in key_list}
        chosen = {key: group for key, group in self.items() if key in wanted}
        return self._like(chosen, labels_are_of_runs=self._labels_are_of_runs)

    def _like(self, groups: dict[Key, Group], *, labels_are_of_runs: bool) -> "GroupedDataFrame[Group]":
        made = GroupedDataFrame(self.group_keys, groups)
        made._labels_are_of_runs = labels_are_of_runs
        return made

    def ungroup(self) -> Group:
        """Return all groups as one frame, with the group values as columns.

        Runs keep their labels. Rows that summarise groups, as `aggregate` returns, are numbered.
        """
        groups: dict[Key, Any] = self.grouped_dict
        together: Any
        if not groups:
            together = DataFrame(columns=pd.Index(self.group_keys))
        elif all(isinstance(group, GroupedDataFrame) for group in groups.values()):
            inner = {key: group.ungroup() for key, group in groups.items()}
            together = self._like(inner, labels_are_of_runs=self._labels_are_of_runs)
        else:
            together = pd.concat(groups.values()).assign(**_lacking_keys(self.group_keys, groups))
            if not self._labels_are_of_runs and not together.index.is_unique:
                together = together.reset_index(drop=True)
        return together  # type: ignore[no-any-return]  # a frame or, of groups of groups, groups

    def toPandas(self, lazy: bool = True) -> pd.DataFrame:  # noqa: N802 - MLXP's name
        """Return a plain `pandas.DataFrame` whose index names the groups; see `DataFrame.toPandas`."""
        frames: dict[Key, pd.DataFrame] = {key: group.toPandas(lazy=lazy) for key, group in self.items()}
        if not frames:
            return pd.DataFrame(columns=pd.Index(self.group_keys))
        keys = [key for key, group in frames.items() for _ in range(len(group))]
        return indexed(pd.concat(list(frames.values())), self.group_keys, list(zip(*keys, strict=True)))

    @overload
    def aggregate(self, maps: Maps, ungroup: Literal[False] = False) -> "GroupedDataFrame[Group]": ...
    @overload
    def aggregate(self, maps: Maps, ungroup: Literal[True]) -> Group: ...
    @overload
    def aggregate(self, func: Function | Functions = None, *args: Any, **kwargs: Any) -> pd.DataFrame: ...
    def aggregate(self, *args: Any, **kwargs: Any) -> Any:
        """Return one row per group or, given no maps, what pandas returns; see `DataFrame.aggregate`.

        This and the methods below accept ``ungroup=True`` to return one frame instead of groups.
        """
        return self._verb("aggregate", args, kwargs, "maps", "ungroup")

    agg = aggregate

    @overload
    def apply(self, maps: Maps, map_type: MapType = ..., *, ungroup: Literal[True]) -> Group: ...
    @overload
    def apply(self, maps: Maps, map_type: MapType = ...) -> "GroupedDataFrame[Group]": ...
    @overload
    def apply(self, func: Function, *args: Any, **kwargs: Any) -> Any: ...
    def apply(self, *args: Any, **kwargs: Any) -> Any:
        """Return the results of maps for each group or, given no maps, what pandas returns; see `DataFrame.apply`."""
        return self._verb("apply", args, kwargs, "maps", "map_type", "ungroup")

    @overload
    def transform(self, maps: Maps, ungroup: Literal[False] = False) -> "GroupedDataFrame[Group]": ...
    @overload
    def transform(self, maps: Maps, ungroup: Literal[True]) -> Group: ...
    @overload
    def transform(self, func: Function, *args: Any, **kwargs: Any) -> pd.DataFrame: ...
    def transform(self, *args: Any, **kwargs: Any) -> Any:
        """Return one row per run or, given no maps, what pandas returns; see `DataFrame.transform`."""
        return self._verb("transform", args, kwargs, "maps", "ungroup")

    @overload
    def map(self, maps: Maps, ungroup: Literal[False] = False) -> "GroupedDataFrame[Group]": ...
    @overload
    def map(self, maps: Maps, ungroup: Literal[True]) -> Group: ...
    def map(self, *args: Any, **kwargs: Any) -> Any:
        """Return one row per run; see `DataFrame.map`."""
        return self._verb("map", args, kwargs, "maps", "ungroup")

    @overload
    def filter(self, filter_map: str | MapForm, bygroups: Any = ..., *, ungroup: Literal[True]) -> Group: ...
    @overload
    def filter(self, filter_map: str | MapForm, bygroups: Any = ...) -> "GroupedDataFrame[Group]": ...
    @overload
    def filter(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> pd.DataFrame: ...
    def filter(self, *args: Any, **kwargs: Any) -> Any:
        """Return the runs of each group that a query or a map keeps; see `DataFrame.filter`.

        With ``bygroups``, one or several columns, the function is called for each group of these columns instead. Given
        no map, this returns what pandas does.
        """
        parameters = ("filter_map", "bygroups", "ungroup")
        given = {**dict(zip(parameters, args, strict=False)), **kwargs}
        if isinstance(given.get("filter_map"), str):
            return self._each("filter", (given["filter_map"],), {}, given.get("ungroup", False))
        bygroups = given.get("bygroups")
        if not bygroups or isinstance(bygroups, bool):  # pandas' second parameter is one
            return self._verb("filter", args, kwargs, *parameters)
        filtered = self.ungroup()
        if len(filtered):
            filtered = filtered.groupby(bygroups).filter(given["filter_map"], ungroup=True)
        return filtered if given.get("ungroup") else filtered.groupby(self.group_keys)

    @overload
    def sort(self, by: str | list[str], ascending: bool = True, *, ungroup: Literal[True]) -> Group: ...
    @overload
    def sort(self, by: str | list[str], ascending: bool = True) -> "GroupedDataFrame[Group]": ...
    def sort(self, by: str | list[str], ascending: bool = True, ungroup: bool = False) -> Any:
        """Return the groups with their runs sorted by some columns."""
        return self._each("sort", (by, ascending), {}, ungroup)

    def groupby(self, group_keys: str | list[str]) -> "GroupedDataFrame[GroupedDataFrame[Group]]":
        """Return groups of groups."""
        grouped: GroupedDataFrame[GroupedDataFrame[Group]] = self._each("groupby", (group_keys,), {}, ungroup=False)
        return grouped

    def _verb(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], *parameters: str) -> Any:
        """Apply a verb of MLXP, whose `parameters` may be given by place, to each group, or else that of pandas."""
        given = {**dict(zip(parameters, args, strict=False)), **kwargs}
        found = maps.as_maps(given.get(parameters[0]), self.sample(), may_be_names=name == "filter")
        if found is None:
            return getattr(self.as_pandas(), name)(*args, **kwargs)
        # All groups at once, since each by itself would look up the files again.
        maps.load(self._loaded_together(), found)
        ungroup = given.pop("ungroup", False)
        groups = self if name == "filter" else self.of_columns({column for one in found for column in one.columns})
        return groups._each(name, (), given, ungroup)  # noqa: SLF001 - of our own class

    def _loaded_together(self) -> list[Group]:
        return list(self.grouped_dict.values())

    def of_columns(self, names: set[str]) -> "GroupedDataFrame[Group]":  # noqa: ARG002 - for groups that are put together
        """Return the groups with these columns at least."""
        return self

    def sample(self) -> DataFrame:
        """Return a frame that has the columns of the groups."""
        first = next(iter(self.grouped_dict.values()), DataFrame())
        return first.sample() if isinstance(first, GroupedDataFrame) else first

    @property
    def columns(self) -> "pd.Index[Any]":
        """The names of the columns of the groups."""
        return self.sample().columns

    def _each(self, verb: str, args: tuple[Any, ...], kwargs: dict[str, Any], ungroup: bool) -> Any:
        results = {key: getattr(group, verb)(*args, **kwargs) for key, group in self.items()}
        keeps_runs = verb in _KEEPS_RUNS or (
            verb == "apply" and all(len(result) == len(self.grouped_dict[key]) for key, result in results.items())
        )
        grouped = self._like(results, labels_are_of_runs=self._labels_are_of_runs and keeps_runs)
        return grouped.ungroup() if ungroup else grouped


def _lacking_keys(names: list[str], groups: dict[Key, DataFrame]) -> dict[str, Any]:
    """Return for each run the values that it was grouped by, for keys that are not columns of every group."""
    keys = [key for key, group in groups.items() for _ in range(len(group))]
    return {
        name: maps.column([key[at] for key in keys])
        for at, name in enumerate(names)
        if not all(name in group.columns for group in groups.values())
    }


def indexed(frame: pd.DataFrame, names: list[str], values: Sequence[Any]) -> pd.DataFrame:
    """Return `frame` with `values`, one per row for each name, as levels before its index."""
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


def as_key(key: Any) -> Key:
    """Return the values of a group as a tuple of plain values, in which None is what is missing."""
    values = MixedArray.of(key if isinstance(key, tuple) else (key,))
    return tuple(None if is_missing(value) else value for value in values)
