"""The steps that MLXP's tutorial takes to read runs, one after the other, on runs that MLXP 1.0.5 logged."""

import numpy as np
import pandas as pd
import pytest

import mlxp

QUERY = "info.status == 'COMPLETE' & config.num_epoch == 6 & config.model.num_units < 128"


@pytest.fixture
def reader(recorded):
    return mlxp.Reader(f"{recorded}/")


@pytest.fixture
def results(reader):
    return reader.filter(query_string=QUERY)


def mean(curves):
    return np.mean(np.array(curves), axis=0)


def argmin(curves):
    last = np.array(curves)[:, -1]
    return last == np.min(last)


def test_what_is_there_can_be_listed(reader):
    assert len(reader) == 12
    assert reader.fields.loc["train.loss", "Type"] == "METRIC"
    assert reader.searchable.index.str.startswith(("info", "config")).all()


def test_a_query_gives_a_plain_frame_of_pandas_or_a_lazy_one(reader):
    loaded = reader.filter(query_string=QUERY, result_format="pandas")
    assert type(loaded) is pd.DataFrame
    assert loaded["info.logger.log_id"].tolist() == [2, 3, 4, 10]
    assert isinstance(reader.filter(query_string=QUERY), mlxp.DataFrame)


def test_a_run_gives_its_curves_and_its_checkpoint(results):
    assert len(results[0]["train.loss"]) == 6
    assert results[0]["artifact.pickle."]["last_ckpt.pkl"].load()["epoch"] == 5


def test_diff_lists_what_varies(results):
    assert {"config.optimizer.lr", "config.seed", "config.model.num_units"} <= set(results.diff())


def test_groups_are_averaged(results):
    averaged = results.groupby(["config.optimizer.lr"]).aggregate((mean, ("train.loss", "train.epoch")))
    first, second = results[1]["train.loss"], results[2]["train.loss"]
    assert list(averaged.keys()) == [(0.01,), (1.0,), (10.0,)]
    assert averaged[(0.01,)][0]["fmean.train.loss"] == pytest.approx((np.array(first) + np.array(second)) / 2)


def test_the_best_setting_of_each_model_is_chosen_and_tested(results):
    groups = results.groupby(["config.model.num_units", "config.optimizer.lr"])
    best = groups.aggregate((mean, "train.loss")).filter(
        (argmin, "fmean.train.loss"), bygroups=["config.model.num_units"]
    )
    assert list(best.keys()) == [(50, 0.01), (100, 1.0)]
    tested = groups.select(best.keys()).aggregate((mean, "test.loss"))
    assert [len(tested[key][0]["fmean.test.loss"]) for key in best.keys()] == [3, 3]  # noqa: SIM118 - no dict
