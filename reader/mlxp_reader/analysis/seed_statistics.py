"""Statistics over runs: one number per column of a table whose rows are the runs, by numpy and scipy.

A table has NaN where a run has no value. Columns with the same number of values are computed together, so that every
statistic is the plain function of numpy or scipy, applied to the values that are there.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mlxp.errors import InvalidKeyError
from mlxp_reader.columns.missing import told_of_nothing

Table = npt.NDArray[np.float64]


def _sem(table: Table) -> Table:
    return np.asarray(np.std(table, axis=0, ddof=1) / np.sqrt(len(table)))


def _ci95(table: Table) -> Table:
    from scipy import special  # scipy.stats, whose t.ppf is this, takes a second to import

    half: Table = _sem(table) * special.stdtrit(len(table) - 1, 0.975)
    return half


def _iqr(table: Table) -> Table:
    low, high = np.quantile(table, [0.25, 0.75], axis=0)
    return np.asarray(high - low)


def _bootstrap(table: Table) -> Table:
    from scipy import special, stats

    ends = np.full((2, table.shape[1]), np.nan)
    finite = np.isfinite(table).all(axis=0)  # the mean of a run that diverged has no interval
    if finite.any():
        # Resampled means of n values never lie outside of them, and cover the true mean in 75 % of cases for n = 3.
        # So much farther from their mean, normal values get the width of Student's interval.
        freedom = len(table) - 1
        wider = np.sqrt(len(table) / freedom) * special.stdtrit(freedom, 0.975) / special.ndtri(0.975)
        means = table[:, finite].mean(axis=0)
        residuals = wider * (table[:, finite] - means)
        # In batches, since all resamples of a long curve at once would not fit into memory; seeded: the same runs give
        # the same interval.
        batch, rng = max(1, 10**7 // max(1, table.size)), np.random.default_rng(0)
        found = stats.bootstrap((residuals,), np.mean, method="percentile", batch=batch, rng=rng)
        ends[:, finite] = means + found.confidence_interval
    return ends


_COMPUTATIONS: dict[str, tuple[Callable[[Table], Any], int]] = {
    "mean": (lambda table: np.mean(table, axis=0), 1),
    "std": (lambda table: np.std(table, axis=0, ddof=1), 2),
    "sem": (_sem, 2),
    "ci95": (_ci95, 2),
    "bootstrap": (_bootstrap, 2),
    "median": (lambda table: np.median(table, axis=0), 1),
    "iqr": (_iqr, 1),
    "q25": (lambda table: np.quantile(table, 0.25, axis=0), 1),
    "q75": (lambda table: np.quantile(table, 0.75, axis=0), 1),
    "min": (lambda table: np.min(table, axis=0), 1),
    "max": (lambda table: np.max(table, axis=0), 1),
}
"""How each is computed, and how many values it takes: one value has no spread."""

SPREADS = (*_COMPUTATIONS, "count")
"""What can be asked of several runs. ``std`` and ``sem`` are the sample's (ddof=1); ``ci95`` is the half-width of the
95 % interval of the mean by Student's t, ``bootstrap`` the ends of the one by percentiles of resampled means, which
need not be symmetric; the values are drawn apart before, so that it covers 95 % with few runs, too."""


def spread(table: Table, how: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """Return statistics of each column of `table`, by name; ``bootstrap`` is two: its low and its high end.

    Raises
    ------
    InvalidKeyError
        If there is no such statistic.

    Examples
    --------
    >>> spread(np.array([[1.0, 5.0], [3.0, np.nan]]), ["mean", "std", "count"])
    {'mean': array([2., 5.]), 'std': array([1.41421356,        nan]), 'count': array([2, 1])}
    """
    for name in how:
        if name not in SPREADS:
            raise InvalidKeyError(f"there is no statistic '{name}' over runs; there are {', '.join(SPREADS)}")
    counts = np.count_nonzero(~np.isnan(table), axis=0)
    ordered = table if (counts == len(table)).all() else np.sort(table, axis=0)  # puts NaN last
    found: dict[str, npt.NDArray[Any]] = {}
    for name in how:
        if name == "bootstrap":
            found |= dict(zip(("bootstrap_low", "bootstrap_high"), _computed(name, ordered, counts), strict=True))
        else:
            found[name] = counts if name == "count" else _computed(name, ordered, counts)
            if name != "count" and not counts.all():
                found[name][counts == 0] = told_of_nothing(table[:, counts == 0])
    return found


def _computed(name: str, ordered: Table, counts: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    function, least = _COMPUTATIONS[name]
    results = np.full((2, len(counts)) if name == "bootstrap" else len(counts), np.nan)
    for count in np.unique(counts[counts >= least]).tolist():
        alike = counts == count
        with np.errstate(invalid="ignore", over="ignore"):  # a run that diverged has logged infinity
            results[..., alike] = function(ordered[:count] if alike.all() else ordered[:count, alike])
    return results
