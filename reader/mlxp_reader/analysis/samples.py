"""The values of runs, by what is compared, by task, and by seed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlxp.errors import InvalidKeyError
from mlxp_reader.analysis.run_numbers import Numbers, numbers_of
from mlxp_reader.analysis.seeds import SeedGroups, refuse_mixtures
from mlxp_reader.analysis.settings import RunSettings
from mlxp_reader.columns.curves import curves, run_labels
from mlxp_reader.columns.keys import as_names, fields_of, resolve_columns, setting
from mlxp_reader.columns.runs import Runs
from mlxp_reader.notices import some
from mlxp_reader.query.names import Asked, resolve


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
    never
        Whether a run is there that never reached what was asked for; its number is the last step of all in its task.
    """

    levels: list[Any]
    tasks: list[Any]
    numbers: npt.NDArray[np.float64]
    diverged: npt.NDArray[np.bool_]
    never: npt.NDArray[np.bool_]
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
    step: str | None = None,
) -> Samples:
    """Return the values of the runs by level, task and seed; see `compare`.

    Raises
    ------
    InvalidKeyError
        If runs of one level and task differ in anything else, or if a seed occurs twice there.
    """
    level_keys, task_keys, pair_keys = (resolve_columns(frame, keys) for keys in (between, tasks, paired))
    if not as_names(value):
        raise InvalidKeyError("name the value that is compared, such as 'test.acc.last'")
    if not level_keys:
        raise InvalidKeyError("name the key whose levels are compared, such as between='model'")
    within = [*pair_keys, *resolve_columns(frame, over)]
    if not within:
        raise InvalidKeyError(
            "name what the runs of one level differ in: paired='seed' if equal seeds belong together, else over='seed'"
        )
    groups = SeedGroups(frame, within, exclude, by=[*level_keys, *task_keys])
    refuse_mixtures(groups.mixed)
    level, levels = _combinations(groups.by_run, level_keys)
    task, names = _combinations(groups.by_run, task_keys)
    of_names, late = zip(*(_reached(frame, name, step, task) for name in as_names(value)), strict=True)
    numbers, is_late = np.mean(of_names, axis=0), np.any(late, axis=0)
    seed = groups.by_run.groups(pair_keys or within)
    pair = seed if pair_keys else _places(level, task, seed)
    cells = pd.DataFrame({"level": level, "task": task, "pair": pair, "value": numbers, "run": range(len(numbers))})
    if repeats is None:
        _refuse_repeated(frame, cells, groups, pair_keys or within)
    finite = np.isfinite(numbers)
    shape = (len(levels), len(names), int(pair.max(initial=-1)) + 1)
    values = np.full(shape, np.nan)
    means = cells[finite].groupby(["level", "task", "pair"])["value"].mean()
    values[tuple(np.array(means.index.tolist(), dtype=np.intp).reshape(-1, 3).T)] = means.to_numpy()
    diverged, never = (np.zeros(shape, dtype=np.bool_) for _ in range(2))
    for told, runs in ((diverged, ~finite), (never, is_late & finite)):
        told[level[runs], task[runs], pair[runs]] = True
    return Samples(levels, names, values, diverged, never, bool(pair_keys))


def _reached(frame: Runs, name: str, step: str | None, task: Any) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """Return a number per run, and whether it stands for a run that never reached what is asked for.

    Such a run counts with the last step of all runs of its task. To leave it out would make its level look fast, of
    which only the lucky runs got there.
    """
    numbers = numbers_of(frame, name, step)
    asked = Asked.of(resolve(name, fields_of(frame)), frame.columns)
    if asked.metric not in frame.columns or not asked.is_when:
        return numbers, np.zeros(len(numbers), dtype=np.bool_)
    found = curves(frame, [asked.metric], step)
    ends = pd.Series(np.asarray(found.step, dtype=np.float64)).groupby(found.run).max().reindex(range(len(numbers)))
    is_late = np.isnan(numbers) & ends.notna().to_numpy()
    return np.where(is_late, ends.groupby(task).transform("max"), numbers), is_late


def _combinations(settings: RunSettings, keys: Sequence[str]) -> tuple[npt.NDArray[np.intp], list[Any]]:
    """Return the number of each run's combination of values, and the different ones: plain values for one key."""
    numbers = settings.groups(keys)
    _, first = np.unique(numbers, return_index=True)
    columns = [settings.values(key) for key in keys]
    rows = [tuple(column[at] for column in columns) for at in first.tolist()]
    return numbers, [row[0] if len(row) == 1 else row or None for row in rows]


def _places(level: Any, task: Any, seed: Any) -> npt.NDArray[np.intp]:
    """Return the place of each run's seed among those of its level and task."""
    cells = pd.DataFrame({"level": level, "task": task, "seed": seed})
    return np.asarray(cells.groupby(["level", "task"])["seed"].rank("dense") - 1, dtype=np.intp)


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
