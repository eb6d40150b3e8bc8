"""The values of runs, by what is compared, by task, and by seed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlxp.errors import InvalidKeyError
from mlxp_reader.analysis.run_numbers import numbers_of
from mlxp_reader.analysis.seeds import SeedGroups, refuse_mixtures
from mlxp_reader.analysis.settings import RunSettings
from mlxp_reader.columns.curves import run_labels
from mlxp_reader.columns.keys import as_names, resolve_columns, setting
from mlxp_reader.columns.runs import Runs
from mlxp_reader.notices import some


@dataclass(frozen=True, slots=True)
class Samples:
    """The values of all runs that are compared.

    Attributes
    ----------
    levels, tasks
        What is compared, and on what; without tasks, one that is None.
    numbers
        One number per level, task and seed, NaN where there is none. With `are_paired`, a seed has the same place
        everywhere.
    diverged
        Whether a run is there whose number is not finite, as one that diverged has.
    """

    levels: list[Any]
    tasks: list[Any]
    numbers: npt.NDArray[np.float64]
    diverged: npt.NDArray[np.bool_]
    are_paired: bool


def samples_of(  # noqa: PLR0913 - what `compare` is asked
    frame: Runs,
    value: str | Sequence[str],
    between: str | Sequence[str],
    paired: str | Sequence[str],
    tasks: str | Sequence[str],
    *,
    over: str | Sequence[str] = (),
    repeats: str | None = None,
    exclude: str | Iterable[str] | None = None,
) -> Samples:
    """Return the values of the runs by level, task and seed; see `compare`.

    Raises
    ------
    InvalidKeyError
        If runs of one level and task differ in anything else, or if a seed occurs twice there.
    """
    level_keys, task_keys, pair_keys = (resolve_columns(frame, keys) for keys in (between, tasks, paired))
    if not level_keys:
        raise InvalidKeyError("name the key whose levels are compared, such as between='model'")
    within = [*pair_keys, *resolve_columns(frame, over)]
    if not within:
        raise InvalidKeyError(
            "name what the runs of one level differ in: paired='seed' if equal seeds belong together, else over='seed'"
        )
    groups = SeedGroups(frame, within, exclude, by=[*level_keys, *task_keys])
    refuse_mixtures(groups.mixed)
    numbers = np.mean([numbers_of(frame, name) for name in as_names(value)], axis=0)
    level, levels = _combinations(groups.by_run, level_keys)
    task, names = _combinations(groups.by_run, task_keys)
    pair = groups.by_run.groups(pair_keys) if pair_keys else _running_number(level, task, groups.by_run.groups(within))
    cells = pd.DataFrame({"level": level, "task": task, "pair": pair, "value": numbers, "run": range(len(numbers))})
    if pair_keys and repeats is None:
        _refuse_repeated(frame, cells, groups, pair_keys)
    finite = np.isfinite(numbers)
    shape = (len(levels), len(names), int(pair.max(initial=-1)) + 1)
    values = np.full(shape, np.nan)
    means = cells[finite].groupby(["level", "task", "pair"])["value"].mean()
    values[tuple(np.array(means.index.tolist(), dtype=np.intp).reshape(-1, 3).T)] = means.to_numpy()
    diverged = np.zeros(shape, dtype=np.bool_)
    diverged[level[~finite], task[~finite], pair[~finite]] = True
    return Samples(levels, names, values, diverged, bool(pair_keys))


def _combinations(settings: RunSettings, keys: Sequence[str]) -> tuple[npt.NDArray[np.intp], list[Any]]:
    """Return the number of each run's combination of values, and the different ones: plain values for one key."""
    numbers = settings.groups(keys)
    _, first = np.unique(numbers, return_index=True)
    columns = [settings.values(key) for key in keys]
    rows = [tuple(column[at] for column in columns) for at in first.tolist()]
    return numbers, [row[0] if len(row) == 1 else row or None for row in rows]


def _running_number(level: Any, task: Any, seed: Any) -> npt.NDArray[np.intp]:
    """Return the place of each run among those of its level and task, in the order of their seeds."""
    cells = pd.DataFrame({"level": level, "task": task}).iloc[np.argsort(seed, kind="stable")]
    return np.asarray(cells.groupby(["level", "task"]).cumcount().sort_index(), dtype=np.intp)


def _refuse_repeated(frame: Runs, cells: pd.DataFrame, groups: SeedGroups, pair_keys: Sequence[str]) -> None:
    where = ["level", "task", "pair"]
    repeated = cells[cells.duplicated(where, keep=False)]
    if repeated.empty:
        return
    alike = repeated[(repeated[where] == repeated[where].iloc[0]).all(axis=1)]
    place = int(alike["run"].iloc[0])
    told = setting({key: groups.by_run.values(key)[place] for key in pair_keys})
    runs = some(run_labels(frame).iloc[alike["run"].tolist()].tolist())
    raise InvalidKeyError(
        f"{told} occurs {len(alike)} times with {groups.name(int(groups.number[place]))}: runs {runs};"
        " filter one of them out, or average them by repeats='mean'"
    )
