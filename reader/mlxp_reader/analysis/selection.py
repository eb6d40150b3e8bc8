"""The best setting of each kind: chosen by one number, reported by another."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlxp.errors import InvalidKeyError
from mlxp_reader.analysis.settings import group_numbers
from mlxp_reader.columns.keys import short
from mlxp_reader.notices import notice, some
from mlxp_reader.query.names import Asked

if TYPE_CHECKING:
    from mlxp_reader.analysis.seeds import SeedGroups


def best(groups: "SeedGroups", what: str, per: list[str], report: str, direction: str | None) -> pd.DataFrame:
    """Return the best setting for each value of the keys `per`; see `SeedGroups.best`.

    A row has the setting, the mean of `what`, and the mean, std and count of `report`. ``missing`` is the size of the
    largest group minus the number of the row's own runs that tell both, and ``ties`` is how many other settings have
    the same mean. The index is the number of the group, for `SeedGroups.runs`.
    """
    sign = _sign(what, direction)
    for name in dict.fromkeys([what, report]):
        tell_of_selection(name)
    _check_keys(groups, per)
    chosen_by, told = groups.summary(what), groups.summary(report)
    sizes, there = groups.sizes(), np.minimum(chosen_by["count"].to_numpy(), told["count"].to_numpy())
    reported = {f"{report}.{name}": told[name] for name in ("mean", "std", "count")}
    missing = sizes.max(initial=0) - there
    columns: dict[str, Any] = {f"{what}.mean": chosen_by["mean"], **reported, "missing": missing}
    table = groups.settings.assign(**columns)
    per = [key for key in per if key in groups.keys]  # another one has the same value in all runs
    _tell_missing(sizes, sizes - there, chosen_by["mean"])
    score = sign * chosen_by["mean"]
    kind = _kinds(table, per)
    winners = table[score == score.groupby(kind).transform("max")]
    ties = winners.groupby(kind[winners.index])["missing"].transform("size") - 1
    _tell_ties(winners[ties > 0], groups, what)
    return winners.assign(ties=ties)[~kind[winners.index].duplicated()]


def _sign(what: str, direction: str | None) -> int:
    told = direction or direction_of(what)
    if told not in {"max", "min"}:
        raise InvalidKeyError(f"say whether a high or a low mean of '{what}' is best: direction='max' or 'min'")
    return 1 if told == "max" else -1


def direction_of(name: str) -> str | None:
    """Return whether a high or a low value is best, if the statistic that a name asks for tells it.

    Examples
    --------
    >>> direction_of("val.acc.max"), direction_of("test.loss@val.acc.max"), direction_of("val.acc.rises_to(0.9)")
    ('max', None, 'min')
    """
    asked = Asked.of(name)
    if asked.is_when:
        return "min"
    return asked.statistic if asked.statistic in {"max", "min"} and asked.at_best_of is None else None


def tell_of_selection(name: str) -> None:
    """Warn that the best value of a test metric is chosen by what it is to measure."""
    asked = Asked.of(name)
    if asked.metric.startswith("test") and asked.statistic in {"max", "min"} and asked.at_best_of is None:
        instead = f"{asked.metric}@val.{asked.metric.rpartition('.')[2]}.{asked.statistic}"
        notice(
            f"{name} is the best value of a noisy curve and too optimistic; choose the step by other data: {instead}"
        )


def _check_keys(groups: "SeedGroups", per: list[str]) -> None:
    for key in per:
        if key not in groups.keys and not groups.is_constant(key):
            known = ", ".join(map(short, groups.keys)) or "none"
            raise InvalidKeyError(f"'{short(key)}' does not distinguish the groups; these keys do: {known}")


def _kinds(table: pd.DataFrame, per: list[str]) -> "pd.Series[int]":
    return pd.Series(group_numbers(table, per), index=table.index)


def _tell_ties(tied: pd.DataFrame, groups: "SeedGroups", what: str) -> None:
    if len(tied):
        names = [groups.name(group) for group in tied.index]
        notice(f"the first of several settings with the same mean of {what} is taken: {some(names)}")


def _tell_missing(sizes: npt.NDArray[np.intp], lacking: npt.NDArray[np.intp], means: "pd.Series[float]") -> None:
    if lacking.any():
        unknown = int(means.isna().sum())
        without = f", and {unknown} setting{'s have' if unknown != 1 else ' has'} none at all" if unknown else ""
        runs = "1 run lacks a value and is" if lacking.sum() == 1 else f"{lacking.sum()} runs lack a value and are"
        notice(f"{runs} left out{without}: column 'missing' lists them for each row")
    if len(set(sizes.tolist())) > 1:
        few, many = sizes.min(), sizes.max()
        notice(f"settings have from {few} to {many} runs: column 'missing' tells how many fewer than {many} a row has")
