"""Which keys of the configuration decide whether a run is among the best.

The method is PED-ANOVA: S. Watanabe, A. Bansal and F. Hutter, *PED-ANOVA: Efficiently Quantifying Hyperparameter
Importance in Arbitrary Subspaces*, IJCAI 2023. The choices that the paper leaves open (a grid of 50 steps, the
bandwidth, the prior) are those of Optuna 5, so that the numbers are the same.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlxp.errors import InvalidKeyError
from mlxp_reader.analysis.comparison import sign_of
from mlxp_reader.analysis.run_numbers import Numbers, numbers_of
from mlxp_reader.analysis.seeds import SeedGroups
from mlxp_reader.analysis.settings import codes
from mlxp_reader.columns.keys import as_names, resolve_columns, short
from mlxp_reader.columns.runs import Runs
from mlxp_reader.notices import notice

Integers = npt.NDArray[np.intp]

_FEWEST, _FEW = 50, 200
_MOST_CATEGORIES = 12
_DECADES = 100.0
_STEPS = 50
_SMALLEST = 1e-12
_RESAMPLES = 200


@dataclass(frozen=True, slots=True)
class _Key:
    """A key as the method sees it: the place of each run's value on a grid of some size."""

    name: str
    kind: str
    places: Integers
    size: int
    different: int


def importance(  # noqa: PLR0913 - each is one choice of what is weighed
    frame: Runs,
    value: str,
    *,
    keys: str | Sequence[str] = (),
    over: str | Sequence[str] = (),
    best: str | None = None,
    quantile: float = 0.1,
    exclude: str | Iterable[str] | None = None,
) -> pd.DataFrame:
    """Return how much each key decides whether a setting is among the best, as shares with the sum 1.

    Parameters
    ----------
    value
        A statistic of a metric such as ``"val.acc.last"``, or a column of numbers.
    keys
        The keys to weigh; by default all that vary.
    over
        The keys in which the runs of a setting differ, such as ``"seed"``: their mean counts.
    best
        ``"max"`` if high values are good and ``"min"`` if low ones are; see `compare`.
    quantile
        The share of settings that counts as the best.
    exclude
        Patterns of keys to ignore although they vary; see `over`.

    Returns
    -------
    pandas.DataFrame
        One row per key, the most important first: ``key``; ``importance``; ``low`` and ``high``, the ends of its 95 %
        interval by resampling settings; ``kind``, how its values were taken: ``"categories"``, ``"range"`` or
        ``"log range"``; and ``values``, how many different ones there are.

    Raises
    ------
    InvalidKeyError
        If there are fewer than 50 settings, which is too few, if values are missing or infinite, or if all values are
        the same.

    Notes
    -----
    A share is not an effect. A key that matters only together with another key may get 0. A search that is guided by
    results, such as Optuna's, changes the shares. The shares depend on the kind of the values: up to 12 different
    values count as categories; more values count as a range, on a logarithmic scale if all are positive and span a
    factor of 100.

    Examples
    --------
    >>> from mlxp_reader import DataFrame
    >>> rng = np.random.default_rng(0)
    >>> lr, depth = 10 ** rng.uniform(-4, 0, 300), rng.integers(1, 5, 300)
    >>> runs = DataFrame({"config.lr": lr, "config.depth": depth, "acc": -abs(np.log10(lr) + 2) + depth / 100})
    >>> runs.importance("acc", best="max")["key"].tolist()
    ['lr', 'depth']
    """
    if not 0 < quantile < 1:
        raise InvalidKeyError(f"quantile is the share of the best settings, such as 0.1, not {quantile!r}")
    groups = SeedGroups(frame, as_names(over), exclude)
    chosen = resolve_columns(frame, keys) if keys else groups.keys
    scores = sign_of(best, [value]) * _means(groups, numbers_of(frame, value))
    _check(scores, chosen, value)
    settings = groups.settings.assign(**{key: groups.settings.get(key, frame[key]) for key in chosen})
    found = [_key(key, settings[key]) for key in chosen]
    shares = _shares(found, scores, quantile, np.arange(len(scores)))
    rng = np.random.default_rng(0)
    draws = [_shares(found, scores, quantile, rng.integers(0, len(scores), len(scores))) for _ in range(_RESAMPLES)]
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    table = pd.DataFrame(
        {
            "key": [short(key.name) for key in found],
            "importance": shares,
            "low": low,
            "high": high,
            "kind": [key.kind for key in found],
            "values": [key.different for key in found],
        }
    )
    return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)


def _means(groups: SeedGroups, numbers: Numbers) -> Numbers:
    """Return the mean of each setting; NaN if a run of it has none."""
    sums = np.bincount(groups.number, numbers, minlength=len(groups))
    return np.asarray(sums / groups.sizes())


