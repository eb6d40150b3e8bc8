"""What pandas does with a frame of metrics without reading any of them."""

import copy
import io

import numpy as np
import pandas as pd
import pytest

from mlxp_reader.columns.metric_array import MetricArray
from mlxp_reader.columns.metric_values import MetricColumn
from mlxp_reader.frames.frame import DataFrame

T, E = "train.loss", "train.epoch"


def metric_column(rows=8, missing=()):
    column = MetricColumn("metric", rows, lambda _, rows: [np.arange(row + 1) / 2 for row in rows])
    return column, MetricArray.of_rows(column, np.array([-1 if row in missing else row for row in range(rows)]))


def frame_of_metrics(kind=pd.DataFrame, missing=()):
    (loss, losses), (epoch, epochs) = metric_column(missing=missing), metric_column(missing=missing)
    config = {"lr": [0.1, 1.0] * 4, "model": list("aabbaabb"), "seed": range(8)}
    return kind({**config, T: losses, E: epochs}), lambda: loss.loaded + epoch.loaded


def set_cell(frame):
    frame.at[0, T] = [1, 2]


def set_masked(frame):
    frame.loc[frame["lr"] > 0.5, T] = None


def set_masked_from_itself(frame):
    mask = frame["lr"] > 0.5
    frame.loc[mask, T] = frame.loc[mask, T]


def add_row(frame):
    frame.loc[len(frame)] = frame.iloc[0]


def replace_all(frame):
    frame.update(frame.head(2))


