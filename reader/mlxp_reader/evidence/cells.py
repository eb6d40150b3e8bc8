"""The numbers of a table, a figure or a text, each with the runs behind it."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlxp.errors import InvalidKeyError
from mlxp_reader.analysis.run_numbers import numbers_of
from mlxp_reader.analysis.seed_statistics import spread
from mlxp_reader.analysis.seeds import SeedGroups
from mlxp_reader.columns.curves import LOG_ID, SOURCE
from mlxp_reader.columns.keys import fields_of
from mlxp_reader.columns.metric_array import MetricArray
from mlxp_reader.columns.runs import Runs
from mlxp_reader.query.names import Asked, resolve

ORIGIN = "mlxp"
"""Where a frame keeps, among its `attrs`, which directories and which query it is from."""

STATISTICS = ("mean", "std", "count")
"""What a note has of each cell that is no curve."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a table, a figure or a text shows of a frame of runs.

    Attributes
    ----------
    values
        Statistics of metrics, columns of numbers, or metrics, whose curves are then shown.
    by
        The columns that tell groups of runs apart; None for all keys that vary.
    over, exclude
        The keys that the runs of a group differ in, and patterns of those that do not matter.
    """

    values: Sequence[str]
    by: Sequence[str] | None
    over: Sequence[str] = ()
    exclude: Sequence[str] = ()


def cells_of(frame: Runs, question: Question) -> list[dict[str, Any]]:
    """Return for each group of runs and each value what stands there, and each run with a hash of what it logged.

    Raises
    ------
    InvalidKeyError
        If a key or a value does not exist.
    """
    groups = SeedGroups(frame, question.over, question.exclude, by=question.by)
    names = run_names(frame)
    settings = [
        {key: _jsonable(value) for key, value in zip(groups.keys, values, strict=True)}
        for values in groups.values(groups.keys)
    ]
    return [cell for value in question.values for cell in _of_value(frame, groups, names, settings, value)]


def run_names(frame: Runs) -> list[str]:
    """Return a name for each run that the same runs have in another reading of their directories."""
    if LOG_ID not in frame.columns:
        raise InvalidKeyError("the frame has no run ids, so its runs could not be found again")
    ids = [str(log_id) for log_id in frame[LOG_ID].tolist()]
    if SOURCE not in frame.columns:
        return ids
    sources = list(frame_origin(frame).get("names", []))
    return [
        f"{sources.index(source) if source in sources else source}/{log_id}"
        for source, log_id in zip(frame[SOURCE].tolist(), ids, strict=True)
    ]


def frame_origin(frame: Any) -> dict[str, Any]:
    """Return which directories and which query a frame is from; an empty dict if that is not known."""
    origin = getattr(frame, "attrs", {}).get(ORIGIN)
    return origin if isinstance(origin, dict) else {}


def _of_value(
    frame: Runs, groups: SeedGroups, names: Sequence[str], settings: Sequence[dict[str, Any]], value: str
) -> Iterator[dict[str, Any]]:
    hashes = hashes_of(frame, value)
    is_curve = resolve(value, fields_of(frame), wants="anything") in _metrics(frame)
    numbers = None if is_curve else numbers_of(frame, value)
    found = {} if numbers is None else spread(groups.spread_out(numbers), STATISTICS)
    for group, setting in enumerate(settings):
        runs = {
            names[at]: {"hash": hashes[at], **({} if numbers is None else {"number": _plain(numbers[at])})}
            for at in groups.places(group)
        }
        told = {name: _plain(of_groups[group]) for name, of_groups in found.items()}
        yield {"value": value, "setting": setting, **told, "runs": runs}


def _metrics(frame: Runs) -> set[str]:
    return {name for name, kind in fields_of(frame).items() if kind == "metric"}


def hashes_of(frame: Runs, value: str) -> list[str]:
    """Return for each run a hash of what a value was computed from: all that the run logged of its metrics."""
    name = resolve(value, fields_of(frame), wants="anything")
    columns = [name] if name in frame.columns else Asked.of(name, frame.columns).metrics
    digests = [hashlib.sha256() for _ in range(len(frame))]
    for column in columns:
        array = frame[column].array
        cells = array.runs() if isinstance(array, MetricArray) else frame[column].tolist()
        for digest, cell in zip(digests, cells, strict=True):
            digest.update(_bytes(cell))
    return [digest.hexdigest()[:16] for digest in digests]


def _bytes(cell: Any) -> bytes:
    if isinstance(cell, np.ndarray) and cell.dtype != object:
        return np.asarray(cell, dtype="<f8").tobytes()
    return repr(cell.tolist() if hasattr(cell, "tolist") else cell).encode("utf-8", "surrogatepass")


def _plain(number: Any) -> Any:
    """Return a number as JSON holds it; NaN and infinity as texts, since JSON has none."""
    number = number.item() if isinstance(number, np.generic) else number
    return number if not isinstance(number, float) or np.isfinite(number) else str(number)


def _jsonable(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, list | tuple):
        return [_jsonable(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _jsonable(one) for key, one in value.items()}
    if value is None or isinstance(value, str | bool | int):
        return value
    return _plain(value) if isinstance(value, float) else str(value)
