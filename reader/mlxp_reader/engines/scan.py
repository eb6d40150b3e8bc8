"""A scan: the records of runs for another engine, which reads them from the files of the cache."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from mlxp_reader.engines import duckdb_engine, polars_engine
from mlxp_reader.engines.extras import imported
from mlxp_reader.engines.pieces import Piece, batches, schema_of
from mlxp_reader.engines.unheld import warn_of_unheld

if TYPE_CHECKING:
    import dask.dataframe
    import duckdb
    import pandas as pd
    import polars as pl


@dataclass(frozen=True, slots=True)
class Scan:
    """Metrics of runs, one row per record, which are read when an engine is asked for them; `Reader.scan` makes it.

    The columns are ``log_id``; ``source``, the directory of the run; ``attempt``, which of the run's attempts logged
    the record; ``step``, the record's step, epoch or iteration, the first one that it has; ``time``, when it was
    logged, in seconds since its run started, or null if the run has not noted that; ``record``, its number in the
    metrics file; and the metrics under their names. A record without a metric has null there; NaN is a NaN.

    Polars brings the cache up to date when it collects; the other methods do so when they are called. The engine then
    reads the files of the cache when it is asked, so ask soon: another process may merge them.

    Attributes
    ----------
    names
        The names of the metrics.
    """

    names: tuple[str, ...]
    _pieces: Callable[[], list[Piece]]
    _runs: Callable[[], pa.Table]

    def to_polars(self) -> "pl.LazyFrame":
        """Return a `polars.LazyFrame`, which reads only the columns and rows that are collected, when they are."""
        frame: pl.LazyFrame = polars_engine.lazy_frame(imported("polars"), self._found)
        return frame

    def to_duckdb(self, sql: str = "select * from metrics") -> "duckdb.DuckDBPyRelation":
        """Return the answer of DuckDB to a query over the tables ``metrics`` and ``runs``.

        Parameters
        ----------
        sql
            The query. Names with dots are written in double quotes: ``select avg("train.loss") from metrics``. The
            table ``runs`` has the configuration and info of the runs, under their full names.
        """
        connection = imported("duckdb").connect()
        if re.search(r"\bruns\b", sql, re.IGNORECASE):
            connection.register("runs", self._runs())
        duckdb_engine.define_metrics(connection, *self._found())
        answer: duckdb.DuckDBPyRelation = connection.sql(sql)
        return answer

    def to_arrow(self) -> pa.RecordBatchReader:
        """Return a `pyarrow.RecordBatchReader`, which reads some rows at a time; ``.read_all()`` makes a table."""
        pieces, schema = self._found()
        return pa.RecordBatchReader.from_batches(schema, (one for piece in pieces for one in batches(piece, schema)))

    def to_pandas(self) -> "pd.DataFrame":
        """Return a plain `pandas.DataFrame` of all records."""
        frame: pd.DataFrame = self.to_arrow().read_all().to_pandas()
        return frame

    def to_dask(self) -> "dask.dataframe.DataFrame":
        """Return a Dask dataframe with a partition for each reading of the cache."""
        engine = imported("dask.dataframe", "dask")
        pieces, schema = self._found()
        meta = schema.empty_table().to_pandas()
        frame: dask.dataframe.DataFrame = (
            engine.from_map(_partition, pieces, schema=schema, meta=meta)  # which passes `columns`
            if pieces
            else engine.from_pandas(meta, npartitions=1)
        )
        return frame

    def _found(self) -> tuple[list[Piece], pa.Schema]:
        """Bring the cache up to date; return where the records are, and the columns."""
        pieces = self._pieces()
        schema = schema_of(pieces, self.names)
        warn_of_unheld(pieces, schema)
        return pieces, schema


def _partition(piece: Piece, schema: pa.Schema, columns: list[str] | None = None) -> "pd.DataFrame":
    chosen = schema if columns is None else pa.schema([schema.field(name) for name in columns])
    frame: pd.DataFrame = pa.Table.from_batches(batches(piece, chosen), schema=chosen).to_pandas()
    return frame
