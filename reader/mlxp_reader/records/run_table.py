"""The records of runs as an Arrow table, one row per run, and several such tables as one."""

import json
import os
from collections.abc import Collection, Sequence
from itertools import chain, repeat
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from mlxp_reader.query.expressions import MISSING
from mlxp_reader.records import encoding
from mlxp_reader.records.crawl import GLANCED_AT, Record, crawl, metrics_file
from mlxp_reader.records.file_states import NO_FILE, UNKNOWN, FileState, Numbers, States, fingerprints

OWN = {
    "log_id": pa.int64(),
    "files": pa.dictionary(pa.int32(), pa.string()),  # whose states are in `stamp`
    "stamp": pa.int64(),
    "glance": pa.int64(),  # the states of `GLANCED_AT` only
    "changed_ns": pa.int64(),  # when any of the files was changed last
    "settled": pa.bool_(),
    "glanced": pa.bool_(),  # whether no more than `GLANCED_AT` was looked at when the index was opened; never stored
    "metric_states": pa.list_(pa.field("element", pa.int64())),  # of each file in `metrics`; named as Parquet does
    "metrics": pa.dictionary(pa.int32(), pa.string()),
    "artifacts": pa.dictionary(pa.int32(), pa.string()),
    "problems": pa.dictionary(pa.int32(), pa.string()),
}
"""The columns beside the fields, which all start with ``config.`` or ``info.``."""


class Shared(NamedTuple):
    """What the runs say about something, read once for all runs that say the same."""

    contents: list[Any]
    of_run: npt.NDArray[np.intp]
    """For each run, the position of its content in `contents`."""


def shared(table: pa.Table, name: str) -> Shared:
    """Return the column `name`, which holds JSON texts."""
    column = table[name].combine_chunks()
    contents = [json.loads(text) for text in column.dictionary.to_pylist()]
    return Shared(contents, column.indices.to_numpy().astype(np.intp))


def crawled(source: str, log_ids: Sequence[int]) -> pa.Table:
    """Return the records of some runs in `source`; leave out those that were removed since they were listed.

    Examples
    --------
    >>> crawled("tests/data/mlxp-1.0.5-logs/logs", [1, 3, 999])["log_id"].to_pylist()
    [1, 3]
    """
    paths = [f"{source}{os.sep}{log_id}" for log_id in log_ids]
    records = zip(paths, map(crawl, paths), strict=True)
    return table_of([one for path, one in records if _is_whole(one) or os.path.isdir(path)])  # noqa: PTH112


def _is_whole(record: Record) -> bool:
    """Tell whether nothing is missing, as it is in a run that was removed or renamed while it was read."""
    return "info.status" in record.values and not record.problems


def table_of(records: Sequence[Record]) -> pa.Table:
    """Return the table of some records."""
    own: dict[str, Any] = {
        "log_id": [record.log_id for record in records],
        "files": [_json(list(record.states)) for record in records],
        "stamp": _stamps(records),
        "glance": _fingerprints([[record.states[name] for name in GLANCED_AT] for record in records]),
        "changed_ns": [record.changed_ns for record in records],
        "settled": [record.settled for record in records],
        "glanced": [False] * len(records),
        "metric_states": [_metric_states(record) for record in records],
        "metrics": [_json(record.metrics) for record in records],
        "artifacts": [_json(record.artifacts) for record in records],
        "problems": [_json([list(problem) for problem in record.problems]) for record in records],
    }
    columns = [(pa.field(name, kind), _array(own[name], kind)) for name, kind in OWN.items()]
    names: dict[str, Any] = {}
    for record in records:
        names.update(record.values)
    values = [record.values for record in records]
    columns += [encoding.encoded(name, list(map(dict.get, values, repeat(name), repeat(MISSING)))) for name in names]
    return _table(columns)


def _table(columns: Sequence[encoding.EncodedColumn]) -> pa.Table:
    return pa.table([column for _, column in columns], schema=pa.schema([field for field, _ in columns]))


def _array(values: Any, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_dictionary(kind):
        return pa.chunked_array([pa.array(values, type=kind.value_type).dictionary_encode()])
    return pa.chunked_array([pa.array(values, type=kind)])


def _stamps(records: Sequence[Record]) -> Numbers:
    # The record of an unfinished run may change while the files stay the same: when the run's process ends, or when its
    # time to write the first files is over.
    checks = [0 if record.settled else record.checksum() for record in records]
    return _fingerprints([list(record.states.values()) for record in records]) ^ np.array(checks, dtype=np.int64)


def _fingerprints(states: Sequence[Collection[FileState]]) -> Numbers:
    numbers = np.fromiter(chain.from_iterable(chain.from_iterable(states)), np.int64).reshape(-1, len(NO_FILE))
    return fingerprints(numbers, np.array(list(map(len, states)), dtype=np.int64))


def _metric_states(record: Record) -> list[int]:
    return [number for log_name in record.metrics for number in record.states[metrics_file(log_name)]]


def metric_states(table: pa.Table, log_name: str, rows: npt.NDArray[np.intp]) -> States:
    """Return the states of a metrics file of the runs at `rows`, as they were when the index was brought up to date.

    They are `UNKNOWN` for unfinished runs, and for those whose metrics files were not looked at then.
    """
    logs = shared(table, "metrics")
    place_in = [list(content).index(log_name) if log_name in content else -1 for content in logs.contents]
    places = np.array(place_in, dtype=np.int64)[logs.of_run[rows]]
    is_trusted = table["settled"].to_numpy() & ~table["glanced"].to_numpy()
    is_known = np.flatnonzero(is_trusted[rows] & (places >= 0))
    known = table["metric_states"].combine_chunks()
    starts = known.offsets.to_numpy()[rows[is_known]] + len(UNKNOWN) * places[is_known]
    states = np.full((len(rows), len(UNKNOWN)), UNKNOWN)
    states[is_known] = known.values.to_numpy()[starts[:, None] + np.arange(len(UNKNOWN))]
    return states


def _json(content: Any) -> str:
    try:
        return orjson.dumps(content).decode()
    except orjson.JSONEncodeError:  # file names that are not valid text
        return json.dumps(content, separators=(",", ":"))


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the rows of all tables, one table below the other."""
    if len(tables) == 1:
        return tables[0]
    names = dict.fromkeys(chain.from_iterable(table.schema.names for table in tables))
    return _table([_joined_column(name, tables) for name in names]).combine_chunks()


def _joined_column(name: str, tables: Sequence[pa.Table]) -> encoding.EncodedColumn:
    if name in OWN:
        return tables[0].schema.field(name), encoding.concatenated([table[name] for table in tables])
    places = [table.schema.get_field_index(name) for table in tables]
    parts = [
        table.num_rows if at < 0 else (table.schema.field(at), table.column(at))
        for table, at in zip(tables, places, strict=True)
    ]
    return encoding.joined(name, parts)


def taken(table: pa.Table, rows: npt.NDArray[np.intp]) -> pa.Table:
    """Return the runs at `rows`, and nothing that only other runs have said."""
    table = table.take(pa.array(rows, type=pa.int64()))
    columns = zip(table.schema, map(encoding.without_unused, table.columns), strict=True)
    return _table(list(columns)).replace_schema_metadata(table.schema.metadata)
