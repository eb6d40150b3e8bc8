"""Tests of two means, and how many values they take: numbers in, a difference out; scipy computes the distributions.

Every test is two-sided. Values without spread, single values and counts that can never be significant have an answer of
their own, since the formulas have none.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlxp.errors import InvalidKeyError

Numbers = npt.NDArray[np.float64]

_NO_SPREAD = 1e-12
"""A spread below this share of the values is rounding: 0.91 - 0.90 is not exactly 0.92 - 0.91."""

_POWER = 0.8
_MOST = 10**6
_FEWEST_RANKS = 6
"""With fewer pairs, an exact test by ranks cannot reach 5 %: its smallest p of 5 pairs is 2 / 2**5 = 0.0625."""


@dataclass(frozen=True, slots=True)
class MeanDifference:
    """What a test says of a difference; NaN stands for what cannot be said.

    Attributes
    ----------
    difference, low, high
        The difference of the means and its interval, not adjusted for other comparisons.
    p
        The probability of such a difference, or a greater one, between equals.
    test
        The name of the test; ``"none"`` if there is none.
    note
        What to know about it; may be empty.
    """

    difference: float
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    test: str = "none"
    note: str = ""


def by_t(difference: float, error: float, freedom: float, alpha: float) -> tuple[float, float, float]:
    """Return low end, high end and p of a difference with a standard error and degrees of freedom, by Student's t.

    Examples
    --------
    >>> [round(number, 4) for number in by_t(1.0, 0.5, 4, 0.05)]
    [-0.3882, 2.3882, 0.1161]
    """
    from scipy import special  # scipy.stats takes a second to import

    half = error * float(special.stdtrit(freedom, 1 - alpha / 2))
    return difference - half, difference + half, 2 * float(special.stdtr(freedom, -abs(difference) / error))


def paired_t(
    differences: Numbers, alpha: float = 0.05, *, name: str = "paired t", size: float | None = None
) -> MeanDifference:
    """Return what the t test says of differences that belong to pairs.

    Differences that are all the same, and not 0, have no spread; p is then that of the sign test.

    Parameters
    ----------
    size
        How large the values are whose differences these are, which tells what is rounding; by default, as large as the
        differences.

    Examples
    --------
    >>> found = paired_t(np.array([0.011, 0.012, 0.010, 0.012, 0.011]))
    >>> round(found.difference, 4), f"{found.p:.1e}", paired_t(np.zeros(3)).p
    (0.0112, '7.4e-06', 1.0)
    """
    if len(differences) < 2:
        return _single(differences.mean() if len(differences) else math.nan, len(differences))
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    if spread <= (rounding := _NO_SPREAD * (size or float(np.abs(differences).max()))):
        return _without_spread(mean if abs(mean) > rounding else 0.0, 2 / 2 ** len(differences))
    low, high, p = by_t(mean, spread / math.sqrt(len(differences)), len(differences) - 1, alpha)
    return MeanDifference(mean, low, high, p, name, _few(len(differences)))


def welch_t(a: Numbers, b: Numbers, alpha: float = 0.05) -> MeanDifference:
    """Return what Welch's t test says of two samples, whose spreads may differ.

    Examples
    --------
    >>> found = welch_t(np.array([0.911, 0.924, 0.931, 0.921, 0.909]), np.array([0.9, 0.912, 0.921, 0.909, 0.898]))
    >>> round(found.p, 3), found.test
    (0.092, 'Welch t')
    """
    mean = float(a.mean() - b.mean()) if len(a) and len(b) else math.nan
    if min(len(a), len(b)) < 2:
        return _single(mean, min(len(a), len(b)))
    parts = np.array([a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)])
    size = max(np.abs(a).max(), np.abs(b).max())
    if math.sqrt(parts.sum()) <= _NO_SPREAD * size:
        return _without_spread(mean if abs(mean) > _NO_SPREAD * size else 0.0, 2 / math.comb(len(a) + len(b), len(a)))
    freedom = parts.sum() ** 2 / (parts**2 / [len(a) - 1, len(b) - 1]).sum()
    low, high, p = by_t(mean, math.sqrt(parts.sum()), float(freedom), alpha)
    return MeanDifference(mean, low, high, p, "Welch t", _few(min(len(a), len(b))))


def wilcoxon(differences: Numbers) -> MeanDifference:
    """Return what Wilcoxon's signed-rank test says of differences that belong to pairs.

    Raises
    ------
    InvalidKeyError
        If there are so few pairs that no result could be significant.
    """
    from scipy import stats

    if len(differences) < _FEWEST_RANKS:
        raise InvalidKeyError(
            f"{len(differences)} pair{'s' * (len(differences) != 1)} cannot reach 5 % by Wilcoxon's exact test, which"
            f" takes {_FEWEST_RANKS}: use test='t', or more of them"
        )
    finite = differences[np.isfinite(differences)]
    mean = float(finite.mean()) if len(finite) else math.nan
    p = 1.0 if not differences.any() else float(stats.wilcoxon(differences).pvalue)
    return MeanDifference(mean, p=p, test="Wilcoxon")


def stratified_t(
    tasks: Sequence[tuple[Numbers, Numbers]], alpha: float = 0.05, *, size: float | None = None
) -> MeanDifference:
    """Return what is known of the mean over exactly these tasks, each of which has two samples.

    A second sample that is empty means that the first one has differences of pairs. The degrees of freedom are
    Satterthwaite's; for the size, see `paired_t`.
    """
    means = [a.mean() - (b.mean() if len(b) else 0.0) for a, b in tasks]
    samples = [sample for task in tasks for sample in task if len(sample)]
    if not samples or min(map(len, samples)) < 2:
        return MeanDifference(float(np.mean(means)) if means else math.nan, note="a task with one run has no spread")
    parts = np.array([sample.var(ddof=1) / len(sample) for sample in samples])
    mean = float(np.mean(means))
    rounding = _NO_SPREAD * (size or max(float(np.abs(sample).max()) for sample in samples))
    if math.sqrt(parts.sum()) <= rounding:
        return _without_spread(mean if abs(mean) > rounding else 0.0, 2.0 ** (1 - min(map(len, samples))))
    freedom = parts.sum() ** 2 / (parts**2 / [len(sample) - 1 for sample in samples]).sum()
    low, high, p = by_t(mean, math.sqrt(parts.sum()) / len(tasks), float(freedom), alpha)
    return MeanDifference(mean, low, high, p, "stratified")


def _single(mean: float, count: int) -> MeanDifference:
    return MeanDifference(float(mean), note="one run has no spread" if count else "no value to compare")


def _without_spread(mean: float, p: float) -> MeanDifference:
    return MeanDifference(mean, mean, mean, 1.0 if mean == 0 else p, "sign", "no spread; p is that of the sign test")


def _few(count: int) -> str:
    return "two values: only differences of 10 standard errors are found" if count == 2 else ""


def holm(p: Numbers) -> Numbers:
    """Return p values adjusted by Holm for all that are not NaN, in their order.

    References
    ----------
    S. Holm, *A simple sequentially rejective multiple test procedure*, Scandinavian Journal of Statistics 6, 1979.

    Examples
    --------
    >>> holm(np.array([0.01, np.nan, 0.04, 0.03])).tolist()
    [0.03, nan, 0.06, 0.06]
    """
    adjusted = np.full(len(p), np.nan)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * factors))
    return adjusted


@dataclass(frozen=True, slots=True)
class Needed:
    """How many values a new experiment takes to find the difference in 80 % of cases, and the 95 % range of that."""

    estimate: float = math.nan
    low: float = math.nan
    high: float = math.nan


def needed_pairs(
    differences: Numbers, alpha: float, detect: float | None = None, *, size: float | None = None
) -> Needed:
    """Return how many pairs a paired t test takes.

    Parameters
    ----------
    detect
        The difference to find; by default the one that the pairs have, whose size in standard deviations is uncertain.
    size
        See `paired_t`.
    """
    if len(differences) < 2:
        return Needed()
    mean, spread = float(abs(differences.mean())), float(differences.std(ddof=1))
    if spread <= _NO_SPREAD * (size or float(np.abs(differences).max())):
        return Needed()
    return _needed(_Pilot(mean, spread, len(differences), len(differences) - 1, 1), alpha, detect)


def needed_runs(a: Numbers, b: Numbers, alpha: float, detect: float | None = None) -> Needed:
    """Return how many runs on each side a t test of two samples takes; see `needed_pairs`."""
    if min(len(a), len(b)) < 2:
        return Needed()
    spread = math.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    if spread <= _NO_SPREAD * max(np.abs(a).max(), np.abs(b).max()):
        return Needed()
    size, harmonic = float(abs(a.mean() - b.mean())), len(a) * len(b) / (len(a) + len(b))
    return _needed(_Pilot(size, spread, harmonic, len(a) + len(b) - 2, 2), alpha, detect)


@dataclass(frozen=True, slots=True)
class _Pilot:
    """What is known of a difference: its size, the spread, and what that was estimated from."""

    size: float
    spread: float
    count: float
    freedom: int
    samples: int


def _needed(pilot: _Pilot, alpha: float, detect: float | None) -> Needed:
    from scipy import special

    if detect is not None:  # only the spread is uncertain
        ends = [pilot.spread * math.sqrt(pilot.freedom / special.chdtri(pilot.freedom, q)) for q in (0.975, 0.025)]
        effects = [abs(detect) / spread for spread in (pilot.spread, *sorted(ends))]
    else:
        effect, root = pilot.size / pilot.spread, math.sqrt(pilot.count)
        low, high = _noncentrality(effect * root, pilot.freedom)
        effects = [effect, high / root, low / root]
    return Needed(*(_count(one, alpha, pilot.samples) for one in effects))


def _noncentrality(t: float, freedom: int) -> tuple[float, float]:
    """Return the 95 % interval of the noncentrality that gives `t`, which is not negative; its ends are not, either."""
    from scipy import optimize, stats

    def miss(noncentrality: float, q: float) -> float:
        below = float(stats.nct.cdf(t, freedom, noncentrality))
        return (0.0 if math.isnan(below) else below) - q  # scipy has NaN far out

    def end(q: float) -> float:
        if float(stats.t.cdf(t, freedom)) <= q:
            return 0.0
        return float(optimize.brentq(miss, 0, 10 + 5 * t, args=(q,)))

    return end(0.975), end(0.025)


def _count(effect: float, alpha: float, samples: int) -> float:
    """Return the least number of values per sample with the wanted power; infinity if it is above a million."""
    low, high = 1, 2
    while _power(effect, high, alpha, samples) < _POWER:
        low, high = high, high * 2
        if high > _MOST:
            return math.inf
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _power(effect, middle, alpha, samples) < _POWER else (low, middle)
    return float(high)


def _power(effect: float, count: int, alpha: float, samples: int) -> float:
    from scipy import special, stats

    freedom, noncentrality = samples * (count - 1), effect * math.sqrt(count / samples)
    bound = float(special.stdtrit(freedom, 1 - alpha / 2))
    tails = stats.nct.sf(bound, freedom, noncentrality), stats.nct.cdf(-bound, freedom, noncentrality)
    return sum(0.0 if math.isnan(tail) else float(tail) for tail in tails)
