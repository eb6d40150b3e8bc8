"""The frame of runs: a `pandas.DataFrame` with the verbs of MLXP.

Nothing here makes columns lazy; their types do (see `mlxp_reader.columns.metric_array`). An override takes whatever
pandas takes and passes it on, unless it is of a form that only MLXP knows.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from pandas.api.types import is_integer

from mlxp.errors import InvalidKeyError
from mlxp_reader.analysis.run_numbers import statistic_column
from mlxp_reader.columns.artifacts import ArtifactDtype
from mlxp_reader.columns.metric_array import MetricDtype
from mlxp_reader.columns.mixed import MixedDtype
from mlxp_reader.frames import maps
from mlxp_reader.frames.analysis_methods import Analysis
from mlxp_reader.presentation import display, tables
from mlxp_reader.query.names import suggestion


class Run(Mapping[str, Any]):
    """One run of a frame: its values by column, loaded when they are looked into.

    Examples
    --------
    >>> run = DataFrame({"config.lr": [0.1, 1.0], "config.seed": [1, 2]})[0]
    >>> run["config.seed"], dict(run)
    (1, {'config.lr': 0.1, 'config.seed': 1})
    """

    def __init__(self, frame: pd.DataFrame, row: int) -> None:
        self._frame = frame
        self._row = row

    def __getitem__(self, name: str) -> Any:
        if name not in self._frame.columns:
            raise InvalidKeyError(f"there is no column '{name}'{suggestion(name, self._frame.columns)}")
        value = self._frame[name].iloc[self._row]
        if isinstance(value, np.generic):
            return value.item()
        return None if value is pd.NA else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._frame.columns)

    def __len__(self) -> int:
        return len(self._frame.columns)

    def __repr__(self) -> str:
        return repr(self._frame.iloc[self._row])

    def _repr_html_(self) -> str:
        return self._frame.iloc[[self._row]].to_html()


class DataFrame(Analysis, pd.DataFrame):
    """Runs, one per row: all that pandas offers, the verbs of MLXP, and columns that load when they are touched.

    Examples
    --------
    >>> runs = DataFrame({"config.lr": [0.1, 1.0, 1.0], "config.seed": [1, 1, 2]})
    >>> runs.diff()
    ['config.lr', 'config.seed']
    >>> runs.groupby("config.lr").aggregate((max, "config.seed"))[(1.0,)]
       fmax.config.seed
    0                 2
    """

    def __repr__(self) -> str:
        return display.as_text(self) if display.is_of_runs(self) else super().__repr__()

    def _repr_html_(self) -> str | None:
        if not display.is_of_runs(self) or not pd.get_option("display.notebook_repr_html"):
            html: str | None = super()._repr_html_()  # type: ignore[misc]  # which Jupyter calls
            return html
        return display.as_html(self)

    @property
    def _constructor(self) -> Callable[..., "DataFrame"]:
        return DataFrame

    def _constructor_from_mgr(self, mgr: Any, axes: Any) -> Any:
        if self._constructor is not DataFrame:  # a user's own subclass
            return super()._constructor_from_mgr(mgr, axes)  # type: ignore[misc]  # as below
        frame = DataFrame._from_mgr(mgr, axes=axes)  # type: ignore[attr-defined]  # pandas' own hook for subclasses
        assert isinstance(frame, DataFrame)  # noqa: S101 - what the class method of this class returns
        return frame

    def __getitem__(self, key: Any) -> Any:
        """Return a column, rows, or, for a number that is no column, the `Run` at that place."""
        return Run(self, int(key)) if self._is_place(key) else super().__getitem__(key)

    def _is_place(self, key: Any) -> bool:
        if not is_integer(key) or isinstance(key, bool) or not -len(self) <= key < len(self):
            return False
        return key not in self.columns and not pd.api.types.is_numeric_dtype(self.columns.dtype)

    def diff(self, *args: Any, **kwargs: Any) -> Any:
        """Return the names of the columns that vary among those that start with a text, ``"config"`` by default.

        Given anything else, `pandas.DataFrame.diff`.
        """
        start = kwargs["start_key"] if "start_key" in kwargs else args[0] if args else "config"
        if kwargs.keys() - {"start_key"} or not isinstance(start, str):
            return super().diff(*args, **kwargs)
        names = [name for name in self.columns if isinstance(name, str) and name.startswith(start)]
        return [name for name in names if _varies(self[name])]

    def toPandas(self, lazy: bool = True) -> pd.DataFrame:  # noqa: N802 - MLXP's name
        """Return a plain `pandas.DataFrame`; with ``lazy=False``, one of plain columns in which all is loaded.

        Metrics are arrays there, read-only since they share the reader's memory.
        """
        frame = pd.DataFrame(self)
        if lazy:
            return frame
        return pd.DataFrame({name: _loaded(frame[name]) for name in frame.columns}, index=frame.index)

    def merge(self, *args: Any, **kwargs: Any) -> Any:
        """Return this frame with the columns of another one of as many rows, bound row by row.

        If the two have columns in common, or more is asked for, `pandas.DataFrame.merge`.
        """
        other = kwargs["new_df"] if kwargs.keys() == {"new_df"} else args[0] if len(args) == 1 and not kwargs else None
        is_frame = isinstance(other, pd.DataFrame)
        if (
            other is None
            or not is_frame
            or len(other) != len(self)
            or not self.columns.intersection(other.columns).empty
        ):
            return super().merge(*args, **kwargs)
        return pd.concat([self, other.set_axis(self.index)], axis=1)

    def sort(self, by: str | list[str], ascending: bool = True) -> "DataFrame":
        """Return the runs in the order of some columns."""
        return self.sort_values(by, ascending=ascending, kind="stable")

    def groupby(self, *args: Any, **kwargs: Any) -> Any:
        """Return the runs in groups, a `GroupedDataFrame`, which understands what pandas' groups do.

        Raises
        ------
        InvalidKeyError
            If there is no such column.
        """
        from mlxp_reader.frames.groups import GroupedDataFrame

        if not isinstance(kwargs.get("group_keys", True), bool):  # MLXP's name of the first parameter
            args = (kwargs.pop("group_keys"), *args)
        try:
            groups = super().groupby(*args, **kwargs)
        except KeyError as error:
            name = error.args[0] if error.args else ""
            raise InvalidKeyError(f"there is no column '{name}'{suggestion(str(name), self.columns)}") from error
        return GroupedDataFrame.of(self, groups)

    def aggregate(self, *args: Any, **kwargs: Any) -> Any:
        """Return one row: what the function of each map makes of the list of its column's values.

        Given no maps, `pandas.DataFrame.aggregate`.

        Raises
        ------
        InvalidMapError
            If the map is not of the form ``(function, columns[, names])``.
        """
        found = self._maps(args, kwargs)
        return (
            super().aggregate(*args, **kwargs) if found is None else self._made(maps.row(maps.aggregated(self, found)))
        )

    agg = aggregate

    def apply(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function of each map makes of its columns, in the way that ``map_type`` says.

        The `MAP_TYPES` are ``"Generic"`` (the function takes the lists of its columns' values), ``"Columnwise"`` (one
        such list), ``"Rowwise"`` (the values of one run) and ``"Pointwise"`` (one value). Given no maps,
        `pandas.DataFrame.apply`.
        """
        found = self._maps(args, kwargs)
        if found is None:
            return super().apply(*args, **kwargs)
        map_type = kwargs["map_type"] if "map_type" in kwargs else args[1] if len(args) > 1 else "Generic"
        return self._made(maps.applied(self, found, map_type))

    def transform(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function of each map makes of the list of its column's values, one value per run.

        Given no maps, `pandas.DataFrame.transform`.
        """
        found = self._maps(args, kwargs)
        return super().transform(*args, **kwargs) if found is None else self._made(maps.transformed(self, found))

    def map(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function of each map makes of each value of its columns.

        Given no maps, `pandas.DataFrame.map`.
        """
        found = self._maps(args, kwargs)
        return super().map(*args, **kwargs) if found is None else self._made(maps.mapped(self, found))

    def filter(self, *args: Any, **kwargs: Any) -> Any:
        """Return the runs for which the function of a map, given the lists of its columns' values, says true.

        With ``bygroups``, a column or several, the function is asked for each group by itself. Given no map,
        `pandas.DataFrame.filter`.
        """
        found = self._maps(args, kwargs, keyword="filter_map")
        if found is None:
            return super().filter(*args, **kwargs)
        bygroups = kwargs["bygroups"] if "bygroups" in kwargs else args[1] if len(args) > 1 else None
        if bygroups:
            groups = self.groupby(bygroups)
            return groups.filter(args[0] if args else kwargs["filter_map"], ungroup=True) if len(self) else self.copy()
        return self[maps.selected(self, found)]

    def to_table(self, columns: list[str] | None = None, tablefmt: str = "simple", **options: Any) -> str:
        """Return the runs as a text table.

        Parameters
        ----------
        columns
            Names of columns, and statistics of metrics such as ``"test.loss.last"``; by default the configuration that
            varies, and the status.
        tablefmt
            Any format of `tabulate`.
        options
            Passed on to `tabulate.tabulate`, such as ``floatfmt=".3f"``.

        Raises
        ------
        InvalidKeyError
            If there is no such column or statistic.

        Examples
        --------
        >>> print(DataFrame({"config.lr": [0.1, 1.0]}).to_table(tablefmt="github"))
        |   config.lr |
        |-------------|
        |         0.1 |
        |         1   |
        """
        return tables.to_table(self, columns, tablefmt, **options)

    def with_stats(self, *names: str) -> Self:
        """Return the runs with statistics of metrics as further columns of numbers.

        Parameters
        ----------
        names
            A metric and ``last``, ``first``, ``min``, ``max``, ``mean``, ``count``, ``argmin`` or ``argmax``, such as
            ``"train.loss.last"``.

        Raises
        ------
        InvalidKeyError
            If there is no such metric or statistic.
        """
        return self.assign(**{name: statistic_column(self, name) for name in names})

    def _maps(self, args: tuple[Any, ...], kwargs: dict[str, Any], keyword: str = "maps") -> list[maps.Map] | None:
        return maps.as_maps(args[0] if args else kwargs.get(keyword), self.columns)

    def _made(self, columns: dict[str, Any]) -> "DataFrame":
        made = DataFrame(columns)
        return made.set_axis(self.index) if len(made) == len(self) and len(self) > 1 else made


def _varies(column: "pd.Series[Any]") -> bool:
    missing = np.asarray(column.array.isna())
    if missing.any():
        return not missing.all()
    if column.dtype.kind in "biuf":  # many times as fast as to number the values
        values = column.to_numpy()
        return len(values) > 0 and bool((values != values[0]).any())
    codes, _ = pd.factorize(column)
    return len(codes) > 0 and bool((codes != codes[0]).any())


def _loaded(column: "pd.Series[Any]") -> Any:
    if isinstance(column.dtype, MetricDtype):
        return column.array.to_arrays()
    if isinstance(column.dtype, MixedDtype | ArtifactDtype):
        return np.asarray(column.array, dtype=object)
    return column
