"""Which rule of bold is right how often: simulated columns of a table, by the rules that tables are marked by.

``python tests/benchmarks/marking_rules.py [TABLES]`` prints the table of docs/explanation/what-bold-means.md. A column
has 4 methods with the same seeds, correlated by 0.5. *Lost*: all methods are equal, and at least one is not bold.
*Kept*: one method is better than the others by 3 standard errors of a difference, and a worse one is bold.
"""

import sys

import numpy as np
import numpy.typing as npt
from scipy import stats

Numbers = npt.NDArray[np.float64]

METHODS = 4
CORRELATION = 0.5
SEEDS = (3, 5, 10)
RULES = ("intervals overlap", "Welch + Holm", "paired t, no Holm", "paired t + Holm")


def columns(tables: int, seeds: int, lead: float) -> Numbers:
    """Return columns, an array of tables, methods and seeds; the first method leads by `lead` standard errors."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(tables, 1, seeds)) * np.sqrt(CORRELATION)
    scores = shared + rng.normal(size=(tables, METHODS, seeds)) * np.sqrt(1 - CORRELATION)
    scores[:, 0] += lead * np.sqrt(2 * (1 - CORRELATION) / seeds)
    return np.asarray(scores)


def holm(p: Numbers) -> Numbers:
    """Return p values adjusted by Holm along the last axis."""
    order = np.argsort(p, axis=-1)
    factors = np.arange(p.shape[-1], 0, -1)
    ordered = np.minimum(1, np.maximum.accumulate(np.take_along_axis(p, order, -1) * factors, axis=-1))
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, ordered, -1)
    return adjusted


def bold(scores: Numbers, rule: str) -> npt.NDArray[np.bool_]:
    """Return which methods a rule marks, an array of tables and methods."""
    means, seeds = scores.mean(axis=2), scores.shape[2]
    top = means.argmax(axis=1)
    every = np.arange(len(scores))
    if rule == "intervals overlap":
        half = stats.t.ppf(0.975, seeds - 1) * scores.std(axis=2, ddof=1) / np.sqrt(seeds)
        return np.asarray(means + half >= (means[every, top] - half[every, top])[:, None])
    best = scores[every, top][:, None]
    if rule.startswith("Welch"):
        p = stats.ttest_ind(best, scores, axis=2, equal_var=False).pvalue
    else:
        with np.errstate(invalid="ignore", divide="ignore"):
            difference = best - scores
            t = difference.mean(axis=2) / (difference.std(axis=2, ddof=1) / np.sqrt(seeds))
        p = 2 * stats.t.sf(np.abs(t), seeds - 1)
    is_other = np.arange(METHODS) != top[:, None]
    others = p[is_other].reshape(len(scores), METHODS - 1)
    marks = np.ones(means.shape, dtype=np.bool_)
    marks[is_other] = ((others if "no Holm" in rule else holm(others)) >= 0.05).ravel()
    return marks


def main(tables: int) -> None:
    """Print for each rule how often an equal method is lost, and a worse one kept."""
    heads = [f"{what}, {seeds} seeds" for what in ("lost", "kept") for seeds in SEEDS]
    print(f"| rule | {' | '.join(heads)} |")
    print(f"| --- |{' ---: |' * len(heads)}")
    for rule in RULES:
        lost = [(~bold(columns(tables, seeds, 0.0), rule)).any(axis=1).mean() for seeds in SEEDS]
        kept = [bold(columns(tables, seeds, 3.0), rule)[:, 1:].mean() for seeds in SEEDS]
        print(f"| {rule} | {' | '.join(f'{share:.0%}' for share in [*lost, *kept])} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 20_000)
