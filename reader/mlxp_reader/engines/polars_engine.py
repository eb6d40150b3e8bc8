"""How Polars reads the pieces of a scan when it collects: files by itself where it can, else as Arrow."""

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from mlxp_reader.engines.extras import imported
from mlxp_reader.engines.pieces import Alike, Piece, batches, sorted_out
from mlxp_reader.store.stored_rows import StoredKey

Find = Callable[[], tuple[list[Piece], pa.Schema]]


def lazy_frame(pl: Any, find: Find) -> Any:
    """Return the records as a lazy frame, for which the pieces are found when it is collected.

    Parameters
    ----------
    pl
        The module of Polars.
    find
        Brings the cache up to date, and returns the pieces and the columns.
    """
    source = _Source(pl, find)
    return imported("polars.io.plugins", "polars").register_io_source(source.read, schema=source.schema)


class _Source:
    """What Polars asks for its schema, and then for the columns and rows that it needs."""

    def __init__(self, pl: Any, find: Find) -> None:
        self._pl = pl
        self._find = find
        self._pieces: list[Piece] = []
        self._schema = pa.schema([])

    def schema(self) -> Any:
        """Return the columns, each time that a frame is collected."""
        self._pieces, self._schema = self._find()
        return self._pl.from_arrow(self._schema.empty_table()).schema

    def read(
        self, with_columns: list[str] | None, predicate: Any, n_rows: int | None, batch_size: int | None
    ) -> Iterator[Any]:
        """Yield the rows that fulfil `predicate`, with some columns, in frames of about `batch_size` rows."""
        alike, others = sorted_out(self._pieces)
        all_pieces: list[Alike | Piece] = [*alike, *others]
        frames = [self._frame(some, with_columns, predicate) for some in all_pieces]
        empty = self._pl.from_arrow(self._schema.empty_table())
        frame = self._pl.concat(frames or [empty.lazy() if with_columns is None else empty.lazy().select(with_columns)])
        yield from (frame if n_rows is None else frame.head(n_rows)).collect_batches(chunk_size=batch_size)

    def _frame(self, some: Alike | Piece, columns: list[str] | None, predicate: Any) -> Any:
        chosen = self._schema.names if columns is None else columns
        asked = {*chosen, *(() if predicate is None else predicate.meta.root_names())}
        schema = pa.schema([field for field in self._schema if field.name in asked])
        frame = _selected(self._pl, some, schema) if isinstance(some, Alike) else _as_arrow(self._pl, some, schema)
        return (frame if predicate is None else frame.filter(predicate)).select(chosen)


def _as_arrow(pl: Any, piece: Piece, schema: pa.Schema) -> Any:
    return pl.from_arrow(pa.Table.from_batches(batches(piece, schema), schema=schema)).lazy()


def _selected(pl: Any, some: Alike, schema: pa.Schema) -> Any:
    piece = some.first
    types = {pa.int64(): pl.Int64, pa.float64(): pl.Float64, pa.bool_(): pl.Boolean, pa.string(): pl.String}
    columns = piece.columns(schema)
    own = {"log_id": pl.col("log_id"), "record": pl.col("record"), "attempt": pl.lit(1), "source": pl.lit(piece.source)}
    if piece.steps:
        own["step"] = pl.coalesce(*(pl.col(one.column) for one in piece.steps))
    if "time" in schema.names:
        own["time"] = pl.struct("log_id", "record").map_batches(
            _times(pl, piece), return_dtype=pl.Float64, is_elementwise=True
        )
    chosen = [
        (own[field.name] if field.name in own else _column(pl, columns.get(field.name)))
        .cast(types[field.type])
        .alias(field.name)
        for field in schema
    ]
    stored = {"double": pl.Float64, "bool": pl.Boolean, "string": pl.String}
    there = {"log_id": pl.Int64, "record": pl.Int64}
    there |= {one.column: stored[one.type] for one in (*columns.values(), *piece.steps)}
    frame = pl.scan_parquet(some.paths, glob=False, schema=there, extra_columns="ignore")
    if some.log_ids is not None:
        frame = frame.filter(pl.col("log_id").is_in(some.log_ids.tolist()))
    return frame.select(chosen)


def _times(pl: Any, piece: Piece) -> Callable[[Any], Any]:
    times = piece.times()
    return lambda of: pl.Series(times(of.struct["log_id"].to_arrow(), of.struct["record"].to_arrow()))


def _column(pl: Any, stored: StoredKey | None) -> Any:
    return pl.lit(None) if stored is None else pl.col(stored.column)
