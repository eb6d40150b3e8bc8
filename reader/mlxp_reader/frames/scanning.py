"""What a scan of metrics reads: which files of the cache, for which runs."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlxp.run_directory.layout import STEP_KEYS
from mlxp_reader.columns.arrow_storage import portable_table
from mlxp_reader.columns.lazy_cells import Rows
from mlxp_reader.engines.pieces import Piece, Resumed, Wanted
from mlxp_reader.engines.scan import Scan
from mlxp_reader.frames.builder import FrameBuilder
from mlxp_reader.query.names import resolve
from mlxp_reader.store.lists import RunProblem
from mlxp_reader.store.log_directories import LogDirectories

Tell = Callable[[Sequence[tuple[str, RunProblem]]], None]


def scan_of(
    builder: FrameBuilder, logs: LogDirectories, names: Sequence[str], mask: npt.NDArray[np.bool_] | None, tell: Tell
) -> Scan:
    """Return the scan of some metrics, of all by default, in the runs of `mask`; `tell` is given what cannot be read.

    Raises
    ------
    InvalidKeyError
        If there is no such metric.
    """
    metrics = [name for name, kind in builder.fields.items() if kind == "metric"]
    chosen = dict.fromkeys(resolve(name, builder.fields, "metric") for name in names) if names else metrics
    rows = np.arange(logs.table.num_rows) if mask is None else np.flatnonzero(mask)
    names = tuple(chosen)
    return Scan(names, partial(_pieces, builder, logs, names, rows, tell), partial(_runs, builder, rows))


def _pieces(builder: FrameBuilder, logs: LogDirectories, names: Sequence[str], rows: Rows, tell: Tell) -> list[Piece]:
    wanted: dict[str, list[Wanted]] = {}
    rows_of: dict[str, list[Rows]] = {}
    for name in names:
        for source in builder.sources(name):
            wanted.setdefault(source.log_name, []).append(Wanted(name, source.log_name, source.key))
            rows_of.setdefault(source.log_name, []).append(source.rows)
    pieces = []
    for log_name, of_log in wanted.items():
        here = np.intersect1d(rows, np.concatenate(rows_of[log_name]))
        steps = [key for key in STEP_KEYS if builder.fields.get(f"{log_name}.{key}") == "metric"]
        keys = list(dict.fromkeys([*(one.key for one in of_log), *steps]))
        resumed = _resumed(builder, logs, log_name, here)
        for directory, readings, problems in logs.stored(log_name, keys, here):
            tell([(directory.name, problem) for problem in problems])
            for reading in readings:
                told = {
                    run: resumed[run, directory.name]
                    for run in reading.log_ids.tolist()
                    if (run, directory.name) in resumed
                }
                pieces.append(Piece(reading, directory.name, directory.path, log_name, tuple(of_log), told))
    return pieces


def _resumed(builder: FrameBuilder, logs: LogDirectories, log_name: str, rows: Rows) -> dict[tuple[int, str], Resumed]:
    """Return what the resumed runs at `rows` say, by id and directory."""
    there = np.intersect1d(rows, np.array(builder.resumed, dtype=np.intp))
    ids = logs.table["log_id"].to_numpy()[there].tolist()
    told = [Resumed(*builder.attempts_in(log_name, row)) for row in there.tolist()]
    keys = zip(ids, logs.names_at(there), strict=True)
    return {key: one for key, one in zip(keys, told, strict=True) if one.beginnings}


def _runs(builder: FrameBuilder, rows: Rows) -> pa.Table:
    """Return the configuration and info of the runs at `rows`."""
    names = [name for name, kind in builder.fields.items() if kind == "value"]
    mask = np.zeros(len(builder.log_ids), dtype=np.bool_)
    mask[rows] = True
    table = portable_table(builder.frame(mask)[names], index=False)
    return table.add_column(0, "log_id", pa.array(builder.log_ids[rows]))
