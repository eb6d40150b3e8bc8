"""The verbs of a frame that take maps, ``(function, columns[, names])``, or, given anything else, do as pandas does."""

from typing import TYPE_CHECKING, Any, Self, overload

from mlxp_reader.frames import maps
from mlxp_reader.frames.matching import matching, remember_query
from mlxp_reader.frames.renamed_keys import KeyedFrame

if TYPE_CHECKING:
    import pandas as pd


class MappedFrame(KeyedFrame):
    """A frame whose verbs take maps, too."""

    # What pandas returns depends on what it is given, in more ways than its own stubs tell apart.
    @overload  # type: ignore[override]  # maps are more than pandas takes
    def aggregate(self, maps: maps.Maps) -> Self: ...
    @overload
    def aggregate(self, func: maps.Function, *args: Any, **kwargs: Any) -> "pd.Series[Any]": ...
    @overload
    def aggregate(self, func: maps.Functions = None, *args: Any, **kwargs: Any) -> Any: ...
    def aggregate(self, *args: Any, **kwargs: Any) -> Any:
        """Return one row: each map's function applied to the list of its column's values.

        Given no maps, this is `pandas.DataFrame.aggregate`.

        Raises
        ------
        InvalidMapError
            If the map is not of the form ``(function, columns[, names])``.
        """
        found = self._maps(args, kwargs)
        if found is None:
            return super().aggregate(*args, **kwargs)
        return self._constructor(maps.row(maps.aggregated(self, found)))

    agg = aggregate  # type: ignore[assignment]  # as above

    @overload
    def apply(self, maps: maps.Maps, map_type: maps.MapType = "Generic") -> Self: ...
    @overload
    def apply(self, func: maps.Function | maps.Functions, *args: Any, **kwargs: Any) -> Any: ...
    def apply(self, *args: Any, **kwargs: Any) -> Any:
        """Return each map's function applied to its columns, as ``map_type`` specifies.

        The `MAP_TYPES` are ``"Generic"`` (the function takes the lists of its columns' values), ``"Columnwise"`` (one
        such list), ``"Rowwise"`` (the values of one run) and ``"Pointwise"`` (one value). Given no maps, this is
        `pandas.DataFrame.apply`.
        """
        found = self._maps(args, kwargs)
        if found is None:
            return super().apply(*args, **kwargs)
        map_type = kwargs["map_type"] if "map_type" in kwargs else args[1] if len(args) > 1 else "Generic"
        columns, keeps_rows = maps.applied(self, found, map_type)
        return self._labelled(columns) if keeps_rows else self._constructor(columns)

    def transform(self, *args: Any, **kwargs: Any) -> Self:
        """Return each map's function applied to the list of its column's values, one value per run.

        Given no maps, this is `pandas.DataFrame.transform`.
        """
        found = self._maps(args, kwargs)
        return super().transform(*args, **kwargs) if found is None else self._labelled(maps.transformed(self, found))

    def map(self, *args: Any, **kwargs: Any) -> Self:
        """Return each map's function applied to each value of its columns.

        Given no maps, this is `pandas.DataFrame.map`.
        """
        found = self._maps(args, kwargs)
        return super().map(*args, **kwargs) if found is None else self._labelled(maps.mapped(self, found))

    def filter(self, *args: Any, **kwargs: Any) -> Self:
        """Return the runs that a query or a map selects.

        A text is a query, as in `Reader.filter`, and keeps the runs that match it. A map has a function that takes the
        lists of its columns' values; it keeps the runs for which the function returns true. With ``bygroups``, one or
        several columns, the function is called for each group separately. Given anything else, this is
        `pandas.DataFrame.filter`.

        Raises
        ------
        InvalidKeyError
            If the query or the map names a column that does not exist.
        SyntaxError
            If the query is not valid; the message shows the place.

        Examples
        --------
        >>> from mlxp_reader import DataFrame
        >>> runs = DataFrame({"config.lr": [0.1, 1.0, 1.0], "config.seed": [1, 1, 2]})
        >>> runs.filter("lr == 1 & seed > 1").index.tolist()
        [2]
        """
        if args and isinstance(args[0], str) and not args[1:] and not kwargs:
            chosen = self[matching(self, args[0])]
            remember_query(self, chosen, args[0])
            return chosen
        found = maps.as_maps(args[0] if args else kwargs.get("filter_map"), self, may_be_names=True)
        if found is None:
            return super().filter(*args, **kwargs)
        bygroups = kwargs["bygroups"] if "bygroups" in kwargs else args[1] if len(args) > 1 else None
        if bygroups:
            groups: Any = self.groupby(bygroups)
            return groups.filter(args[0] if args else kwargs["filter_map"], ungroup=True) if len(self) else self.copy()
        return self[maps.selected(self, found)]

    def _maps(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[maps.Map] | None:
        return maps.as_maps(args[0] if args else kwargs.get("maps"), self)

    def _labelled(self, columns: dict[str, Any]) -> Any:
        """Return columns of one value per run, with the labels of the runs."""
        return self._constructor(columns).set_axis(self.index)
