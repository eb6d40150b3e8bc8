"""Maps: ``(function, columns[, names])``, MLXP's way to say what to compute from which columns of a frame.

A tuple that begins with a function is a map, never a list of labels or functions for pandas.
"""

from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from mlxp.errors import InvalidMapError
from mlxp_reader.columns.asked_values import named_column
from mlxp_reader.columns.cells import objects
from mlxp_reader.columns.keys import fields_of
from mlxp_reader.columns.metric_array import MetricArray
from mlxp_reader.columns.metric_values import MetricValues
from mlxp_reader.query.names import FieldKind, resolve

MapForm = tuple[Callable[..., Any], str | Sequence[str]] | tuple[Callable[..., Any], str | Sequence[str], Any]
"""A map as it is written; the names of the results, a str or several, may follow."""

Maps = MapForm | Sequence[MapForm]
"""One map, or a list of several."""

Functions = list[str] | list[Callable[..., Any]] | list[str | Callable[..., Any]] | Mapping[Any, Any] | None
"""Several functions, as pandas takes them."""

Function = str | Callable[..., Any]
"""One function, as pandas takes it."""

MapType = Literal["Generic", "Columnwise", "Rowwise", "Pointwise"]

FORM = "(function, columns[, names])"

MAP_TYPES: tuple[MapType, ...] = get_args(MapType)
"""What the function of a map takes: some columns; one column; the values of one run; one value."""


@dataclass(frozen=True, slots=True)
class Map:
    """A function, the columns that it takes, and the names of those that it makes, if they are given."""

    function: Callable[..., Any]
    columns: tuple[str, ...]
    names: tuple[str, ...] | None

    def names_by_column(self) -> tuple[str, ...]:
        """Return the names of the results, one per column.

        Raises
        ------
        InvalidMapError
            If there are more or fewer names than columns.
        """
        names = self.names or tuple(f"{self._prefix}.{column}" for column in self.columns)
        if len(names) != len(self.columns):
            raise InvalidMapError(f"the map has {len(self.columns)} columns, but {len(names)} names: {names}")
        return names

    def named_results(self, results: Any) -> dict[str, Any]:
        """Return the results of one call by name; several results come as a tuple.

        Raises
        ------
        InvalidMapError
            If there are more or fewer results than names.
        """
        names = self.names or (f"{self._prefix}.{'_'.join(self.columns)}",)
        several = results if isinstance(results, tuple) else (results,)
        if len(several) != len(names):
            raise InvalidMapError(f"{self._prefix[1:]} returned {len(several)} values for the names {names}")
        return dict(zip(names, several, strict=True))

    @property
    def _prefix(self) -> str:
        return f"f{getattr(self.function, '__name__', type(self.function).__name__)}"


def as_maps(argument: Any, frame: pd.DataFrame, *, may_be_names: bool = False) -> list[Map] | None:
    """Return the maps of columns of `frame` that `argument` stands for, or None if it is meant for pandas.

    A tuple that begins with a function is a map, and so is a list of such tuples. Names of columns are neither if
    `argument` `may_be_names` of what to keep.

    Raises
    ------
    InvalidKeyError
        If a map names a column that does not exist.
    InvalidMapError
        If it does not have the form of a map.
    """
    given = argument if isinstance(argument, list) else [argument]
    are_meant = [isinstance(item, tuple) and bool(item) and callable(item[0]) for item in given]
    if not any(are_meant):
        _refuse_what_was_meant_as_map(argument, frame, may_be_names)
        return None
    if not all(are_meant):
        raise InvalidMapError(f"a list holds only maps, such as {FORM}, or none: {argument!r}")
    fields = fields_of(frame)
    return [_map(item, fields) for item in given]


def _refuse_what_was_meant_as_map(argument: Any, frame: pd.DataFrame, may_be_names: bool) -> None:
    if isinstance(argument, tuple) and any(map(callable, argument)):
        raise InvalidMapError(f"a map begins with its function, {FORM}, and {argument!r} does not")
    names = _strings(argument) if _are_names(argument) else ()
    if not may_be_names and names and all(name in frame.columns and not hasattr(pd.Series, name) for name in names):
        raise InvalidMapError(f"{argument!r} names columns, but not what to compute from them, as a map does: {FORM}")


def _map(item: tuple[Any, ...], fields: Mapping[str, FieldKind]) -> Map:
    if len(item) not in {2, 3} or not _are_names(item[1]):
        raise InvalidMapError(
            f"a tuple that begins with a function is a map, of the form {FORM}, which {item!r} is not;"
            " several functions for pandas are a list: [min, max]"
        )
    columns = tuple(resolve(name, fields, wants="anything") for name in _strings(item[1]))
    return Map(item[0], columns, _result_names(item))


def _are_names(names: Any) -> bool:
    return isinstance(names, str) or (
        isinstance(names, tuple | list) and bool(names) and all(isinstance(name, str) for name in names)
    )


