"""Curves: the values of metrics with the steps at which they were logged, all runs one after the other.

A step is the value of a key called ``step``, ``epoch`` or ``iteration`` in the same record, else the record's number.
Metrics of one file are joined by their records, those of several files by their steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlxp.errors import InvalidKeyError
from mlxp.run_directory.layout import STEP_KEYS
from mlxp_reader.columns.keys import fields_of
from mlxp_reader.columns.metric_array import MetricArray, MetricDtype
from mlxp_reader.columns.runs import Runs
from mlxp_reader.notices import notice
from mlxp_reader.query.names import resolve

Array = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]

TIME = "time"
"""What stands for the time at which a record was logged, unless it was logged with that name."""

LOG_ID = "info.logger.log_id"
SOURCE = "source"
"""What tells the directory of each run, where several are read together."""


@dataclass(frozen=True, slots=True)
class Curves:
    """Values of metrics, one row per run and step.

    Attributes
    ----------
    run
        For each row, the position of its run in the frame; ascending.
    step
        For each row, its step; NaN where a record does not tell it although others of the same run do.
    columns
        For each metric, its values; NaN, or None among texts, where it has none at that step.
    """

    run: Integers
    step: Array
    columns: dict[str, Array]


@dataclass(frozen=True, slots=True)
class _Flat:
    """The values of one metric in all runs; `records` is None where these are simply 0, 1, 2, ... in each run."""

    counts: Integers
    array: Array
    records: Integers | None

    @property
    def run(self) -> Integers:
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @property
    def record(self) -> Integers:
        return self.records if self.records is not None else _numbered(self.counts)

    def is_like(self, other: "_Flat") -> bool:
        """Tell whether the values are those of the same records."""
        if not np.array_equal(self.counts, other.counts):
            return False
        both_plain = self.records is None and other.records is None
        return both_plain or np.array_equal(self.record, other.record)


def curves(frame: Runs, metrics: Sequence[str], step: str | None = None) -> Curves:
    """Return the values of `metrics` in all runs of a frame, joined by run and step.

    Parameters
    ----------
    step
        The key that tells the step, in each of the metrics files; by default one of `STEP_KEYS`.

    Raises
    ------
    InvalidKeyError
        If there is no such metric or key, or if the steps are not numbers.
    """
    by_log: dict[str, list[str]] = {}
    for name in dict.fromkeys(metrics):
        by_log.setdefault(log_name_of(frame, name), []).append(name)
    _tell_of_different_steps(frame, list(by_log), step)
    logs = [_of_one_log(frame, log_name, names, step) for log_name, names in by_log.items()]
    joined = logs[0] if len(logs) == 1 else _joined(logs)
    return Curves(joined.run, joined.step, {name: joined.columns[name] for name in dict.fromkeys(metrics)})


def beside(frame: Runs, metric: str, place: str, step: str | None = None) -> Curves:
    """Return the values of a metric, with those of another one as their steps.

    The steps are from the same records or, if the metrics are from two files, from the same step; NaN where there is
    none.

    Raises
    ------
    InvalidKeyError
        If there is no such metric.
    """
    if log_name_of(frame, metric) == log_name_of(frame, place):
        values = _flat(frame, metric)
        keys = _Keys([values])
        return Curves(keys.run, keys.steps(_flat(frame, place)), {metric: keys.placed(values)})
    mine, other = curves(frame, [metric], step), curves(frame, [place], step)
    table, places = (pd.DataFrame({"run": found.run, "step": found.step}) for found in (mine, other))
    keys_of_both = ["run", "step", "time"]
    for one in (table, places):
        one["time"] = one.groupby(["run", "step"]).cumcount()
    joined = table.merge(places.assign(place=other.columns[place]), on=keys_of_both, how="left")
    return Curves(mine.run, joined["place"].to_numpy(), mine.columns)


def _tell_of_different_steps(frame: Runs, log_names: Sequence[str], step: str | None) -> None:
    told_by = {log_name: step_name(frame, log_name, step) for log_name in log_names}
    clocks = {log: "number of the record" if name is None else name.rpartition(".")[2] for log, name in told_by.items()}
    if len(set(clocks.values())) > 1:
        each = ", ".join(f"the {clock} in {log}" for log, clock in clocks.items())
        notice(f"the steps that are joined here are not of one kind: {each}; step= names a key that all of them have")


def run_ids(frame: Runs) -> "pd.Series[Any]":
    """Return the ids of the runs of a frame, or their places in the index where there are none."""
    return frame[LOG_ID] if LOG_ID in frame.columns else frame.index.to_series()


def run_labels(frame: Runs) -> "pd.Series[Any]":
    """Return a different name for each run: its id, and its directory where ids are given twice."""
    ids = run_ids(frame)
    if not ids.is_unique and {SOURCE, LOG_ID} <= {*frame.columns}:
        ids = frame[SOURCE].astype(str) + "/" + ids.astype(str)
    if ids.is_unique:
        return ids
    return ids.astype(str) + " (" + (ids.groupby(ids).cumcount() + 1).astype(str) + ")"


def log_name_of(frame: Runs, metric: str) -> str:
    """Return the name of the metrics file that `metric` is from: all but its key, which may itself contain dots.

    Raises
    ------
    InvalidKeyError
        If there is no such metric.

    Examples
    --------
    >>> log_name_of(pd.DataFrame(columns=["train.val.acc", "train.epoch"], dtype="metric"), "train.val.acc")
    'train'
    """
    resolve(metric, fields_of(frame), wants="metric")
    parts = metric.split(".")
    prefixes = [".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1)]
    steps = (prefix for prefix in prefixes if any(_is_metric(frame, f"{prefix}.{key}") for key in STEP_KEYS))
    return next(steps, metric.rpartition(".")[0])


def _is_metric(frame: Runs, name: str) -> bool:
    return name in frame.columns and isinstance(frame[name].dtype, MetricDtype)


def _flat(frame: Runs, name: str) -> _Flat:
    array = frame[name].array
    assert isinstance(array, MetricArray)  # noqa: S101 - `resolve` has seen it
    loaded = array.runs()
    counts = np.array([0 if values is None else len(values) for values in loaded], dtype=np.int64)
    arrays = [_as_array(values) for values in loaded if values is not None and len(values)]
    values = np.concatenate(arrays) if arrays else np.empty(0)
    return _Flat(counts, values, _all_records(array.record_numbers(), counts))


def _as_array(values: Any) -> Array:
    if isinstance(values, np.ndarray):
        return values.astype(np.int64) if values.dtype == np.bool_ else values
    if all(value is None or isinstance(value, int | float) for value in values):
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    objects = np.empty(len(values), dtype=object)
    for at, value in enumerate(values):
        objects[at] = value
    return objects


def _all_records(numbers: list[Any], counts: Integers) -> Integers | None:
    if all(of_run is None for of_run in numbers):
        return None
    parts = [np.arange(n) if of_run is None else of_run for of_run, n in zip(numbers, counts.tolist(), strict=True)]
    return np.concatenate(parts).astype(np.int64)


def _numbered(counts: Integers) -> Integers:
    """Return 0, 1, 2, ... for each run."""
    starts = np.cumsum(counts) - counts
    return np.arange(counts.sum()) - np.repeat(starts, counts)


def _of_one_log(frame: Runs, log_name: str, names: list[str], step: str | None) -> Curves:
    flats = {name: _flat(frame, name) for name in names}
    if is_wall_time(frame, log_name, step):
        keys = _Keys(list(flats.values()))
        columns = {name: keys.placed(flat) for name, flat in flats.items()}
        return Curves(keys.run, _wall_times(frame, names, keys), columns)
    first = flats[names[0]]
    told_by = step_name(frame, log_name, step)
    steps = None if told_by is None else flats.get(told_by) or _flat(frame, told_by)
    if steps is not None and steps.array.dtype == object:
        raise InvalidKeyError(f"the values of {told_by} are not numbers; name the key of the steps by step=")
    if all(first.is_like(other) for other in [*flats.values(), *([steps] if steps is not None else [])]):
        # The usual case, in which nothing has to be looked for.
        told = first.record if steps is None else steps.array
        return Curves(first.run, told, {name: flat.array for name, flat in flats.items()})
    keys = _Keys(list(flats.values()))
    told = keys.record if steps is None else _steps_at(keys, steps, log_name)
    return Curves(keys.run, told, {name: keys.placed(flat) for name, flat in flats.items()})


def step_name(frame: Runs, log_name: str, step: str | None) -> str | None:
    """Return the metric that tells the steps of a metrics file; None if the numbers of the records do.

    Raises
    ------
    InvalidKeyError
        If `step` is given, but there is no such key.
    """
    if step is None or is_wall_time(frame, log_name, step):
        return next((name for key in STEP_KEYS if _is_metric(frame, name := f"{log_name}.{key}")), None)
    name = step if step.startswith(f"{log_name}.") else f"{log_name}.{step}"
    return resolve(name, fields_of(frame), wants="metric")


def is_wall_time(frame: Runs, log_name: str, step: str | None) -> bool:
    """Tell whether a step is the time at which a record was logged, and no key of that name."""
    return step == TIME and not _is_metric(frame, f"{log_name}.{TIME}")


def _wall_times(frame: Runs, names: list[str], keys: "_Keys") -> Array:
    """Return when each record was logged, in seconds since its run started.

    Raises
    ------
    InvalidKeyError
        If this is known of none of the runs.
    """
    by_run: dict[int, Array] = {}
    for name in names:
        array = frame[name].array
        assert isinstance(array, MetricArray)  # noqa: S101 - `resolve` has seen it
        by_run |= {run: of_run for run, of_run in enumerate(array.times()) if of_run is not None and run not in by_run}
    wanted = np.unique(keys.run).tolist()
    missing = [run for run in wanted if run not in by_run]
    if missing and len(missing) == len(wanted):
        raise InvalidKeyError(
            f"nobody has noted when the records of {names[0]} were logged: MLXP does so since version 2.0.0, in the"
            f" runs' directories; log a value of your own, such as 'time', and name it"
        )
    if missing:
        told = "run has not noted when its" if len(missing) == 1 else "runs have not noted when their"
        notice(f"{len(missing)} {told} records were logged: there is no time for them")
    times = np.full(len(keys.run), np.nan)
    for run, of_run in by_run.items():
        start, end = np.searchsorted(keys.run, [run, run + 1])
        records = keys.record[start:end]
        known = records < len(of_run)  # a file may have been cut since it was read
        times[start:end][known] = of_run[records[known]]
    return times


class _Keys:
    """The records that hold any of some metrics of one file, in all runs, in their order."""

    def __init__(self, flats: list[_Flat]) -> None:
        self._base = 1 + max((int(flat.record.max()) for flat in flats if len(flat.array)), default=0)
        self._keys = np.unique(np.concatenate([self._of(flat) for flat in flats]))
        self.run, self.record = np.divmod(self._keys, self._base)

    def _of(self, flat: _Flat) -> Integers:
        return flat.run * self._base + flat.record

    def placed(self, flat: _Flat) -> Array:
        """Return the values of a metric at these records."""
        return _placed(self._of(flat), flat.array, self._keys)

    def steps(self, steps: _Flat) -> Array:
        """Return the steps that these records tell; those of other records are passed over."""
        there = steps.record < self._base
        keys = self._of(steps)[there]
        wanted = np.isin(keys, self._keys)
        return _placed(keys[wanted], steps.array[there][wanted], self._keys)


def _placed(keys: Integers, values: Array, among: Integers) -> Array:
    """Return `values` at the places of their `keys` in `among`, which is sorted; NaN elsewhere."""
    if len(keys) == len(among):
        return values
    is_text = values.dtype == object
    placed = np.full(len(among), None if is_text else np.nan, dtype=object if is_text else np.float64)
    placed[np.searchsorted(among, keys)] = values
    return placed


def _steps_at(keys: _Keys, steps: _Flat, log_name: str) -> Array:
    told = keys.steps(steps)
    if told.dtype.kind != "f" or not (unknown := np.isnan(told)).any():
        return told
    tells_none = np.isin(keys.run, np.flatnonzero(steps.counts == 0))
    if tells_none.any():
        count = len(np.unique(keys.run[tells_none]))
        notice(
            f"{count} run{'s log' if count != 1 else ' logs'} no steps in {log_name}:"
            " the numbers of the records stand for them, and may not compare with the steps of other runs"
        )
        told = np.where(tells_none, keys.record, told)
    left = int(np.count_nonzero(unknown & ~tells_none))
    if left:
        have = "record has" if left == 1 else "records have"
        notice(f"{left} {have} no step in {log_name}, although other records of the same run do: NaN stands for it")
    return told


def _joined(logs: list[Curves]) -> Curves:
    """Return the curves of several files joined by run and step; the nth record of a step goes with the nth ones."""
    steps, ranks = np.unique(np.concatenate([log.step for log in logs]), return_inverse=True, equal_nan=True)
    parts = np.split(ranks, np.cumsum([len(log.step) for log in logs])[:-1])
    places = [log.run * len(steps) + rank for log, rank in zip(logs, parts, strict=True)]
    repeats = [_occurrences(place) for place in places]
    base = 1 + max((int(times.max()) for times in repeats if len(times)), default=0)
    keys = [place * base + times for place, times in zip(places, repeats, strict=True)]
    union = np.unique(np.concatenate(keys))
    run, rank = np.divmod(union // base, len(steps)) if len(steps) else (union, union)
    columns: dict[str, Array] = {}
    for log, of_log in zip(logs, keys, strict=True):
        order = np.argsort(of_log, kind="stable")
        columns |= {name: _placed(of_log[order], column[order], union) for name, column in log.columns.items()}
    return Curves(run, steps[rank], columns)


def _occurrences(places: Integers) -> Integers:
    """Return for each of `places` how often it has been there before."""
    if len(places) < 2 or (np.diff(places) > 0).all():
        return np.zeros(len(places), dtype=np.int64)
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[starts, len(ordered)])
    found = np.empty(len(places), dtype=np.int64)
    found[order] = np.arange(len(ordered)) - np.repeat(starts, lengths)
    return found
