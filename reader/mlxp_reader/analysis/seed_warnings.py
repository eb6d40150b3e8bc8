"""Warnings about groups of seeds where a mean would mislead: repeated seeds, missing ones, groups of one run."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlxp_reader.analysis.settings import group_numbers
from mlxp_reader.columns.curves import run_labels
from mlxp_reader.columns.keys import setting, short, shown
from mlxp_reader.notices import notice, some

if TYPE_CHECKING:
    from mlxp_reader.analysis.seeds import SeedGroups


def tell_keys(groups: "SeedGroups") -> None:
    """Warn about keys that were found to follow others, and about groups that are all of one run."""
    over = " and ".join(map(short, groups.over))
    if groups.following:
        names = some(list(map(short, groups.following)))
        s = "s" * (len(groups.following) == 1)
        notice(f"{names} only follow{s} {over} and make{s} no groups")
    if len(groups) == len(groups.frame) > 1 and any(key in groups.varying for key in groups.over):
        alone = [short(key) for key in groups.keys if len(groups.by_run.different(key)) == len(groups)]
        hint = f"; leave out what differs in each of them with exclude={alone}" if alone else ""
        notice(f"no two runs differ only in {over}{hint}")


def tell_repeated(groups: "SeedGroups") -> None:
    """Warn about runs of the same group with the same values of the keys `over`."""
    if not groups.over or not len(groups.frame):
        return
    ids = groups.by_run.groups(groups.over)
    pairs = pd.DataFrame({"group": groups.number, "over": ids})
    repeated = pairs[pairs.duplicated(keep=False)]
    if repeated.empty:
        return
    runs = repeated.index[(repeated == repeated.iloc[0]).all(axis=1)]
    seed = setting({key: groups.frame[key].iloc[runs[0]] for key in groups.over})
    others = len(repeated.drop_duplicates()) - 1
    notice(
        f"{seed} occurs {len(runs)} times with {groups.name(int(repeated['group'].iloc[0]))}:"
        f" runs {some(run_labels(groups.frame).iloc[runs].tolist())} all count"
        + (f"; {others} other seeds are repeated, too" if others else "")
    )


def tell_unequal(groups: "SeedGroups", there: npt.NDArray[np.bool_], what: str) -> None:
    """Warn about groups in which fewer runs have a value than in others."""
    counts = np.bincount(groups.number[there], minlength=len(groups))
    if len(set(counts)) < 2 and (not len(counts) or there.all()):
        return
    least = counts.max() if len(set(counts)) > 1 else groups.sizes().max()
    fewer = np.flatnonzero(counts < least).tolist()
    told = ", ".join(_lacking(groups, group, there) for group in fewer[:3])  # each takes a look at all runs
    more = f", ... ({len(fewer)} in all)" if len(fewer) > 3 else ""
    few, many = counts.min(), counts.max()
    how_many = f"from {few} to {many}" if few < many else f"{few} instead of {least}"
    notice(f"groups have {how_many} values of {what}: {told}{more}")


def _lacking(groups: "SeedGroups", group: int, there: npt.NDArray[np.bool_]) -> str:
    mine = {tuple(map(shown, seed)) for seed in _seeds(groups, there & (groups.number == group))}
    everyone = dict.fromkeys(tuple(map(shown, seed)) for seed in _seeds(groups, np.ones(len(there), np.bool_)))
    lacking = [" and ".join(seed) for seed in everyone if seed not in mine]
    of = f" ({', '.join(map(short, groups.over))} {some(lacking)} missing)" if lacking and groups.over else ""
    return f"{groups.name(group)}{of}"


def _seeds(groups: "SeedGroups", runs: npt.NDArray[np.bool_]) -> list[tuple[Any, ...]]:
    seeds = pd.DataFrame(groups.frame[groups.over])[runs]
    _, first = np.unique(group_numbers(seeds, groups.over), return_index=True)
    return list(seeds.iloc[first].itertuples(index=False, name=None))
