"""How DuckDB reads the pieces of a scan: files by itself where it can, else as Arrow."""

import glob
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from mlxp_reader.engines.pieces import Alike, Piece, batches, sorted_out
from mlxp_reader.store.stored_rows import StoredKey

_TYPES = {pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.bool_(): "BOOLEAN", pa.string(): "VARCHAR"}


def define_metrics(connection: Any, pieces: Sequence[Piece], schema: pa.Schema) -> None:
    """Define the table ``metrics`` of `schema` in `connection`."""
    tables = []
    alike, others = sorted_out(pieces)
    for number, some in enumerate(alike):
        ids = None
        if some.log_ids is not None:
            ids = f"mlxp_runs_{number}"
            connection.register(ids, pa.table({"log_id": pa.array(some.log_ids)}))
        # A function is called only if a question asks for its values.
        times = f"mlxp_times_{number}"
        connection.create_function(
            times, some.first.times(), ["BIGINT", "BIGINT"], "DOUBLE", type="arrow", null_handling="special"
        )
        tables.append(_selected(some, schema, ids, times))
    for number, piece in enumerate(others):
        connection.register(f"mlxp_piece_{number}", pa.Table.from_batches(batches(piece, schema), schema=schema))
        tables.append(f"from mlxp_piece_{number}")
    tables = tables or [f"select {', '.join(_null(field) for field in schema)} where false"]
    connection.execute(f"create view metrics as {' union all '.join(tables)}")


def quoted(name: str) -> str:
    """Return a name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _selected(some: Alike, schema: pa.Schema, ids: str | None, times: str) -> str:
    piece = some.first
    columns = piece.columns(schema)
    own = {"log_id": "log_id", "record": "record", "attempt": "1", "source": _text(piece.source)}
    own["time"] = f"{times}(log_id, record)"
    if piece.steps:
        own["step"] = f"coalesce({', '.join(quoted(one.column) for one in piece.steps)})"
    chosen = [
        _cast(own[field.name], field) if field.name in own else _column(columns.get(field.name), field)
        for field in schema
    ]
    files = ", ".join(_text(glob.escape(str(path))) for path in some.paths)  # DuckDB takes a path for a pattern
    where = f" where log_id in (from {ids})" if ids else ""
    return f"select {', '.join(chosen)} from read_parquet([{files}]){where}"  # noqa: S608 - all names are quoted


def _column(stored: StoredKey | None, field: pa.Field) -> str:
    return _null(field) if stored is None else _cast(quoted(stored.column), field)


def _null(field: pa.Field) -> str:
    return _cast("null", field)


def _cast(expression: str, field: pa.Field) -> str:
    return f"cast({expression} as {_TYPES[field.type]}) as {quoted(field.name)}"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
