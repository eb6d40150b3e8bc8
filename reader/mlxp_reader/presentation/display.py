"""How a frame of runs is shown: how many runs there are, what varies among them, and how the metrics ended.

Metrics are loaded only for the rows shown, and not at all for a large frame.
"""

import html
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mlxp.run_directory.layout import STEP_KEYS
from mlxp_reader.analysis.settings import codes, rank
from mlxp_reader.columns.curves import SOURCE
from mlxp_reader.columns.keys import cut, short, shown
from mlxp_reader.columns.metric_array import MetricDtype
from mlxp_reader.columns.metric_values import MetricValues, load_cells
from mlxp_reader.columns.missing import exact_values
from mlxp_reader.columns.runs import Runs
from mlxp_reader.presentation.categories import distinct_texts

LOG_ID, STATUS = "info.logger.log_id", "info.status"

MOST_RUNS = 1000
"""Of more runs than this, no metrics are loaded to be shown."""

_POINTS = 30
"""How many of its values a small picture of a curve has at most."""

_MOST_POINTS = 6000
"""How many all pictures together have: a page may have hundreds of them, and is to stay small."""

MOST_METRICS = 6
MOST_KEYS = 12

_NO_RUNS = "0 runs"
_LEFT = 'style="text-align:left;white-space:nowrap"'
_HINT = "runs.constants holds the keys that do not vary; runs.toPandas() shows all columns as pandas does"


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of what is shown: its heading, a text per row, and for metrics the values behind each text."""

    head: str
    texts: list[str]
    curves: list[Any] | None = None


def is_of_runs(frame: Runs) -> bool:
    """Tell whether the rows of a frame are runs, and not something made from them."""
    return LOG_ID in frame.columns and STATUS in frame.columns and frame.columns.is_unique


def constants(frame: Runs) -> dict[str, Any]:
    """Return the keys of the configuration that have the same value in all runs; see `DataFrame.constants`."""
    if not len(frame):
        return {}
    return {key: _plain(exact_values(frame[key].iloc[:1])[0]) for key in _constant(frame, frame.diff())}


def _constant(frame: Runs, varying: Sequence[str]) -> list[str]:
    others = set(varying)
    return [key for key in frame.columns if isinstance(key, str) and key.startswith("config.") and key not in others]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else None if value is pd.NA else value


def as_text(frame: Runs) -> str:
    """Return the runs as text that fits into the terminal."""
    if not len(frame):
        return _NO_RUNS
    width = shutil.get_terminal_size().columns
    rows = _rows_shown(frame)
    varying, metrics = frame.diff(), _metrics(frame)
    columns = _described(frame, rows, varying[:width])
    widths = [max(map(len, [column.head, *column.texts])) for column in columns]
    kept = columns[: max(2, int(np.searchsorted(np.cumsum(np.array(widths) + 2), width, side="right")))]
    room = width - sum(widths[: len(kept)]) - 2 * len(kept)
    chosen: list[str] = []
    for metric in metrics[:MOST_METRICS]:
        room -= max(len(metric), 9) + 2
        if room < 0:
            break
        chosen.append(metric)
    kept += _ended(frame, rows, chosen)
    lines = [_summary(frame, varying), *_lines(kept, gap=len(rows) < len(frame))]
    lines += [_left_out(frame, 2 + len(varying) - len(kept) + len(chosen), len(metrics) - len(chosen)), _HINT]
    return "\n".join(line for line in lines if line)


def as_html(frame: Runs) -> str:
    """Return the runs as HTML, with a small picture of each curve."""
    if not len(frame):
        return f"<p>{_NO_RUNS}</p>"
    rows = _rows_shown(frame)
    varying, metrics = frame.diff(), _metrics(frame)
    columns = [*_described(frame, rows, varying[:MOST_KEYS]), *_ended(frame, rows, metrics[:MOST_METRICS])]
    head = "".join(f"<th {_LEFT}>{html.escape(column.head)}</th>" for column in columns)
    pictures = sum(curve is not None for column in columns for curve in column.curves or ())
    most = max(12, min(_POINTS, _MOST_POINTS // max(1, pictures)))
    body = [f"<tr>{''.join(_html_cell(column, row, most) for column in columns)}</tr>" for row in range(len(rows))]
    if len(rows) < len(frame):
        body.insert(len(rows) // 2, f"<tr>{f'<td {_LEFT}>⋮</td>' * len(columns)}</tr>")
    table = f'<table class="dataframe"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'
    left_out = _left_out(frame, max(0, len(varying) - MOST_KEYS), max(0, len(metrics) - MOST_METRICS))
    notes = "<br>".join(html.escape(note) for note in (left_out, _HINT) if note)
    return f"<div><p>{html.escape(_summary(frame, varying))}</p>{table}<p><small>{notes}</small></p></div>"


def _summary(frame: Runs, varying: Sequence[str]) -> str:
    counts = [f"{short(key)} ×{len(codes(frame[key])[1])}" for key in varying[:MOST_KEYS]]
    told = ", ".join(counts) + (", ..." if len(varying) > MOST_KEYS else "")
    parts = [f"{len(frame):,} run{'s' * (len(frame) != 1)}".replace(",", " ")]
    parts.append(f"{len(varying)} key{'s' * (len(varying) != 1)} var{'y' if len(varying) != 1 else 'ies'}")
    parts[-1] += f" ({told})" if told else ""
    parts.append(f"{len(_constant(frame, varying))} constant")
    if others := int((frame[STATUS] != "COMPLETE").sum()):
        parts.append(f"{others} not COMPLETE")
    return " · ".join(parts)


def _left_out(frame: Runs, keys: int, metrics: int) -> str:
    more_keys = f"{keys} more key{'s that vary' if keys > 1 else ' that varies'}"
    more_metrics = f"{metrics} more metric{'s' * (metrics > 1)}"
    parts = [more_keys] * (keys > 0) + [more_metrics] * (metrics > 0)
    text = f"not shown: {' and '.join(parts)}" if parts else ""
    if len(frame) > MOST_RUNS and metrics + len(_metrics(frame)):
        text += f"{'; ' if text else ''}of more than {MOST_RUNS} runs, metrics are not loaded: runs.head() shows them"
    return text


def _rows_shown(frame: Runs) -> list[int]:
    most, some = pd.get_option("display.max_rows") or len(frame), pd.get_option("display.min_rows") or 10
    if len(frame) <= most:
        return list(range(len(frame)))
    half = max(1, min(some, most) // 2)
    return [*range(half), *range(len(frame) - half, len(frame))]


def _described(frame: Runs, rows: Sequence[int], varying: Sequence[str]) -> list[_Column]:
    """Return the columns that tell what the runs are: id, status, and keys that vary."""
    names = {name: name for name in frame.columns if name == SOURCE} | {LOG_ID: "log_id", STATUS: "status"}
    # A key with the same name as one of these has its full name.
    names |= {key: key if short(key) in names.values() else short(key) for key in varying}
    return [_Column(head, _texts(exact_values(frame[name].iloc[list(rows)]))) for name, head in names.items()]


def _texts(values: Sequence[Any]) -> list[str]:
    """Return a text for each value; different values have different texts."""
    different = {rank(value): value for value in values}
    texts = dict(zip(different, distinct_texts(list(different.values())), strict=True))
    return [texts[rank(value)] for value in values]


def _metrics(frame: Runs) -> list[str]:
    names = [str(name) for name, kind in frame.dtypes.items() if isinstance(kind, MetricDtype)]
    return [name for name in names if name.rpartition(".")[2] not in STEP_KEYS]


def _ended(frame: Runs, rows: Sequence[int], metrics: Sequence[str]) -> list[_Column]:
    """Return the metrics of the rows that are shown: the last value of each."""
    columns = []
    for name in metrics:
        cells = [frame[name].iloc[row] for row in rows]
        if len(frame) <= MOST_RUNS:
            load_cells(cells)
        curves = [cell.loaded if isinstance(cell, MetricValues) and cell.is_loaded else None for cell in cells]
        columns.append(_Column(name, [_last(*both) for both in zip(cells, curves, strict=True)], curves))
    return columns


def _last(cell: Any, curve: Any) -> str:
    if curve is None and isinstance(cell, MetricValues):  # which is not loaded to be shown
        return ""
    value = pd.NA if curve is None or not len(curve) else curve[-1]
    return f"{value:.4g}" if isinstance(value, float | np.floating) else cut(shown(value))


def _lines(columns: Sequence[_Column], gap: bool) -> list[str]:
    widths = [max(map(len, [column.head, *column.texts])) for column in columns]
    lines = ["  ".join(column.head.ljust(width) for column, width in zip(columns, widths, strict=True))]
    texts = zip(*(column.texts for column in columns), strict=True)
    lines += ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in texts]
    if gap:
        lines.insert(1 + len(columns[0].texts) // 2, "...")
    return [line.rstrip() for line in lines]


def _html_cell(column: _Column, row: int, points: int) -> str:
    text = html.escape(column.texts[row])
    curve = column.curves[row] if column.curves else None
    picture = sparkline(curve, points)
    told = f' title="{_range(curve)}"' if picture else ""
    return f"<td {_LEFT}{told}>{text}{picture and f' {picture}'}</td>"


def _range(values: Any) -> str:
    there = values[np.isfinite(values)]
    return f"{there.min():.4g} to {there.max():.4g}"


def sparkline(values: Any, most: int = _POINTS, width: int = 60, height: int = 16) -> str:
    """Return a curve as a small SVG picture in the colour of the text around it; nothing for fewer than two numbers.

    The picture contains no text, because an untrusted notebook leaves pictures out but would show their text.

    Examples
    --------
    >>> "polyline" in sparkline(np.array([3.0, 2.0, 1.0])), sparkline(["a", "b"])
    (True, '')
    """
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "if" or len(values) < 2:
        return ""
    at = np.unique(np.linspace(0, len(values) - 1, most).astype(np.intp))
    at = at[np.isfinite(values[at])]
    if len(at) < 2:
        return ""
    low, high = float(values[at].min()), float(values[at].max())
    x = 1 + at / (len(values) - 1) * (width - 2)
    y = height - 1 - (values[at] - low) / ((high - low) or 1) * (height - 2)
    points = " ".join(f"{a:.0f},{b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    line = f'<polyline points="{points}" fill="none" stroke="currentColor"/>'
    # In a wide table, Jupyter squeezes anything that has no width of its own to nothing.
    place = "vertical-align:middle;max-width:none"
    return f'<svg width="{width}" height="{height}" style="{place}">{line}</svg>'
