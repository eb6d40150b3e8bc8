"""The interquartile mean over runs and tasks, with an interval by stratified resampling of runs.

The definitions are those of R. Agarwal et al., *Deep Reinforcement Learning at the Edge of the Statistical Precipice*,
NeurIPS 2021. Residuals are scaled by sqrt(n / (n - 1)) before resampling, since the interval is too narrow otherwise.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Integers = npt.NDArray[np.intp]

DRAWS = 10_000
SEED = 0
_BATCH = 100_000
"""How many runs are drawn at once: as many as fit into the cache of the processor."""


def interquartile_mean(values: Numbers) -> float:
    """Return the mean of the values without the lowest and the highest quarter; of fewer than four, the mean.

    Examples
    --------
    >>> interquartile_mean(np.array([0.0, 1.0, 2.0, 100.0])), interquartile_mean(np.array([1.0, 3.0]))
    (1.5, 2.0)
    """
    cut = len(values) // 4
    return float(np.sort(values)[cut : len(values) - cut].mean()) if len(values) else float("nan")


def interval_of_iqm(tasks: Sequence[Numbers], alpha: float, draws: int = DRAWS) -> tuple[float, float]:
    """Return the ends of the percentile interval of the interquartile mean over the runs of all tasks.

    Runs are resampled within their task. The same numbers of runs give the same draws, so that methods with paired
    seeds share them.

    Parameters
    ----------
    tasks
        The values of each task, in the order of their seeds.
    alpha
        One minus the coverage that the interval should have.
    """
    tasks = [task for task in tasks if len(task)]
    if not tasks or max(map(len, tasks)) < 2:
        return float("nan"), float("nan")
    values, sizes = np.concatenate([_scaled(task) for task in tasks]), list(map(len, tasks))
    order, total, cut = np.argsort(values, kind="stable"), len(values), len(values) // 4
    values = values[order]
    rng, means, rows = np.random.default_rng(SEED), [], max(1, _BATCH // total)
    for start in range(0, draws, rows):
        counts = _counts(rng, sizes, order, min(rows, draws - start))
        # How many of the drawn values, up to each in order, are within the middle half: the same as to sort and cut
        # them. Their sum is a sum over the steps from each value to the next.
        below = np.clip(np.cumsum(counts, axis=1), cut, total - cut)
        means.append(below[:, -1] * values[-1] - cut * values[0] - below[:, :-1] @ np.diff(values))
    low, high = np.quantile(np.concatenate(means) / (total - 2 * cut), [alpha / 2, 1 - alpha / 2])
    return float(low), float(high)


def _scaled(task: Numbers) -> Numbers:
    mean = task.mean()
    return np.asarray(mean + (task - mean) * np.sqrt(len(task) / max(1, len(task) - 1)))


def _counts(rng: np.random.Generator, sizes: Sequence[int], order: Integers, draws: int) -> Integers:
    """Return how often each run is drawn: a row per draw, and the runs in the given order."""
    total = len(order)
    place = np.empty(total, np.intp)
    place[order] = np.arange(total)
    first = np.repeat(np.cumsum([0, *sizes[:-1]]), sizes)
    dtype = np.uint16 if max(sizes) < 2**16 else np.int64  # the smaller one takes half the time
    ends = sizes[0] if len(set(sizes)) == 1 else np.repeat(sizes, sizes)
    drawn = place[rng.integers(0, ends, (draws, total), dtype=dtype) + first]
    drawn += np.arange(0, draws * total, total)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * total).reshape(draws, total)
