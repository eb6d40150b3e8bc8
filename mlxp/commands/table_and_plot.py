"""What ``mlxp`` shows about many runs: a table of them, and a plot of a metric."""

import argparse
import csv
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlxp.commands.logs_directory import check_directory
from mlxp.commands.terminal import as_json, coloured, has_colours, plain
from mlxp.errors import LogDirectoryError, MLXPError
from mlxp.run_directory.archive import is_archive
from mlxp.run_directory.batches import LAST
from mlxp.run_directory.layout import run_directories
from mlxp.run_directory.status import Status
from mlxp_reader import Reader
from mlxp_reader.columns.keys import fields_of, short
from mlxp_reader.columns.missing import IS_ABSENT, TEXTS, THERE, exact_values, kind_of
from mlxp_reader.query.names import SHORT_NAMES, resolve

if TYPE_CHECKING:
    from mlxp_reader import DataFrame

LOG_ID, STATUS = SHORT_NAMES["log_id"], SHORT_NAMES["status"]
_DOTS_PER_INCH = 200


def opened(logs: Path) -> Reader:
    """Return the reader of a directory that contains runs.

    Raises
    ------
    LogDirectoryError
        If there is no such directory, or no run in it.
    """
    if is_archive(logs):
        return Reader(logs)
    check_directory(logs)
    # This comes before the reader can leave its index in a directory that was named by mistake.
    if next(run_directories(logs), None) is None:
        raise LogDirectoryError(f"there are no runs in {logs}; name the runs' directory with --logs")
    return Reader(logs)


def _selected(options: argparse.Namespace) -> "DataFrame":
    reader = opened(options.logs)
    batch = getattr(options, "batch", None)
    query = options.query or "" if batch is None else _of_batch(reader, batch, options)
    runs = reader.filter(query)
    if runs.empty:
        raise MLXPError(f"no run in {options.logs} matches {options.query}")
    return runs


def _of_batch(reader: Reader, name: str, options: argparse.Namespace) -> str:
    """Return the query for the runs of a batch, and for what the user asks."""
    runs = reader.filter("")
    known = runs["info.batch"].dropna().tolist() if "info.batch" in runs.columns else []
    name = known[-1] if known and name == LAST else name
    if name not in known:
        raise MLXPError(f"there is no batch {name!r} in {options.logs}")
    return f"info.batch == '{name}'" + (f" & ({options.query})" if options.query else "")


def table(options: argparse.Namespace) -> int:
    """Print the runs as a table."""
    runs = _selected(options)
    fields = fields_of(runs)
    order = {name: resolve(name, fields) for name in options.sort or []}
    if options.columns is None:
        names = _default_columns(runs, order)
    else:
        names = {name: resolve(name, fields) for name in options.columns}
    runs = runs.with_stats(*(name for name in {**order, **names}.values() if name not in fields))
    if order:
        runs = runs.sort(list(order.values()), ascending=not options.descending)
    _print_table(runs, names, options.format)
    return 0


def _default_columns(runs: "DataFrame", order: dict[str, str]) -> dict[str, str]:
    """Return the columns by heading: the id, what varies, what the table is sorted by, and the status."""
    # Runs that wait for their jobs have no status yet.
    ends = [name for name in (LOG_ID, STATUS) if name in runs.columns]
    names = list(dict.fromkeys([*ends[:1], *runs.diff(), *order.values(), *ends[1:]]))
    heads = [next((head for head, one in SHORT_NAMES.items() if one == name), short(name)) for name in names]
    return {head if heads.count(head) == 1 else name: name for head, name in zip(heads, names, strict=True)}


def _print_table(runs: "DataFrame", names: dict[str, str], form: str) -> None:
    if form in {"csv", "json"}:
        columns = map(exact_values, (runs[name] for name in names.values()))
        print_values(list(names), list(zip(*columns, strict=True)), form)
        return
    text = runs.to_table(list(names.values()), form, headers=list(names))
    print(_A_STATUS.sub(lambda found: coloured(found[0]), text) if form == "simple" and has_colours() else text)


_A_STATUS = re.compile(rf"(?<!\S)(?:{'|'.join(Status)})(?!\S)")


def print_values(heads: list[str], rows: Sequence[Sequence[Any]], form: str) -> None:
    """Print a table as ``json`` or ``csv``, with all digits."""
    if form == "json":
        print(as_json([dict(zip(heads, row, strict=True)) for row in rows]))
        return
    cells = ([_csv_cell(value) for value in row] for row in rows)
    csv.writer(sys.stdout, lineterminator="\n").writerows([heads, *cells])


def _csv_cell(value: Any) -> Any:
    """Return a value as it stands in CSV: nothing if it is absent, and lists and dicts as JSON."""
    if (kind := kind_of(value)) != THERE:
        return "" if kind == IS_ABSENT else TEXTS[kind]
    value = plain(value)
    return json.dumps(value) if isinstance(value, list | dict) else value


def plot(options: argparse.Namespace) -> int:
    """Draw a metric of the runs and write the plot to a file."""
    os.environ["MPLBACKEND"] = "agg"  # there may be no display
    try:
        from mlxp_reader.presentation.plot_style import pyplot

        pyplot()
    except ImportError as error:
        raise MLXPError(str(error)) from error
    _check_format(options.output)
    runs = _selected(options)
    figure = _drawn(runs, options)
    try:
        figure.savefig(options.output, dpi=_DOTS_PER_INCH)
    except (OSError, RuntimeError) as error:
        raise LogDirectoryError(f"cannot write {options.output}: {error}") from error
    print(f"{options.output}: {options.metric} of {_counted(runs)}")
    return 0


def _check_format(path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    known = FigureCanvasAgg.get_supported_filetypes()
    if path.suffix[1:].lower() not in known:
        endings = ", ".join(f".{name}" for name in sorted(known))
        raise MLXPError(f"the ending of {path} is not a picture format; the formats are {endings}")


def _drawn(runs: "DataFrame", options: argparse.Namespace) -> Any:
    """Return the figure, which has at least one line."""
    import numpy as np

    axes: Any = runs.plot_metric(
        options.metric,
        **{name: getattr(options, name) for name in ("hue", "style", "row", "col", "over", "exclude", "x", "step")},
        **{name: getattr(options, name) for name in ("smooth", "logx", "logy", "width")},
        band=None if options.band == "none" else options.band,
    )
    every = np.ravel(axes)
    if not any(axis.lines for axis in every):
        raise MLXPError(f"there is no value of {options.metric} to draw in {_counted(runs)}")
    return every[0].figure


def _counted(runs: "DataFrame") -> str:
    return f"{len(runs)} run{'s' * (len(runs) != 1)}"
