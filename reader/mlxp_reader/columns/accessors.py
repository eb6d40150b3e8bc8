"""``series.metric``: statistics of a column of metrics, over all its runs at once."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlxp_reader.columns.metric_array import MetricArray
from mlxp_reader.columns.missing import ABSENT, NULL, integers
from mlxp_reader.columns.mixed import MixedArray
from mlxp_reader.columns.run_statistics import statistic
from mlxp_reader.query.statistics import STATISTICS, Statistic, statistic_of


@pd.api.extensions.register_series_accessor("metric")
class MetricAccessor:
    """The statistics of a column of metrics; a run without the metric has none.

    Each of `STATISTICS` is a method, such as ``last()``; it returns a number per run.

    Examples
    --------
    >>> curves = pd.Series([[3.0, 1.0], [2.0, 4.0, 0.5]], dtype="metric")
    >>> curves.metric.min().tolist(), curves.metric.count().tolist()
    ([1.0, 0.5], [2, 3])
    """

    def __init__(self, series: "pd.Series[Any]") -> None:
        if not isinstance(series.array, MetricArray):
            # pandas takes this error to mean that the column has no such accessor.
            raise AttributeError(f"a column of type {series.dtype} holds no metrics")  # noqa: TRY004
        self._series = series
        self._array = series.array

    def stack(self) -> npt.NDArray[Any]:
        """Return an array of shape (runs, values), without the runs that lack the metric.

        Raises
        ------
        ValueError
            If the runs have different numbers of values.
        """
        cells = [np.asarray(values) for values in self._array.runs() if values is not None]
        lengths = {len(cell) for cell in cells}
        if len(lengths) > 1:
            raise ValueError(f"the runs have from {min(lengths)} to {max(lengths)} values: they do not stack")
        return np.stack(cells) if cells else np.empty((0, 0))

    def cummax(self) -> "pd.Series[Any]":
        """Return the best value so far at each record, where high values are good, as a column of metrics."""
        return self._accumulated(np.fmax)

    def cummin(self) -> "pd.Series[Any]":
        """Return the best value so far at each record, where low values are good, as a column of metrics."""
        return self._accumulated(np.fmin)

    def _accumulated(self, best: np.ufunc) -> "pd.Series[Any]":
        runs = [None if values is None else best.accumulate(_as_numbers_of(values)) for values in self._array.runs()]
        cells = MetricArray._from_sequence([np.nan if values is None else values for values in runs])  # noqa: SLF001
        return pd.Series(cells, index=self._series.index, name=self._series.name)

    def statistic(self, name: str) -> "pd.Series[Any]":
        """Return a statistic of each run by its name.

        Raises
        ------
        InvalidKeyError
            If there is no statistic of that name.
        """
        runs = self._array.runs()
        found = plain(statistic(name, runs))
        row = statistic_of(name)
        has_none = row is not None and row.of_nothing is None
        if has_none and isinstance(found, np.ndarray) and found.dtype == np.float64:
            found[[_holds_nulls_only(values) for values in runs]] = NULL
        return pd.Series(found, index=self._series.index, name=f"{self._series.name}.{name}")


def _as_numbers_of(values: Any) -> npt.NDArray[np.float64]:
    return np.asarray([value if isinstance(value, int | float | np.number) else np.nan for value in values], np.float64)


def _method(name: str, row: Statistic) -> Callable[[MetricAccessor], "pd.Series[Any]"]:
    def of_each_run(self: MetricAccessor) -> "pd.Series[Any]":
        return self.statistic(name)

    of_each_run.__name__, of_each_run.__qualname__ = name, f"{MetricAccessor.__name__}.{name}"
    of_each_run.__doc__ = f"Return the {row.meaning}, for each run."
    return of_each_run


for _name, _row in STATISTICS.items():
    if not _row.takes_steps:  # which a column alone does not know
        setattr(MetricAccessor, _name, _method(_name, _row))


def plain(found: Any) -> Any:
    """Return a masked array as a plain one if nothing is missing or NaN can mark what is."""
    if isinstance(found, MixedArray):
        found = _as_numbers(found)
    if isinstance(found, pd.arrays.FloatingArray):
        return found.to_numpy(dtype=np.float64, na_value=ABSENT)
    if isinstance(found, pd.arrays.IntegerArray) and not found.isna().any():
        return found.to_numpy(dtype=np.int64)
    return found


def _as_numbers(found: MixedArray) -> Any:
    """Return values of several kinds as an array of numbers if each is a number or missing."""
    missing = found.isna()
    kinds = set(map(type, found.cells[~missing]))
    if not kinds <= {bool, int, float}:
        return found
    null = np.array([cell is None for cell in found.cells], dtype=np.bool_)
    try:
        if kinds and float not in kinds:
            return integers(np.where(missing, 0, found.cells).astype(np.int64), missing, null)
        return np.where(null, NULL, found.cells).astype(np.float64)
    except OverflowError:  # an integer too large for any array of numbers
        return found


def _holds_nulls_only(values: Any) -> bool:
    return isinstance(values, list) and len(values) > 0 and all(value is None for value in values)