def _check(scores: Numbers, keys: Sequence[str], value: str) -> None:
    if len(scores) < _FEWEST:
        raise InvalidKeyError(f"{len(scores)} settings are too few: importance needs at least {_FEWEST}, better {_FEW}")
    if not keys:
        raise InvalidKeyError("no key varies, so none can matter")
    lost = int(np.count_nonzero(~np.isfinite(scores)))
    if lost:
        told = f"{lost} settings have no finite {value}"
        raise InvalidKeyError(
            f"{told}: leave them out by a query, or give them a number, since they would count as equal"
        )
    if (scores == scores[0]).all():
        raise InvalidKeyError(f"{value} is the same in all settings, so no key can matter")
    if len(scores) < _FEW:
        notice(f"{len(scores)} settings are few: look at the intervals, since an irrelevant key may have a large share")


def _key(name: str, column: "pd.Series[Any]") -> _Key:
    numbers, different = codes(column)
    values = pd.to_numeric(pd.Series(different, dtype=object), errors="coerce").to_numpy(dtype=np.float64)
    if len(different) <= _MOST_CATEGORIES or not np.isfinite(values).all():
        return _Key(name, "categories", numbers, len(different), len(different))
    is_log = values.min() > 0 and values.max() / values.min() >= _DECADES
    on_scale = np.log(values) if is_log else values
    step = (on_scale.max() - on_scale.min()) / (_STEPS - 1)
    places = np.clip(np.ceil((on_scale - on_scale.min()) / step - 0.5), 0, _STEPS - 1).astype(np.intp)
    return _Key(name, "log range" if is_log else "range", places[numbers], _STEPS, len(different))


def _shares(keys: Sequence[_Key], scores: Numbers, quantile: float, rows: Integers) -> Numbers:
    """Return the share of each key, from the settings at `rows`; equal shares if nothing differs."""
    mine = scores[rows]
    cutoff = np.sort(mine)[::-1][math.ceil(quantile * len(mine)) - 1]
    is_best = mine >= cutoff
    divergences = np.array([_divergence(key, rows, is_best) for key in keys])
    total = divergences.sum()
    return divergences / total if total > 0 else np.full(len(keys), 1 / len(keys))


def _divergence(key: _Key, rows: Integers, is_best: npt.NDArray[np.bool_]) -> float:
    """Return Pearson's divergence of the values among the best settings from those among all."""
    density = _of_categories if key.kind == "categories" else _of_range
    every = density(np.bincount(key.places[rows], minlength=key.size)) + _SMALLEST
    best = density(np.bincount(key.places[rows][is_best], minlength=key.size)) + _SMALLEST
    return float(every @ (best / every - 1) ** 2)


def _of_categories(counts: Integers) -> Numbers:
    """Return the density of categories, each smoothed by a prior that is spread evenly."""
    seen = np.flatnonzero(counts)
    prior = 1 / (len(seen) + 1)
    kernels = np.full((len(seen) + 1, len(counts)), prior)
    kernels[np.arange(len(seen)), seen] += 1
    kernels /= kernels.sum(axis=1, keepdims=True)
    weights = np.append(counts[seen], 1.0)
    return np.asarray(weights / weights.sum() @ kernels)


def _of_range(counts: Integers) -> Numbers:
    """Return the density on a grid: a normal kernel for each place, cut at the ends, and a wide one as a prior."""
    from scipy import special

    seen = np.flatnonzero(counts)
    weights = counts[seen]
    spread = max(_bandwidth(seen, weights), 0.5 / 1.64)
    middles = np.append(seen, (len(counts) - 1) / 2)[:, None]
    widths = np.append(np.full(len(seen), spread), len(counts))[:, None]
    edges = special.ndtr((np.arange(len(counts) + 1) - 0.5 - middles) / widths)
    kernels = np.diff(edges, axis=1) / (edges[:, -1:] - edges[:, :1])
    all_weights = np.append(weights, 1.0)
    return np.asarray(all_weights / all_weights.sum() @ kernels)


def _bandwidth(places: Integers, weights: Integers) -> float:
    """Return the width of kernels by Scott's rule."""
    total, upto = weights.sum(), np.cumsum(weights)
    mean = places @ weights / total
    std = math.sqrt((places - mean) ** 2 @ weights / max(1, total - 1))
    first = np.searchsorted(upto, total // 4, side="left")
    third = min(len(places) - 1, int(np.searchsorted(upto, total * 3 // 4, side="right")))
    return float(1.059 * min((places[third] - places[first]) / 1.34, std) * total**-0.2)
