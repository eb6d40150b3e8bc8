"""How Polars reads the pieces of a scan: files by itself where it can, else as Arrow."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from mlxp_reader.engines.pieces import Piece, batches
from mlxp_reader.store.stored_rows import StoredKey


def lazy_frame(pl: Any, pieces: Sequence[Piece], schema: pa.Schema) -> Any:
    """Return the records of all pieces as a lazy frame of `schema`; `pl` is the module of Polars."""
    frames = [_selected(pl, piece, schema) for piece in pieces]
    return pl.concat(frames) if frames else pl.from_arrow(schema.empty_table()).lazy()


def _selected(pl: Any, piece: Piece, schema: pa.Schema) -> Any:
    if not piece.is_plain:
        return pl.from_arrow(pa.Table.from_batches(batches(piece, schema), schema=schema)).lazy()
    types = {pa.int64(): pl.Int64, pa.float64(): pl.Float64, pa.bool_(): pl.Boolean, pa.string(): pl.String}
    columns = piece.columns(schema)
    own = {"log_id": pl.col("log_id"), "record": pl.col("record"), "attempt": pl.lit(1), "source": pl.lit(piece.source)}
    if piece.steps:
        own["step"] = pl.coalesce(*(pl.col(one.column) for one in piece.steps))
    chosen = [
        (own[field.name] if field.name in own else _column(pl, columns.get(field.name)))
        .cast(types[field.type])
        .alias(field.name)
        for field in schema
    ]
    frame = pl.scan_parquet(piece.reading.paths[0], glob=False)
    if piece.reading.has_others:
        frame = frame.filter(pl.col("log_id").is_in(piece.reading.log_ids.tolist()))
    return frame.select(chosen)


def _column(pl: Any, stored: StoredKey | None) -> Any:
    return pl.lit(None) if stored is None else pl.col(stored.column)
