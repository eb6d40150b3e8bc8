"""The frame of runs: a `pandas.DataFrame` with the verbs of MLXP.

Nothing here makes columns lazy; their types do (see `mlxp_reader.columns.metric_array`). Each override takes whatever
pandas takes and passes it on, unless it has a form that only MLXP knows.
"""

import functools
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import pandas as pd
from pandas.api.types import is_integer

from mlxp.errors import InvalidKeyError
from mlxp.run_directory.printable import printable
from mlxp_reader.analysis import comparison
from mlxp_reader.analysis.settings import varies
from mlxp_reader.columns.arrow_storage import portable_table
from mlxp_reader.columns.asked_values import named_column
from mlxp_reader.columns.keys import as_names
from mlxp_reader.columns.plain_values import plain_frame, text_frame
from mlxp_reader.frames.analysis_methods import Analysis
from mlxp_reader.frames.binding import bound
from mlxp_reader.frames.column_names import full_names_of_keys, ordered, told_of_unknown
from mlxp_reader.frames.map_verbs import MappedFrame
from mlxp_reader.frames.run import Run
from mlxp_reader.presentation import display, tables

if TYPE_CHECKING:
    import numpy.typing as npt

    from mlxp_reader.frames.groups import GroupedDataFrame

_NAMES_BEFORE_1 = {"groupBy": "groupby", "config_diff": "diff"}


