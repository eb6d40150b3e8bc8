"""The frame of runs: a `pandas.DataFrame` with the verbs of MLXP.

Nothing here makes columns lazy; their types do (see `mlxp_reader.columns.metric_array`). An override takes whatever
pandas takes and passes it on, unless it is of a form that only MLXP knows.
"""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import pandas as pd
from pandas.api.types import is_integer

from mlxp.errors import InvalidKeyError
from mlxp.run_directory.printable import printable
from mlxp_reader.analysis.settings import varies
from mlxp_reader.columns.artifacts import ArtifactDtype
from mlxp_reader.columns.keys import as_names, named_column
from mlxp_reader.columns.metric_array import MetricDtype
from mlxp_reader.columns.mixed import MixedDtype
from mlxp_reader.frames import maps
from mlxp_reader.frames.analysis_methods import Analysis
from mlxp_reader.frames.column_names import full_names_of_keys, ordered, told_of_unknown
from mlxp_reader.frames.matching import matching
from mlxp_reader.frames.renamed_keys import KeyedFrame
from mlxp_reader.frames.run import Run
from mlxp_reader.presentation import display, tables

_NAMES_BEFORE_1 = {"groupBy": "groupby", "config_diff": "diff"}


class DataFrame(Analysis, KeyedFrame):
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
        return printable(display.as_text(self) if display.is_of_runs(self) else super().__repr__())

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
        """Return a column, rows, or, for a number that is no column, the `Run` at that place.

        Raises
        ------
        InvalidKeyError
            If there is no such column; where the name stands for something else, the message says what to write.
        """
        if self._is_place(key):
            return Run(self, int(key))
        try:
            return super().__getitem__(key)
        except KeyError as error:
            told = told_of_unknown(self, key)
            if told is None:
                raise
            raise InvalidKeyError(told) from error

    def _is_place(self, key: Any) -> bool:
        if not is_integer(key) or isinstance(key, bool) or not -len(self) <= key < len(self):
            return False
        return key not in self.columns and not pd.api.types.is_numeric_dtype(self.columns.dtype)

    def diff(self, *args: Any, **kwargs: Any) -> Any:
        """Return the names of the columns that vary among those that start with a text, ``"config"`` by default.

        Keys of the configuration that were renamed are among these. Given anything else, `pandas.DataFrame.diff`.
        """
        start = kwargs["start_key"] if "start_key" in kwargs else args[0] if args else "config"
        if kwargs.keys() - {"start_key"} or not isinstance(start, str):
            return super().diff(*args, **kwargs)
        names = [name for name in self.columns if isinstance(name, str) and name.startswith(start)]
        return [name for name in (self.configuration_keys() if start == "config" else names) if varies(self[name])]

    def toPandas(self, lazy: bool = True) -> pd.DataFrame:  # noqa: N802 - MLXP's name
        """Return a plain `pandas.DataFrame`; with ``lazy=False``, one of plain columns in which all is loaded.

        Metrics are arrays there, read-only since they share the reader's memory.
        """
        frame = pd.DataFrame(self)
        if lazy:
            return frame
        return pd.DataFrame({name: _loaded(frame[name]) for name in frame.columns}, index=frame.index)

    def merge(self, *args: Any, **kwargs: Any) -> Any:
        """Return this frame with the columns of another one of as many rows.

        Rows of the same label are bound, or, if the labels are others, rows at the same place. If the two have columns
        in common, or more is asked for, `pandas.DataFrame.merge`.
        """
        other = kwargs["new_df"] if kwargs.keys() == {"new_df"} else args[0] if len(args) == 1 and not kwargs else None
        if not isinstance(other, pd.DataFrame) or len(other) != len(self) or {*self.columns} & {*other.columns}:
            return super().merge(*args, **kwargs)
        if not (other.index.is_unique and other.index.sort_values().equals(self.index.sort_values())):
            other = other.set_axis(self.index)
        return pd.concat([self, other.loc[self.index] if other.index.is_unique else other], axis=1)

    def __add__(self, other: Any) -> Any:
        """Return the runs of two frames, one below the other, since lists of runs were added so in MLXP 1.

        What is no frame of runs is added as pandas does.
        """
        if isinstance(other, DataFrame) and display.is_of_runs(self) and display.is_of_runs(other):
            return pd.concat([self, other], ignore_index=True)
        return super().__add__(other)

    def __getattr__(self, name: str) -> Any:  # type: ignore[misc]  # which pandas calls final, for its own users
        if name in _NAMES_BEFORE_1:
            raise AttributeError(f"what was called {name} before MLXP 1 is {_NAMES_BEFORE_1[name]}")
        return super().__getattr__(name)

    def sort(self, by: str | list[str], ascending: bool = True) -> "DataFrame":
        """Return the runs in the order of some columns, or of statistics of metrics such as ``"test.loss.last"``.

        Raises
        ------
        InvalidKeyError
            If there is no such column or statistic.
        """
        in_order: DataFrame = ordered(self, as_names(by), ascending)
        return in_order

    def groupby(self, *args: Any, **kwargs: Any) -> Any:
        """Return the runs in groups, a `GroupedDataFrame`, which understands what pandas' groups do.

        Of keys of the configuration, ``config.`` may be left out. Unlike in pandas, the runs whose value is None or
        missing are a group, unless ``dropna=True`` leaves them out.

        Raises
        ------
        InvalidKeyError
            If there is no such column, or if it is a metric.
        """
        from mlxp_reader.frames.frame_groups import FrameGroups

        if not isinstance(kwargs.get("group_keys", True), bool):  # MLXP's name of the first parameter
            args = (kwargs.pop("group_keys"), *args)
        if args:
            args = (full_names_of_keys(self, args[0]), *args[1:])
        elif "by" in kwargs:
            kwargs["by"] = full_names_of_keys(self, kwargs["by"])
        # What is None is a group, too; pandas' own default would leave out its runs.
        kwargs = {"dropna": False, "observed": True, **kwargs}
        return FrameGroups(self, super().groupby(*args, **kwargs))

    def aggregate(self, *args: Any, **kwargs: Any) -> Any:
        """Return one row: what the function of each map makes of the list of its column's values.

        Given no maps, `pandas.DataFrame.aggregate`.

        Raises
        ------
        InvalidMapError
            If the map is not of the form ``(function, columns[, names])``.
        """
        found = self._maps(args, kwargs)
        if found is None:
            return super().aggregate(*args, **kwargs)
        return DataFrame(maps.row(maps.aggregated(self, found)))

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
        columns, keeps_rows = maps.applied(self, found, map_type)
        return self._labelled(columns) if keeps_rows else DataFrame(columns)

    def transform(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function of each map makes of the list of its column's values, one value per run.

        Given no maps, `pandas.DataFrame.transform`.
        """
        found = self._maps(args, kwargs)
        return super().transform(*args, **kwargs) if found is None else self._labelled(maps.transformed(self, found))

    def map(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function of each map makes of each value of its columns.

        Given no maps, `pandas.DataFrame.map`.
        """
        found = self._maps(args, kwargs)
        return super().map(*args, **kwargs) if found is None else self._labelled(maps.mapped(self, found))

    def filter(self, *args: Any, **kwargs: Any) -> Any:
        """Return the runs that a query or a map chooses.

        Given a text, the runs that match it as a query, as `Reader.filter` does. Given a map, those for which its
        function, which takes the lists of its columns' values, says true; with ``bygroups``, a column or several, the
        function is asked for each group by itself. Given anything else, `pandas.DataFrame.filter`.

        Raises
        ------
        InvalidKeyError
            If the query or the map names a column that does not exist.
        SyntaxError
            If the query cannot be understood; the message shows the place.

        Examples
        --------
        >>> runs = DataFrame({"config.lr": [0.1, 1.0, 1.0], "config.seed": [1, 1, 2]})
        >>> runs.filter("lr == 1 & seed > 1").index.tolist()
        [2]
        """
        if args and isinstance(args[0], str) and not args[1:] and not kwargs:
            return self[matching(self, args[0])]
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
            A metric and one of its statistics, such as ``"train.loss.last"``; `series.metric` has them all.

        Raises
        ------
        InvalidKeyError
            If there is no such metric or statistic.
        """
        return self.assign(**{name: named_column(self, name, wants="statistic") for name in names})

    def _maps(self, args: tuple[Any, ...], kwargs: dict[str, Any], keyword: str = "maps") -> list[maps.Map] | None:
        return maps.as_maps(args[0] if args else kwargs.get(keyword), self)

    def _labelled(self, columns: dict[str, Any]) -> "DataFrame":
        """Return columns of one value per run, with the labels of the runs."""
        return DataFrame(columns).set_axis(self.index)


def _loaded(column: "pd.Series[Any]") -> Any:
    if isinstance(column.dtype, MetricDtype):
        return column.array.to_arrays()
    if isinstance(column.dtype, MixedDtype | ArtifactDtype):
        return np.asarray(column.array, dtype=object)
    return column
