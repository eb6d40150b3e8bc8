"""Collects the metrics of a run of another tool, and puts them into records by the name of their log.

A name such as ``train/loss`` becomes the key ``loss`` of the log ``train``, and so does ``train.loss``. A name without
these signs goes to the log ``metrics``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mlxp.errors import InvalidKeyError
from mlxp.running.metrics_file import check_log_name, encoded

PLAIN: Final = "metrics"
"""The log of names that do not tell one."""

_LONGEST: Final = 100  # characters of the name of a file, without its suffix


@dataclass(slots=True)
class Record:
    """The values that were logged together.

    Attributes
    ----------
    values
        By key, the step first.
    time
        When the last of them was logged, in seconds since 1970; None if nobody noted it.
    """

    values: dict[str, Any]
    time: float | None = None


@dataclass
class Records:
    """The records of a run, by log name.

    Attributes
    ----------
    left_out
        The kinds of values that no record can hold.

    Examples
    --------
    >>> records = Records()
    >>> records.add("train/loss", 0.5, step=3)
    >>> records.add("train/acc", 0.75, step=3)
    >>> {name: [record.values for record in log] for name, log in records.by_log().items()}
    {'train': [{'step': 3, 'loss': 0.5, 'acc': 0.75}]}
    """

    left_out: set[str] = field(default_factory=set)
    _logs: dict[str, list[Record]] = field(default_factory=dict)
    _places: dict[str, tuple[str, str]] = field(default_factory=dict)
    _taken: set[tuple[str, str]] = field(default_factory=set)
    _at_step: dict[tuple[str, int], Record] = field(default_factory=dict)

    def add(self, name: str, value: Any, step: int | None, time: float | None = None) -> None:
        """Add one value: to the record of its step, unless that has one of this name."""
        if not self._fits(value):
            return
        log, key = self._place(name)
        record = self._at_step.get((log, step)) if step is not None else None
        if record is None or key in record.values:
            record = Record({} if step is None else {"step": step})
            self._logs.setdefault(log, []).append(record)
            if step is not None:
                self._at_step.setdefault((log, step), record)
        record.values[key] = value
        record.time = _later(record.time, time)

    def add_row(self, values: Mapping[str, Any], shared: Mapping[str, Any], time: float | None = None) -> None:
        """Add values that were logged at once, with those that every log of theirs gets, such as the step."""
        rows: dict[str, Record] = {}
        for name, value in values.items():
            if not self._fits(value):
                continue
            log, key = self._place(name)
            if log not in rows:
                rows[log] = Record(dict(shared), time)
                self._logs.setdefault(log, []).append(rows[log])
            rows[log].values[f"{key}_" if key in shared else key] = value

    def by_log(self) -> dict[str, list[Record]]:
        """Return the records of each log, in the order of their times if all have one."""
        for log in self._logs.values():
            if all(record.time is not None for record in log):
                log.sort(key=lambda record: record.time or 0.0)
        return self._logs

    def _fits(self, value: Any) -> bool:
        """Tell whether a record can hold a value; what it cannot is left out."""
        if value is None or isinstance(value, int | float | str):
            return True
        try:
            encoded({"": value})
        except TypeError:
            self.left_out.add("values of metrics that are objects")
            return False
        return True

    def _place(self, name: str) -> tuple[str, str]:
        """Return the log and the key that a name stands for; no two names have the same."""
        place = self._places.get(name)
        if place is None:
            place = _split(name)
            if place in self._taken:
                place = PLAIN, name
            while place in self._taken:
                place = PLAIN, f"{place[1]}_"
            self._places[name] = place
            self._taken.add(place)
        return place


def _split(name: str) -> tuple[str, str]:
    log, sign, key = name.partition("/") if "/" in name else name.partition(".")
    if not (sign and key and _is_log(log)):
        log, key = PLAIN, name or "_"
    return log, "step_" if key == "step" else key  # which a record has already


def _is_log(log: str) -> bool:
    try:
        check_log_name(log)
        log.encode("utf-8")
    except (InvalidKeyError, UnicodeEncodeError):
        return False
    return len(log) <= _LONGEST and "." not in log and log.isprintable()


def _later(first: float | None, second: float | None) -> float | None:
    times = [time for time in (first, second) if time is not None and math.isfinite(time)]
    return max(times, default=None)