LAZY = {
    "repr": repr,
    "repr_html": lambda df: df._repr_html_(),
    "to_string": lambda df: df.to_string(),
    "to_html": lambda df: df.to_html(),
    "repr of a column": lambda df: repr(df[T]),
    "column": lambda df: df[T],
    "columns": lambda df: df[["lr", T]],
    "iloc of a column": lambda df: df[T].iloc[0],
    "at": lambda df: df.at[0, T],
    "iat": lambda df: df.iat[0, 3],
    "iloc row": lambda df: df.iloc[0],
    "loc row": lambda df: df.loc[0],
    "mask": lambda df: df[df["lr"] > 0.5],
    "loc with mask": lambda df: df.loc[df["lr"] > 0.5, ["model", T]],
    "iloc slice": lambda df: df.iloc[1:5],
    "iloc list": lambda df: df.iloc[[4, 1]],
    "slice": lambda df: df[:],
    "head": lambda df: df.head(2),
    "tail": lambda df: df.tail(2),
    "sample": lambda df: df.sample(3, random_state=0),
    "query": lambda df: df.query("lr > 0.5"),
    "eval": lambda df: df.eval("seed + lr"),
    "sort_values": lambda df: df.sort_values(["model", "seed"]),
    "nlargest": lambda df: df.nlargest(2, "seed"),
    "sort_index": lambda df: df.sort_index(ascending=False),
    "set_index": lambda df: df.set_index("seed"),
    "reset_index": lambda df: df.set_index("seed").reset_index(),
    "reindex": lambda df: df.reindex(range(12)),
    "drop": lambda df: df.drop(columns="lr"),
    "assign": lambda df: df.assign(double=df["seed"] * 2),
    "rename": lambda df: df.rename(columns={T: "loss"}),
    "add_suffix": lambda df: df.add_suffix("_x"),
    "insert": lambda df: df.insert(0, "new", 1),
    "pop": lambda df: df.pop(T),
    "xs": lambda df: df.set_index("model").xs("a"),
    "copy": lambda df: df.copy(),
    "shallow copy": lambda df: df.copy(deep=False),
    "deepcopy": copy.deepcopy,
    "concat rows": lambda df: pd.concat([df, df]),
    "concat columns": lambda df: pd.concat([df, df], axis=1),
    "concat missing column": lambda df: pd.concat([df, df.drop(columns=T)]),
    "concat of two readers": lambda df: pd.concat([df, frame_of_metrics()[0]]),
    "merge": lambda df: pd.merge(df, df, on="seed"),
    "outer merge": lambda df: df.merge(df.head(3), on="seed", how="outer"),
    "join": lambda df: df.join(df.add_suffix("_r")),
    "describe": lambda df: df.describe(),
    "info": lambda df: df.info(buf=io.StringIO()),
    "deep info": lambda df: df.info(buf=io.StringIO(), memory_usage="deep"),
    "memory_usage": lambda df: df.memory_usage(),
    "deep memory_usage": lambda df: df.memory_usage(deep=True),
    "dtypes": lambda df: df.dtypes,
    "shape": lambda df: df.shape,
    "isna": lambda df: df.isna(),
    "notna": lambda df: df.notna(),
    "dropna": lambda df: df.dropna(),
    "dropna of a column": lambda df: df.dropna(subset=[T]),
    "count": lambda df: df.count(),
    "fillna": lambda df: df.fillna(0),
    "where": lambda df: df.where(df["lr"] > 0.5),
    "mask values": lambda df: df.mask(df["lr"] > 0.5),
    "select_dtypes": lambda df: df.select_dtypes("number"),
    "filter": lambda df: df.filter(like="train"),
    "convert_dtypes": lambda df: df.convert_dtypes(),
    "infer_objects": lambda df: df.infer_objects(),
    "astype object": lambda df: df.astype(object),
    "drop_duplicates": lambda df: df.drop_duplicates(subset=["model"]),
    "equals": lambda df: df.equals(df.copy()),
    "assert_frame_equal": lambda df: pd.testing.assert_frame_equal(df, df.copy()),
    "asarray": lambda df: np.asarray(df[T]),
    "to_numpy": lambda df: df.to_numpy(),
    "T": lambda df: df.T,
    "T.T": lambda df: df.T.T,
    "stack": lambda df: df[[T, E]].stack(),
    "iterate": lambda df: list(df[T]),
    "iterrows": lambda df: list(df.iterrows()),
    "itertuples": lambda df: list(df.itertuples()),
    "to_dict": lambda df: df.to_dict(),
    "to_dict records": lambda df: df.to_dict("records"),
    "to_dict list": lambda df: df.to_dict("list"),
    "to_dict index": lambda df: df.to_dict("index"),
    "to_records": lambda df: df.to_records(),
    "tolist": lambda df: df[T].tolist(),
    "map identity": lambda df: df[T].map(lambda cell: cell),
    "map constant": lambda df: df.map(lambda _: 1),
    "apply to rows": lambda df: df.apply(lambda row: row["lr"], axis=1),
    "apply to columns": lambda df: df.apply(lambda column: column),
    "agg count": lambda df: df.agg("count"),
    "groupby size": lambda df: df.groupby("lr").size(),
    "groups": lambda df: df.groupby("lr").groups,
    "iterate groups": lambda df: list(df.groupby(["lr", "model"])),
    "get_group": lambda df: df.groupby("lr").get_group(1.0),
    "groupby first": lambda df: df.groupby("lr").first(),
    "groupby nth": lambda df: df.groupby("lr").nth(0),
    "groupby head": lambda df: df.groupby("lr").head(1),
    "groupby count": lambda df: df.groupby("lr").count(),
    "groupby apply len": lambda df: df.groupby("lr").apply(len),
    "groupby apply best row": lambda df: df.groupby("lr").apply(lambda group: group.loc[group["seed"].idxmax()]),
    "groupby column apply list": lambda df: df.groupby("lr")[T].apply(list),
    "groupby column agg list": lambda df: df.groupby("lr")[T].agg(list),
    "groupby column agg first": lambda df: df.groupby("lr")[T].agg("first"),
    "groupby column agg count": lambda df: df.groupby("lr")[T].agg("count"),
    "groupby transform": lambda df: df.groupby("lr")[T].transform(lambda column: column),
    "groupby filter": lambda df: df.groupby("lr").filter(lambda group: len(group) > 1),
    "pivot_table": lambda df: df.pivot_table(index="lr", columns="model", values="seed"),
    "pivot": lambda df: df.pivot(index="seed", columns="lr", values=T),
    "melt": lambda df: df.melt(id_vars="seed", value_vars=[T, E]),
    "unstack": lambda df: df.set_index(["seed", "model"])[[T]].unstack(),
    "crosstab": lambda df: pd.crosstab(df["lr"], df["model"]),
    "set a cell": set_cell,
    "set missing by mask": set_masked,
    "set by mask": set_masked_from_itself,
    "add a row": add_row,
    "shift": lambda df: df[T].shift(1),
    "repeat": lambda df: df[T].repeat(2),
    "ffill": lambda df: df.ffill(),
    "combine_first": lambda df: df.combine_first(df.head(2)),
    "replace": lambda df: df.replace("a", "z"),
    "update": replace_all,
    "to_frame": lambda df: df[T].to_frame(),
    "DataFrame": pd.DataFrame,
    "corr": lambda df: df.corr(numeric_only=True),
}