class DataFrame(Analysis, MappedFrame):
    """Runs, one per row, with the methods of pandas and of MLXP, and with columns that load on access.

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

    @overload  # type: ignore[override]  # to pandas, a number is the name of a column
    def __getitem__(self, key: int) -> Run: ...
    @overload
    def __getitem__(self, key: str) -> "pd.Series[Any]": ...
    @overload
    def __getitem__(self, key: "slice | list[Any] | npt.NDArray[Any] | pd.Index[Any] | pd.Series[Any]") -> Self: ...
    @overload
    def __getitem__(self, key: Any) -> Any: ...
    def __getitem__(self, key: Any) -> Any:
        """Return a column, rows, or, for a number that is not a column, the `Run` at that position.

        Raises
        ------
        InvalidKeyError
            If there is no such column; if the name stands for something else, the message says what to write.
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

    @overload  # type: ignore[override]  # pandas' own takes no name
    def diff(self, start_key: str = "config") -> list[str]: ...
    @overload
    def diff(self, periods: int, axis: Literal["index", "columns", "rows", 0, 1] = 0) -> Self: ...
    def diff(self, *args: Any, **kwargs: Any) -> Any:
        """Return the names of the columns that vary and that start with a text, ``"config"`` by default.

        Renamed keys of the configuration are included. Given anything else, this is `pandas.DataFrame.diff`.
        """
        start = kwargs["start_key"] if "start_key" in kwargs else args[0] if args else "config"
        if kwargs.keys() - {"start_key"} or not isinstance(start, str):
            return super().diff(*args, **kwargs)
        names = [name for name in self.columns if isinstance(name, str) and name.startswith(start)]
        return [name for name in (self.configuration_keys() if start == "config" else names) if varies(self[name])]

    def toPandas(self, lazy: bool = True) -> pd.DataFrame:  # noqa: N802 - MLXP's name
        """Return a plain `pandas.DataFrame`; with ``lazy=False``, its columns are plain and fully loaded.

        With ``lazy=False``, missing integers and booleans are NaN, and lists and dicts can be changed. Metrics are
        arrays, which are read-only because they share the reader's memory. Artifacts are dicts from names to paths.
        """
        frame = pd.DataFrame(self)
        if lazy:
            return frame
        return plain_frame(frame)

    @overload  # type: ignore[override]  # pandas' stubs take each by name
    def to_parquet(self, path: None = None, *args: Any, **kwargs: Any) -> bytes: ...
    @overload
    def to_parquet(self, path: Any, *args: Any, **kwargs: Any) -> None: ...
    def to_parquet(self, path: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Write the runs to a Parquet file of plain types, which any program can read.

        If MLXP's `DataFrame` has been imported, `pandas.read_parquet` returns the same columns; otherwise, it returns
        lists and strings. The parameters are those of `pandas.DataFrame.to_parquet`.
        """
        import pyarrow.parquet as pq

        index, compression = kwargs.get("index"), kwargs.get("compression", "snappy")
        if args or kwargs.keys() - {"index", "compression"} or kwargs.get("engine", "pyarrow") != "pyarrow":
            return pd.DataFrame(self).to_parquet(path, *args, **kwargs)
        table = portable_table(self, index)
        file = io.BytesIO() if path is None else path
        pq.write_table(table, file, compression=compression or "none")
        return file.getvalue() if path is None else None

    def to_excel(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[misc]  # not to be overridden, say the stubs
        """Write the runs to a sheet as pandas does; values other than numbers and strings become JSON."""
        text_frame(self).to_excel(*args, **kwargs)

    def to_sql(self, *args: Any, **kwargs: Any) -> int | None:  # type: ignore[misc]  # as above
        """Write the runs to a database as pandas does; values other than numbers and strings become JSON."""
        return text_frame(self).to_sql(*args, **kwargs)

    def merge(self, *args: Any, **kwargs: Any) -> Self:
        """Return this frame with the columns of another one that has as many rows.

        This joins rows with the same label or, if the labels differ, rows at the same position. If common columns have
        different values, or if there are more arguments, this is `pandas.DataFrame.merge`.

        Raises
        ------
        InvalidKeyError
            If common columns have different values that do not identify rows.
        """
        other = kwargs["new_df"] if kwargs.keys() == {"new_df"} else args[0] if len(args) == 1 and not kwargs else None
        found: Any = bound(self, other) if isinstance(other, pd.DataFrame) else None
        return super().merge(*args, **kwargs) if found is None else found

    @functools.wraps(comparison.compare)  # which documents it; given a frame, it is pandas' own
    def compare(self, *args: Any, **kwargs: Any) -> pd.DataFrame:  # type: ignore[override]  # noqa: D102 - below
        if any(isinstance(other, pd.DataFrame) for other in (*args[:1], kwargs.get("other"))):
            found: pd.DataFrame = super().compare(*args, **kwargs)
            return found
        return comparison.compare(self, *args, **kwargs)

    def __add__(self, other: Any) -> Self:
        """Return the runs of two frames, one below the other, as MLXP 1 added lists of runs.

        Anything that is not a frame of runs is added as pandas does.
        """
        if isinstance(other, DataFrame) and display.is_of_runs(self) and display.is_of_runs(other):
            together: Self = pd.concat([self, other], ignore_index=True)  # type: ignore[list-item]  # of one class
            return together
        return super().__add__(other)

    def __getattr__(self, name: str) -> Any:  # type: ignore[misc]  # which pandas calls final, for its own users
        if name in _NAMES_BEFORE_1:
            raise AttributeError(f"MLXP 1 renamed {name}: write {_NAMES_BEFORE_1[name]}")
        return super().__getattr__(name)

    def sort(self, by: str | list[str], ascending: bool = True) -> Self:
        """Return the runs sorted by columns, or by statistics of metrics such as ``"test.loss.last"``.

        Raises
        ------
        InvalidKeyError
            If there is no such column or statistic.
        """
        in_order: Self = ordered(self, as_names(by), ascending)
        return in_order

    def groupby(self, *args: Any, **kwargs: Any) -> "GroupedDataFrame":  # type: ignore[override]  # see its docstring
        """Return the runs in groups, as a `GroupedDataFrame`, which has the methods of pandas' groups.

        You may leave out the ``config.`` of configuration keys. Unlike in pandas, runs with the value None or without a
        value form a group, unless ``dropna=True`` leaves them out.

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
        # None forms a group, too; pandas' own default would leave out its runs.
        kwargs = {"dropna": False, "observed": True, **kwargs}
        return FrameGroups(self, super().groupby(*args, **kwargs))

    def to_table(self, columns: list[str] | None = None, tablefmt: str = "simple", **options: Any) -> str:
        """Return the runs as a text table.

        Parameters
        ----------
        columns
            Names of columns, and statistics of metrics such as ``"test.loss.last"``; by default, the configuration keys
            that vary, and the status.
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
        """Return the runs with statistics of metrics as additional columns of numbers.

        Parameters
        ----------
        names
            A metric and one of its statistics, such as ``"train.loss.last"``; see the methods of `series.metric`.

        Raises
        ------
        InvalidKeyError
            If there is no such metric or statistic.
        """
        return self.assign(**{name: named_column(self, name, wants="statistic") for name in names})
