"""Groups of runs that differ in nothing but a seed, for example, and statistics of each group as a whole."""

import fnmatch
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlxp.errors import InvalidKeyError
from mlxp_reader.analysis import seed_warnings as warnings
from mlxp_reader.analysis.alignment import align, curves_by_run
from mlxp_reader.analysis.following import following
from mlxp_reader.analysis.run_numbers import Numbers, numbers_of
from mlxp_reader.analysis.seed_statistics import spread
from mlxp_reader.analysis.settings import RunSettings
from mlxp_reader.columns.curves import curves
from mlxp_reader.columns.keys import as_names, resolve_columns, setting, short
from mlxp_reader.columns.metric_array import MetricDtype
from mlxp_reader.columns.missing import ABSENT, exact_values
from mlxp_reader.columns.plain_values import known_to_pandas
from mlxp_reader.columns.runs import Runs
from mlxp_reader.notices import notice, some

if TYPE_CHECKING:
    from mlxp_reader.frames.frame import DataFrame


def over(frame: Runs, *keys: str, exclude: str | Iterable[str] | None = None) -> "SeedGroups":
    """Return the runs grouped by all keys of the configuration that vary, except for the given keys, such as the seed.

    Parameters
    ----------
    keys
        Such as ``"seed"``; ``config.`` may be left out.
    exclude
        Patterns such as ``"paths.*"`` of further keys to ignore. Copies of the values of `keys` are ignored anyway, and
        so are strings, such as an output directory, that differ only in these values. A warning names such keys.

    Raises
    ------
    InvalidKeyError
        If there is no such key.

    Examples
    --------
    >>> from mlxp_reader import DataFrame
    >>> DataFrame({"config.lr": [0.1, 0.1, 1.0, 1.0], "config.seed": [1, 2, 1, 2]}).over("seed")
    2 groups of 2 runs by lr, over seed
    """
    groups = SeedGroups(frame, keys, exclude)
    warnings.tell_keys(groups)  # what is asked of them tells of repeated seeds
    return groups


def seed_groups(
    frame: Runs,
    over: str | Iterable[str],
    exclude: str | Iterable[str] | None = None,
    *,
    by: Sequence[str] | None = None,
    may_mix: bool = False,
) -> "SeedGroups":
    """Return the groups of runs that differ in nothing but the keys `over`, and warn about all that may mislead.

    Parameters
    ----------
    by
        The columns that tell the groups apart; by default all keys that vary.
    may_mix
        Whether a key that varies within the groups `by` these columns makes more groups; otherwise it is an error.

    Raises
    ------
    InvalidKeyError
        If there is no such key, or a group would mix settings.
    """
    groups = SeedGroups(frame, as_names(over), exclude, by=by)
    if not may_mix:
        refuse_mixtures(groups.mixed)
    warnings.tell_keys(groups)
    warnings.tell_repeated(groups)
    return groups