def _strings(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _result_names(item: tuple[Any, ...]) -> tuple[str, ...] | None:
    if len(item) == 2 or item[2] is None:
        return None
    if not _are_names(item[2]):
        raise InvalidMapError(f"the third element of a map is a name or several, not {item[2]!r}")
    return _strings(item[2])


def aggregated(frame: pd.DataFrame, maps: Sequence[Map]) -> dict[str, Any]:
    """Return a row: each function applied to each of its columns."""
    return _columnwise(frame, maps)


def transformed(frame: pd.DataFrame, maps: Sequence[Map]) -> dict[str, Any]:
    """Return columns: each function applied to each of its columns, one value per run.

    Raises
    ------
    InvalidMapError
        If a function does not keep the number of rows.
    """
    results = _columnwise(frame, maps)
    if not _keep_rows(results, len(frame)):
        raise InvalidMapError(f"a transformation returns one value per row, here {len(frame)}; use aggregate to reduce")
    return {name: column(list(values)) for name, values in results.items()}


def mapped(frame: pd.DataFrame, maps: Sequence[Map]) -> dict[str, Any]:
    """Return columns: each function applied to each value of its columns."""
    return {
        name: column([one.function(value) for value in _values(frame, source)])
        for one in maps
        for name, source in zip(one.names_by_column(), one.columns, strict=True)
    }


def selected(frame: pd.DataFrame, maps: Sequence[Map]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return for each row whether the one map, whose function takes its columns, keeps it.

    Raises
    ------
    InvalidMapError
        If there are several maps, or the function does not return one truth value per row.
    """
    if len(maps) != 1:
        raise InvalidMapError(f"a filter is one map, not {len(maps)}")
    results = _generic(frame, maps)
    if len(results) != 1 or not _keep_rows(results, len(frame)):
        raise InvalidMapError(f"a filter returns one truth value per row, here {len(frame)}")
    (keep,) = results.values()
    return np.array([bool(value) for value in keep], dtype=np.bool_)


def applied(frame: pd.DataFrame, maps: Sequence[Map], map_type: str) -> tuple[dict[str, Any], bool]:
    """Return columns, or one row, according to `map_type` and to what the functions return.

    The second value tells whether there is a row per run.

    Raises
    ------
    InvalidMapError
        If `map_type` is none of `MAP_TYPES`, or if some functions keep the number of rows and others do not.
    """
    if map_type not in MAP_TYPES:
        raise InvalidMapError(f"unknown map_type '{map_type}'; there are {', '.join(MAP_TYPES)}")
    if map_type == "Pointwise":
        return mapped(frame, maps), True
    if map_type == "Rowwise":
        return _rowwise(frame, maps), True
    results = _columnwise(frame, maps) if map_type == "Columnwise" else _generic(frame, maps)
    if _keep_rows(results, len(frame)):
        return {name: column(list(values)) for name, values in results.items()}, True
    return row(results), False


def row(results: dict[str, Any]) -> dict[str, Any]:
    """Return columns of one row."""
    return {name: column([value]) for name, value in results.items()}


def column(values: list[Any]) -> Any:
    """Return `values` as a column of the tightest type; lists and arrays stay what they are, one per cell."""
    if values and all(isinstance(value, MetricValues) for value in values):
        return MetricArray(objects(values))
    inferred = pd.Series(objects(values), dtype=object).infer_objects()
    return inferred.array


def _columnwise(frame: pd.DataFrame, maps: Sequence[Map]) -> dict[str, Any]:
    return {
        name: one.function(_values(frame, source))
        for one in maps
        for name, source in zip(one.names_by_column(), one.columns, strict=True)
    }


def _generic(frame: pd.DataFrame, maps: Sequence[Map]) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for one in maps:
        results |= one.named_results(one.function(*(_values(frame, source) for source in one.columns)))
    return results


def _rowwise(frame: pd.DataFrame, maps: Sequence[Map]) -> dict[str, Any]:
    results: dict[str, list[Any]] = {}
    for one in maps:
        for values in zip(*(_values(frame, source) for source in one.columns), strict=True):
            for name, result in one.named_results(one.function(*values)).items():
                results.setdefault(name, []).append(result)
    return {name: column(values) for name, values in results.items()}


def load(frames: Sequence[Any], maps: Sequence[Map]) -> None:
    """Load the metrics that maps take from some frames, each metric in one go."""
    for name in {name for one in maps for name in one.columns}:
        columns = [frame[name].array for frame in frames if isinstance(frame, pd.DataFrame) and name in frame.columns]
        metrics = [column for column in columns if isinstance(column, MetricArray)]
        if metrics:
            MetricArray._concat_same_type(metrics).load()  # noqa: SLF001 - of our own class


def _values(frame: pd.DataFrame, name: str) -> list[Any]:
    column = frame[name] if name in frame.columns else named_column(frame, name, wants="anything")
    if isinstance(column.array, MetricArray):
        column.array.load()
    values: list[Any] = column.tolist()
    return values


def _keep_rows(results: dict[str, Any], rows: int) -> bool:
    """Tell whether all results have one value per row.

    Raises
    ------
    InvalidMapError
        If only some have.
    """
    keeps = [_is_collection(values) and len(values) == rows for values in results.values()]
    if any(keeps) and not all(keeps):
        raise InvalidMapError("some maps return one value per row and others do not; apply them one by one")
    return bool(keeps) and all(keeps)


def _is_collection(values: Any) -> bool:
    return isinstance(values, Sized) and not isinstance(values, str | bytes | dict) and getattr(values, "ndim", 1) != 0