@pytest.mark.parametrize("kind", [pd.DataFrame, DataFrame], ids=["plain", "ours"])
@pytest.mark.parametrize("operation", LAZY.values(), ids=LAZY)
def test_nothing_is_read(operation, kind):
    frame, loaded = frame_of_metrics(kind)
    operation(frame)
    assert loaded() == 0


NEEDS_NO_FILLING = {"fillna": "a number is no value of a metric, hence a TypeError, as for a Categorical"}


@pytest.mark.parametrize(
    "operation", [pytest.param(run, id=name) for name, run in LAZY.items() if name not in NEEDS_NO_FILLING]
)
def test_nothing_is_read_where_metrics_are_missing(operation):
    frame, loaded = frame_of_metrics(missing={0, 5})
    operation(frame)
    assert loaded() == 0


@pytest.mark.parametrize(
    "operation", [pytest.param(run, id=name) for name, run in LAZY.items() if name not in NEEDS_NO_FILLING]
)
def test_nothing_is_read_of_cells_that_were_put_together(operation):
    frame, loaded = frame_of_metrics()
    frame.loc[0, T] = None
    other, _ = frame_of_metrics()
    operation(pd.concat([frame, other.head(1)], ignore_index=True).assign(seed=range(9)))
    assert loaded() == 0


TOUCHING = {
    "last value": (lambda df: df[T].iloc[2][-1], 1),
    "length": (lambda df: len(df[T].iloc[2]), 1),
    "map": (lambda df: df[T].map(len), 8),
    "map of a few": (lambda df: df.head(2)[T].copy().map(len), 2),
    "explode": (lambda df: df[[T]].explode(T), 8),
    "groups": (lambda df: df.groupby("lr")[T].agg(lambda curves: max(map(max, curves))), 8),
    "one group": (lambda df: df.groupby("lr").get_group(1.0)[T].map(max), 4),
    "array": (lambda df: np.stack([curve[:1] for curve in df[T]]), 8),
    "sort_values": (lambda df: df.sort_values(T), 8),
    "unique": (lambda df: df[T].nunique(), 8),
    "csv": (lambda df: df[["seed", T]].to_csv(), 8),
    "json": (lambda df: df[["seed", T]].to_json(), 8),
    "compare": (lambda df: df.head(3)[T] == df.head(3)[T].array.load(), 3),
    "repr of a run": (lambda df: repr(df.iloc[1][T]), 1),
}


@pytest.mark.parametrize(("operation", "cells"), TOUCHING.values(), ids=TOUCHING)
def test_only_what_is_touched_is_read(operation, cells):
    frame, loaded = frame_of_metrics()
    operation(frame)
    assert loaded() == cells


def test_curves_of_many_small_groups_are_read_in_few_steps():
    calls = []
    column = MetricColumn("loss", 1000, lambda _, rows: calls.append(rows) or [np.arange(3.0)] * len(rows))
    frame = pd.DataFrame({"lr": np.arange(1000) // 2, T: MetricArray.of_rows(column, np.arange(1000))})
    frame.groupby("lr")[T].agg(lambda curves: np.mean([curve[-1] for curve in curves]))
    assert len(calls) <= 5


def test_a_touched_cell_shows_its_values():
    frame, _ = frame_of_metrics()
    frame[T].iloc[4][0]
    assert "[0, 0.5, 1, ...]" in repr(frame[T])
    assert repr(frame[T]).count("METRIC") == 7
