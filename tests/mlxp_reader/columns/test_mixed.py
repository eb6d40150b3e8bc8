"""What pandas does with a column of objects, it does with one of mixed values; numbers that are left are numbers."""

import copy

import numpy as np
import pandas as pd
import pytest

from mlxp_reader import Reader
from mlxp_reader.columns.mixed import MixedArray

VALUES = [0.5, "auto", None, 2, [1, 2], {"a": 1}, True, "b", [], float("inf")]


def both(values):
    """Return the same values as objects and as a mixed column."""
    cells = np.empty(len(values), dtype=object)
    for at, value in enumerate(values):
        cells[at] = copy.deepcopy(value)
    return pd.Series(cells), pd.Series(MixedArray.of(values))


def values_of(result):
    """Return what a result holds, in columns of whichever type: None and NaN are one to pandas."""
    return repr(np.asarray(result, dtype=object).tolist()).replace("None", "nan")


NUMBERS = [0.5, 2, None, 1, 4]
OF_NUMBERS = {
    "sum": lambda s: s.sum(),
    "mean": lambda s: s.mean(),
    "std": lambda s: s.std(),
    "var": lambda s: s.var(ddof=0),
    "median": lambda s: s.median(),
    "min": lambda s: s.min(),
    "max": lambda s: s.max(),
    "prod": lambda s: s.prod(),
    "cumsum": lambda s: s.cumsum(),
    "quantile": lambda s: s.quantile(0.5),
    "add": lambda s: s + 1,
    "radd": lambda s: 1 + s,
    "mul": lambda s: s * 2,
    "sub": lambda s: s - s,
    "div": lambda s: s / 4,
    "floordiv": lambda s: s // 2,
    "pow": lambda s: s**2,
    "neg": lambda s: -s,
    "abs": abs,
    "clip": lambda s: s.clip(1, 2),
    "log": np.log,
    "add of numpy": lambda s: np.add(s, 1),
    "between": lambda s: s.between(1, 2),
    "rank": lambda s: s.rank(),
    "diff": lambda s: s.diff(),
    "interpolate": lambda s: s.interpolate(),
    "astype": lambda s: s.astype(float),
    "agg": lambda s: s.agg(["min", "max"]),
    "groupby": lambda s: s.groupby([0, 0, 1, 1, 1]).mean(),
    "groupby agg": lambda s: s.groupby([0, 0, 1, 1, 1]).agg(["sum", "max"]),
    "pivot": lambda s: pd.DataFrame({"k": list("aabbb"), "s": s}).pivot_table(values="s", index="k"),
}


@pytest.mark.parametrize("verb", OF_NUMBERS)
def test_numbers_that_are_left_are_numbers(verb):
    floats = pd.Series([np.nan if value is None else value for value in NUMBERS], dtype=float)
    left = pd.Series(MixedArray.of([*NUMBERS, "auto"]))[:-1]
    assert left.dtype == "mixed"
    expected, found = OF_NUMBERS[verb](floats), OF_NUMBERS[verb](left)
    assert np.allclose(np.asarray(expected, dtype=float), np.asarray(found, dtype=float), equal_nan=True)


OF_ANYTHING = {
    "upper": lambda s: s.str.upper(),
    "str len": lambda s: s.str.len(),
    "str get": lambda s: s.str[0],
    "contains": lambda s: s.str.contains("u", na=False),
    "startswith": lambda s: s.str.startswith("a", na=False),
    "split": lambda s: s.str.split("u"),
    "replace": lambda s: s.str.replace("a", "x"),
    "cat": lambda s: s.astype(str).str.cat(sep=","),
    "explode": lambda s: s.explode(),
    "explode in a frame": lambda s: pd.DataFrame({"a": range(len(s)), "s": s}).explode("s"),
    "explode anew": lambda s: s.explode(ignore_index=True),
    "map": lambda s: s.map(str),
    "apply": lambda s: s.apply(lambda value: len(value) if isinstance(value, list | dict | str) else -1),
    "fillna": lambda s: s.fillna("x"),
    "isna": lambda s: s.isna(),
    "isin": lambda s: s.isin(["auto", 2]),
    "replace values": lambda s: s.replace("auto", "x"),
    "where": lambda s: s.where(s.index > 3),
    "shift": lambda s: s.shift(1),
    "to_numeric": lambda s: pd.to_numeric(s.drop([4, 5, 8]), errors="coerce"),
    "tolist": lambda s: pd.Series(s.tolist(), dtype=object),
    "concat": lambda s: pd.concat([s, s]),
    "head": lambda s: s.head(3),
    "count": lambda s: s.count(),
}


@pytest.mark.parametrize("verb", OF_ANYTHING)
def test_what_objects_can_do_mixed_values_can(verb):
    objects, mixed = both(VALUES)
    assert values_of(OF_ANYTHING[verb](objects)) == values_of(OF_ANYTHING[verb](mixed))


@pytest.mark.parametrize("name", ["mean", "max", "any"])
def test_what_values_of_several_kinds_have_not_is_an_error_that_says_so(name):
    with pytest.raises(TypeError, match=f"mixed does not support operation '{name}'"):
        getattr(pd.Series(MixedArray.of([1, "a"])), name)()


def test_lists_can_be_added_as_objects_can():
    objects, mixed = both([[1], [2, 3]])
    assert (mixed + mixed).tolist() == (objects + objects).tolist() == [[1, 1], [2, 3, 2, 3]]


def test_integers_that_no_float_holds_are_not_rounded():
    big = 2**53 + 1
    assert pd.Series(MixedArray.of([big, 0.5])).max() == big
    assert pd.Series(MixedArray.of([big, 1])).sum() == big + 1


def test_a_query_leaves_numbers(logs, write_run):
    for log_id, value in enumerate(["auto", 0.5, 2, 1], start=1):
        write_run(log_id, {"lr": value, "n": value if log_id > 2 else "x", "s": "a" if log_id > 1 else 1})
    reader = Reader(logs)
    assert reader.filter()["config.lr"].dtype == "mixed"
    left = reader.filter("lr < 5")
    assert left["config.lr"].dtype == np.float64
    assert left["config.lr"].mean() == pytest.approx(3.5 / 3)
    assert left["config.n"].dtype == "mixed"
    assert left["config.s"].tolist() == ["a", "a", "a"]
    assert reader.filter("n > 0")["config.n"].dtype == np.int64
    masked = reader.filter()
    assert masked[masked["config.lr"] != "auto"]["config.lr"].mean() == pytest.approx(3.5 / 3)