class SeedGroups:
    """Groups of runs with the same configuration, except for some keys such as the seed.

    Parameters
    ----------
    frame
        The runs.
    over
        The keys in which the runs of one group differ.
    exclude
        Patterns such as ``"paths.*"`` of further keys that make no groups, beside those that only follow the keys of
        `over`: copies of the seed, and texts, such as an output directory, that differ in nothing but the seed.
    by
        The columns that tell the groups apart; others do only if they vary within such a group. By default, all keys
        of the configuration that vary.

    Attributes
    ----------
    over, keys, following
        The keys that the runs of a group differ in, those that tell the groups apart, and those that only follow.
    mixed
        Keys that nobody asked for, but that make groups anyway, because they vary among runs that share the keys asked
        for.
    settings
        The values of the keys: one row per group, whose number is the index.
    frame, by_run, number
        The runs, their settings, and the group number of each.
    varying
        All keys of the configuration that vary.

    Examples
    --------
    >>> from mlxp_reader import DataFrame
    >>> runs = DataFrame(
    ...     {"config.lr": [0.1, 0.1, 1.0, 1.0], "config.seed": [1, 2, 1, 2], "score": [1.0, 3.0, 5.0, 5.0]}
    ... )
    >>> groups = runs.over("seed")
    >>> groups
    2 groups of 2 runs by lr, over seed
    >>> groups.aggregate("score", ["mean", "count"]).to_dict("list")
    {'config.lr': [0.1, 1.0], 'mean': [2.0, 5.0], 'count': [2, 2]}
    """

    def __init__(
        self,
        frame: Runs,
        over: Iterable[str],
        exclude: str | Iterable[str] | None = None,
        *,
        by: Sequence[str] | None = None,
    ) -> None:
        self.frame = frame
        self.by_run = RunSettings(frame)
        self.over = resolve_columns(frame, over)
        _check_keys(frame, self.over)
        self.varying = frame.diff()
        wanted = list(dict.fromkeys(by or ()))
        free = [key for key in self.varying if key not in self.over and key not in wanted]
        excluded = _matching(free, exclude)
        free = [key for key in free if key not in excluded]
        self.following = following(self.by_run, self.over, wanted, free)
        free = [key for key in free if key not in self.following]
        # Given what tells the groups apart, another key matters only where a group has several values of it.
        cells = self.by_run.groups(wanted)
        self.mixed = [] if by is None else [key for key in free if self.by_run.are_mixed(cells, key)]
        self.keys = [*wanted, *(free if by is None else self.mixed)]
        self.number = self.by_run.groups(self.keys)
        _, first = np.unique(self.number, return_index=True)
        self.settings = pd.DataFrame(frame[self.keys]).iloc[first].reset_index(drop=True).rename_axis("group")

    def __len__(self) -> int:
        return len(self.settings)

    def __repr__(self) -> str:
        sizes = np.bincount(self.number, minlength=len(self))
        counts = f"{sizes.min()}" if len(set(sizes)) == 1 else f"{sizes.min()} to {sizes.max()}" if len(sizes) else "0"
        by = f" by {', '.join(map(short, self.keys))}" if self.keys else ""
        groups = f"{len(self)} group{'s' * (len(self) != 1)} of {counts} run{'s' * (counts != '1')}"
        return f"{groups}{by}, over {', '.join(map(short, self.over)) or 'no key'}"

    def runs(self, group: int) -> "DataFrame":
        """Return the runs of one group, given its number: the index of what `aggregate` and `best` return.

        Raises
        ------
        InvalidKeyError
            If there is no such group.
        """
        if group not in self.settings.index:
            raise InvalidKeyError(f"there is no group {group}; there are {len(self)}, from 0")
        runs: DataFrame = self.frame[self.number == group]
        return runs

    def is_constant(self, key: str) -> bool:
        """Tell whether a key has the same value in all runs."""
        return key not in self.over and key not in self.varying

    def values(self, keys: Sequence[str]) -> list[tuple[Any, ...]]:
        """Return the values of some of the keys, for each group."""
        return list(zip(*(exact_values(self.settings[key]) for key in keys), strict=True)) if keys else [()] * len(self)

    def places(self, group: int) -> list[int]:
        """Return the places in the frame of the runs of one group."""
        return np.flatnonzero(self.number == group).tolist()

    def aggregate(
        self,
        what: str,
        how: str | Sequence[str] = ("mean", "std", "count"),
        align: str = "union",
        step: str | None = None,
    ) -> pd.DataFrame:
        """Return statistics of each group: a row per group, or, for curves, a row per group and step.

        NaN and missing values are left out; ``count`` says how many there are. A warning tells of unequal counts.

        Parameters
        ----------
        what
            A statistic of a metric such as ``"test.acc.last"``, a column of numbers, or a metric, whose curves are then
            used.
        how
            Some of ``mean``, ``std`` and ``sem`` (of the sample, ddof=1), ``ci95`` (half the width of the 95 % interval
            of the mean by Student's t), ``bootstrap`` (two columns, the ends of the 95 % interval of the mean by
            resampling, which need not be symmetric; it is widened as Student's is where runs are few), ``median``,
            ``iqr``, ``q25``, ``q75``, ``min``, ``max``, ``count``.
        align
            Curves only: at all steps that any run of the group has (``"union"``), the same with values in between
            filled in linearly (``"interpolate"``), or at the steps that all runs have (``"intersect"``).
        step
            Curves only: the key that tells the step; see `DataFrame.history`.

        Raises
        ------
        InvalidKeyError
            If there is no such column, metric or statistic.
        """
        if what in self.frame.columns and isinstance(self.frame[what].dtype, MetricDtype):
            return self._aggregated_curves(what, as_names(how), align, step)
        values = numbers_of(self.frame, what)
        warnings.tell_repeated(self)
        warnings.tell_unequal(self, ~np.isnan(values), what)
        return self._with_settings(spread(self.spread_out(values), as_names(how)))

    def best(
        self, what: str, per: str | Sequence[str] = (), report: str | None = None, direction: str | None = None
    ) -> pd.DataFrame:
        """Return the best setting, by the mean over the runs of a group; see `mlxp_reader.analysis.selection.best`.

        Parameters
        ----------
        what
            What to choose by: a statistic of a metric such as ``"val.acc.max"``, or a column of numbers.
        per
            Keys for each of whose values one setting is chosen; by default, one setting in all.
        report
            What to report about the chosen setting, such as ``"test.acc.last"``; by default `what`.
        direction
            ``"max"`` or ``"min"``; by default the last word of `what`.

        Raises
        ------
        InvalidKeyError
            If there is no such column or metric, `per` is no key of the groups, or no direction is told.
        """
        from mlxp_reader.analysis.selection import best

        warnings.tell_repeated(self)
        return best(self, what, resolve_columns(self.frame, per), report or what, direction)

    def summary(self, what: str) -> pd.DataFrame:
        """Return mean, std and count of each group; `best` shows unequal counts, so there is no warning about them."""
        return pd.DataFrame(spread(self.spread_out(numbers_of(self.frame, what)), ["mean", "std", "count"]))

    def sizes(self) -> npt.NDArray[np.intp]:
        """Return how many runs each group has."""
        return np.bincount(self.number, minlength=len(self))

    def spread_out(self, values: Numbers) -> Numbers:
        """Return one value per run as a table: a column per group, as many rows as the largest group has runs."""
        place = pd.Series(self.number).groupby(self.number).cumcount().to_numpy()
        table = np.full((self.sizes().max(initial=0), len(self)), ABSENT)
        table[place, self.number] = values
        return table

    def name(self, group: int) -> str:
        """Return the setting of a group as text."""
        return setting({key: exact_values(self.settings[key].iloc[[group]])[0] for key in self.keys}) or "all runs"

    def _with_settings(self, columns: dict[str, Any]) -> pd.DataFrame:
        return self._told_settings().assign(**columns)

    def _told_settings(self) -> pd.DataFrame:
        return self.settings.assign(**{key: known_to_pandas(self.settings[key]) for key in self.keys})

    def _aggregated_curves(self, metric: str, how: list[str], alignment: str, step: str | None) -> pd.DataFrame:
        by_run = curves_by_run(curves(self.frame, [metric], step), metric, len(self.frame))
        warnings.tell_repeated(self)
        warnings.tell_unequal(self, np.array([len(steps) > 0 for steps, _ in by_run], dtype=np.bool_), metric)
        groups, steps, parts = [], [], []
        for group in range(len(self)):
            mine = [by_run[run] for run in self.places(group) if len(by_run[run][0])]
            at, table = align(mine, alignment)
            if mine and not len(at):
                notice(f"the curves of {metric} have no step in common: {self.name(group)}")
            groups.append(np.full(len(at), group))
            steps.append(at)
            parts.append(pd.DataFrame(spread(table.reshape(len(mine), len(at)), list(dict.fromkeys([*how, "count"])))))
        numbers = np.concatenate([np.empty(0, dtype=np.int64), *groups])
        told = self._told_settings().iloc[numbers].reset_index()
        found = (
            pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(dict.fromkeys([*how, "count"])))
        )
        return told.assign(step=np.concatenate(steps) if steps else [], **found)


def _matching(keys: list[str], patterns: str | Iterable[str] | None) -> list[str]:
    wanted = as_names(patterns)
    return [key for key in keys if any(fnmatch.fnmatchcase(name, p) for name in (key, short(key)) for p in wanted)]


def _check_keys(frame: Runs, over: Sequence[str]) -> None:
    """Raise an error if no key of the configuration is known, so that groups would mix whatever else varies."""
    if not frame.configuration_keys() and any(not key.startswith("info.") for key in over):
        raise InvalidKeyError(
            f"no column is known as a key of the configuration, as config.{short(over[0])} would be, so MLXP cannot"
            f" tell what varies besides {short(over[0])}; keep the names of the columns, and rename them by labels="
        )


def refuse_mixtures(mixed: list[str]) -> None:
    """Raise an error if any keys vary within groups that should have one setting."""
    others = list(map(short, mixed))
    if others:
        vary = f"var{'y' if len(others) > 1 else 'ies'}"
        raise InvalidKeyError(
            f"{some(others)} {vary} too, so a mean would mix different settings;"
            " name that as well, or in over or exclude, or filter the runs first"
        )
