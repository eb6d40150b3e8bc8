"""Compares what two runs logged: a verdict for each metric, with the first place where they differ."""

import contextlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

from mlxp.run_directory.layout import STEP_KEYS, RunDirectory
from mlxp.run_directory.superseded import beginnings, superseded


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of comparing one metric.

    Attributes
    ----------
    metric
        The name of the file and the key: ``train.loss``.
    outcome
        ``identical``, ``within tolerance``, ``different``, or ``missing`` if only one of the runs has the metric.
    largest
        The largest relative difference between two numbers.
    where
        The first place where the values differ; if the outcome is ``different``, by more than the tolerance.
    """

    metric: str
    outcome: str
    largest: float = 0.0
    where: str | None = None

    @property
    def holds(self) -> bool:
        """Whether the second run reproduces the first in this metric."""
        return self.outcome in ("identical", "within tolerance")


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How close two finite numbers must be: ``abs(a - b) <= atol + rtol * abs(a)``, as in `numpy.isclose`."""

    rtol: float = 0.0
    atol: float = 0.0

    def allows(self, a: Any, b: Any) -> bool:
        """Tell whether two numbers, or two lists of them, are that close."""
        if isinstance(a, list):
            return all(_are_equal(x, y) or self.allows(x, y) for x, y in zip(a, b, strict=True))
        return bool(abs(a - b) <= self.atol + self.rtol * abs(a))


def compared(first: RunDirectory, second: RunDirectory, tolerance: Tolerance | None = None) -> list[Verdict]:
    """Compare everything that two runs logged, record by record.

    Of a run that was resumed, the records count that a reader shows.

    Parameters
    ----------
    first, second
        The directories of the runs.
    tolerance
        How close numbers must be; by default they must be equal. Texts, NaN, infinities and everything else must be
        equal in any case.

    Returns
    -------
    list of Verdict
        One for each metric of either run, in alphabetical order.
    """
    names = sorted({file.stem for run in (first, second) for file in run.metrics.glob("[!.]*.json")})
    return [verdict for name in names for verdict in _of_file(name, first, second, tolerance or Tolerance())]


def _of_file(name: str, first: RunDirectory, second: RunDirectory, tolerance: Tolerance) -> Iterator[Verdict]:
    none: dict[str, Any] = {}
    records = list(zip_longest(_records(first, name), _records(second, name), fillvalue=none))
    for key in sorted({key for pair in records for record in pair for key in record}):
        values = [(one.get(key, _ABSENT), other.get(key, _ABSENT)) for one, other in records]
        outcome, largest, number = _outcome(values, tolerance)
        where = None
        if number is not None:
            where = f"{_place(number, *records[number])}: {' and '.join(map(_shown, values[number]))}"
        yield Verdict(f"{name}.{key}", outcome, largest, where)


def _records(run: RunDirectory, name: str) -> list[dict[str, Any]]:
    """Return the records of a file that count; skip what is not a record, such as a last line that was cut off."""
    found: list[dict[str, Any]] = []
    with (
        contextlib.suppress(FileNotFoundError),
        run.metrics_file(name).open(encoding="utf-8", errors="replace") as file,
    ):
        for line in file:
            with contextlib.suppress(ValueError, RecursionError):
                record = json.loads(line)
                found += [record] if isinstance(record, dict) else []
    begins = beginnings(run.path, name)
    return _counting(found, begins) if begins else found


def _counting(records: list[dict[str, Any]], begins: Sequence[int]) -> list[dict[str, Any]]:
    """Leave out the records that a later attempt of the run supersedes."""
    key = next((key for key in STEP_KEYS if any(key in record for record in records)), None)
    numbers = [number for number, record in enumerate(records) if key in record]
    steps = np.array([records[number][key] for number in numbers]) if key is not None else np.array([])
    if steps.dtype.kind not in "iuf":
        return records
    lost = set(superseded(begins, steps, np.array(numbers, dtype=np.int64)).tolist())
    return [record for number, record in enumerate(records) if number not in lost]


_ABSENT: Any = object()


def _outcome(values: list[tuple[Any, Any]], tolerance: Tolerance) -> tuple[str, float, int | None]:
    """Return the outcome for the values of one metric, their largest difference, and where they differ."""
    if any(all(pair[side] is _ABSENT for pair in values) for side in (0, 1)):
        return "missing", 0.0, None
    largest, first = 0.0, None
    for number, (a, b) in enumerate(values):
        if _are_equal(a, b):
            continue
        difference = _difference(a, b)
        if difference is None or not tolerance.allows(a, b):
            return "different", math.inf if difference is None else max(largest, difference), number
        largest, first = max(largest, difference), number if first is None else first
    return "identical" if first is None else "within tolerance", largest, first


def _are_equal(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b):
        return True
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_are_equal, a, b))
    return type(a) is type(b) and a == b


def _difference(a: Any, b: Any) -> float | None:
    """Return the relative difference of two numbers, or of two lists of them; None if they cannot be close."""
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        differences = [0.0 if _are_equal(x, y) else _difference(x, y) for x, y in zip(a, b, strict=True)]
        return None if None in differences else max((d for d in differences if d is not None), default=0.0)
    if not (_is_number(a) and _is_number(b)):
        return None
    return abs(a - b) / max(abs(a), abs(b)) if a != b else 0.0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _place(number: int, one: dict[str, Any], other: dict[str, Any]) -> str:
    record = one or other
    step = next((f", {key} {record[key]}" for key in STEP_KEYS if key in record), "")
    return f"record {number + 1}{step}"


def _shown(value: Any) -> str:
    text = "nothing" if value is _ABSENT else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
