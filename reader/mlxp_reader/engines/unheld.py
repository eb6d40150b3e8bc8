"""Which values the columns of a scan cannot hold, and a warning of them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlxp_reader.engines.pieces import Piece
from mlxp_reader.notices import notice
from mlxp_reader.store.stored_rows import StoredKey
from mlxp_reader.store.wide_columns import EXACT


@dataclass(slots=True)
class _Values:
    """How many values of a metric there are, and in which runs."""

    count: int = 0
    runs: set[tuple[str, int]] = field(default_factory=set)

    def add(self, piece: Piece, log_ids: Sequence[int]) -> None:
        self.count += len(log_ids)
        self.runs |= {(piece.source, run) for run in log_ids}


_Found = dict[str, dict[str, _Values]]
"""What becomes of the values, and for each metric which they are."""

_NULL = "values that the column of a scan cannot hold are null"
_ROUNDED = "integers beyond 2**53 are rounded"


def warn_of_unheld(pieces: Sequence[Piece], schema: pa.Schema) -> None:
    """Warn of the values of metrics that are null or rounded in a scan, if there are any."""
    found: _Found = {_NULL: {}, _ROUNDED: {}}
    for piece in pieces:
        _add_other_types(piece, schema, found)
        _add_exact(piece, schema, found)
    told = [f"{what}: {', '.join(map(_told, of.items()))}" for what, of in found.items() if of]
    if told:
        notice(f"{'; '.join(told)}; the frame of reader.filter() has them as they were logged")


def _told(of_metric: tuple[str, _Values]) -> str:
    name, values = of_metric
    return f"{values.count} of {name} in {len(values.runs)} run{'s' * (len(values.runs) > 1)}"


def _add_other_types(piece: Piece, schema: pa.Schema, found: _Found) -> None:
    """Add what is of one type in this directory, where the column has that of another directory."""
    held = piece.columns(schema)
    for name, stored in piece.stored.items():
        if name not in held:
            for runs, values in _rows(piece, stored.file, stored.column):
                found[_NULL].setdefault(name, _Values()).add(piece, runs[values.is_valid().to_numpy(False)].tolist())


def _add_exact(piece: Piece, schema: pa.Schema, found: _Found) -> None:
    """Add what a file of the cache has beside its columns."""
    for number in piece.reading.exact:
        wanted = {one.key: (one.name, piece.stored[one.name]) for one in piece.wanted if one.name in piece.stored}
        wanted = {key: (name, stored) for key, (name, stored) in wanted.items() if stored.file == number}
        for runs, texts in _rows(piece, number, EXACT):
            rows = np.flatnonzero(texts.is_valid().to_numpy(False))
            for run, text in zip(runs[rows].tolist(), texts.take(pa.array(rows)).to_pylist(), strict=True):
                for key, value in json.loads(text).items():
                    if key in wanted and (what := _fate(value, *wanted[key], schema)) is not None:
                        found[what].setdefault(wanted[key][0], _Values()).add(piece, [run])


def _fate(value: Any, name: str, stored: StoredKey, schema: pa.Schema) -> str | None:
    """Return what becomes of a value, or None if nothing is lost."""
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or stored.type != "double" or pa.types.is_string(schema.field(name).type):
        return _NULL
    try:
        return None if float(value) == value else _ROUNDED
    except OverflowError:
        return _ROUNDED


def _rows(piece: Piece, file: int, column: str) -> Iterator[tuple[Any, pa.Array]]:
    """Yield a column of a file for the records that count, each with its run, a batch at a time."""
    with pq.ParquetFile(piece.reading.paths[file]) as opened:
        for batch in opened.iter_batches(columns=["log_id", "record", column], use_threads=False):
            runs, records = batch["log_id"].to_numpy(), batch["record"].to_numpy()
            counts = np.isin(runs, piece.reading.log_ids)
            for run, told in piece.resumed.items():
                counts &= (runs != run) | ~np.isin(records, told.lost)
            yield runs[counts], batch[column].filter(pa.array(counts))
