"""Which runs of a plan are missing, and which are there twice.

Runs are the same by the rules by which MLXP leaves out what is there; see `mlxp.run_directory.identity`.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mlxp.errors import InvalidKeyError
from mlxp.run_directory.identity import Rules, Values, program_names, shortest_name, spelled, version_of
from mlxp.run_directory.status import Status
from mlxp_reader.analysis.settings import RunSettings
from mlxp_reader.columns.cells import is_missing
from mlxp_reader.columns.keys import fields_of
from mlxp_reader.columns.runs import Runs
from mlxp_reader.query.names import SHORT_NAMES, resolve

_STATUS = SHORT_NAMES["status"]
_CONFIG = "config."
_DECIDING = (
    *("info.current_file_path", "info.logger.log_dir", "info.code.copy", "info.code.top"),
    *("info.version_manager.repo_path", "info.version_manager.commit_hash"),
    *("info.identity.version", "info.scheduler.program", "info.scheduler.identity.version"),
)
"""What tells the program and the version of a run."""


def missing(frame: Runs, values: Mapping[str, Any] | None = None, /, **keys: Any) -> pd.DataFrame:
    """Return the combinations of values without a run, one per row; the last key varies fastest.

    A run counts if it is complete, in progress or waiting. It does not count if it is FAILED, KILLED, LOST or REFUSED.

    Parameters
    ----------
    values
        Values by key, for keys whose names have dots: ``{"optimizer.lr": [0.1, 1]}``.
    keys
        The same for other keys: ``seed=range(5)``. A single value counts as a list of one.

    Raises
    ------
    InvalidKeyError
        If no run has such a key.

    Examples
    --------
    >>> from mlxp_reader import DataFrame
    >>> runs = DataFrame({"config.lr": [0.1, 1.0], "config.seed": [0, 1], "info.status": ["COMPLETE", "COMPLETE"]})
    >>> runs.missing(lr=[0.1, 1], seed=range(2)).to_dict("records")
    [{'lr': 0.1, 'seed': 1}, {'lr': 1.0, 'seed': 0}]
    """
    wanted = {name: _listed(some) for name, some in {**(values or {}), **keys}.items()}
    if not wanted:
        raise InvalidKeyError("missing() takes keys and their values, as in runs.missing(lr=[0.1, 1], seed=range(5))")
    there = set(_combinations(frame, list(wanted)))
    rows = [row for row in itertools.product(*wanted.values()) if tuple(map(spelled, map(_plain, row))) not in there]
    table = pd.DataFrame(rows, columns=pd.Index(list(wanted)), dtype=object)
    # pandas would make NaN of a None among numbers or texts, which is another value here.
    return table.astype({name: table[name].infer_objects().dtype for name in table if not _holds_none(table[name])})


def _holds_none(column: "pd.Series[Any]") -> bool:
    return any(value is None for value in column)


def _listed(values: Any) -> list[Any]:
    is_one = isinstance(values, str | Mapping) or not isinstance(values, Iterable)
    return [values] if is_one else list(values)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _combinations(frame: Runs, names: Sequence[str]) -> list[tuple[str | None, ...]]:
    """Return the spelled values of some keys in each run that is there; None for a key that a run lacks."""
    if not len(frame):
        return []
    settings, fields = RunSettings(frame), fields_of(frame)
    columns = [_spelled(settings, resolve(name, fields, wants="key")) for name in names]
    return [row for row, is_there in zip(zip(*columns, strict=True), _are_there(frame), strict=True) if is_there]


def _spelled(settings: RunSettings, column: str) -> list[str | None]:
    texts = [_text(value) for value in settings.different(column)]
    return [texts[number] for number in settings.codes(column).tolist()]


def _text(value: Any) -> str | None:
    return None if value is pd.NA or value == {} else spelled(_plain(value))


def _are_there(frame: Runs) -> list[bool]:
    if _STATUS not in frame.columns:
        return [True] * len(frame)
    statuses = (Status.of(value) for value in frame[_STATUS])
    return [status is not None and status.is_there for status in statuses]


def duplicates(frame: Runs, *, exclude: Iterable[str] = (), assume: Mapping[str, Any] | None = None) -> Any:
    """Return the runs that exist at least twice, with equal runs next to each other.

    Two runs are equal if they have the same program, configuration and declared version. A run counts if it is
    complete, in progress or waiting.

    Parameters
    ----------
    exclude
        Patterns of keys that do not matter, as in the setting ``mlxp.identity.exclude``.
    assume
        Values of keys that older runs lack, as in the setting ``mlxp.identity.assume``.

    Examples
    --------
    >>> from mlxp_reader import DataFrame
    >>> runs = DataFrame({"config.seed": [1, 2, 1.0], "config.workers": [2, 2, 4]})
    >>> list(runs.duplicates().index), list(runs.duplicates(exclude=["workers"]).index)
    ([], [0, 2])
    """
    rules, settings = Rules.of(exclude, assume), RunSettings(frame)
    names = [name for name in map(str, frame.columns) if name.startswith(_CONFIG)]
    groups: dict[Any, list[int]] = {}
    for row, values in enumerate(_values(settings, names)):
        groups.setdefault(rules.identity(values), []).append(row)
    there, others = _are_there(frame), _others(frame)
    kept: dict[Any, list[int]] = {}
    for group in groups.values():
        for row in filter(there.__getitem__, group):
            kept.setdefault((group[0], others[row]), []).append(row)
    return frame.iloc[[row for rows in kept.values() if len(rows) > 1 for row in rows]]  # type: ignore[attr-defined]  # a frame


def _values(settings: RunSettings, names: Sequence[str]) -> Iterator[Values]:
    keys = [name.removeprefix(_CONFIG) for name in names]
    columns = [_spelled(settings, name) for name in names]
    for row in range(len(settings.frame)):
        yield {key: text for key, column in zip(keys, columns, strict=True) if (text := column[row]) is not None}


def _others(frame: Runs) -> list[tuple[str, str]]:
    """Return the program and the declared version of each run."""
    names = [name for name in map(str, frame.columns) if name.startswith(_DECIDING)]
    columns = [frame[name].tolist() for name in names]
    found = []
    for row in range(len(frame)):
        info: dict[str, Any] = {}
        for name, column in zip(names, columns, strict=True):
            if not is_missing(column[row]):
                _put(info, name.split(".")[1:], column[row])
        submission = info.get("scheduler") or {}
        found.append((shortest_name(program_names(info, submission)), version_of(info, submission)))
    return found


def _put(content: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for name in path[:-1]:
        content = content.setdefault(name, {})
    content[path[-1]] = _plain(value)
