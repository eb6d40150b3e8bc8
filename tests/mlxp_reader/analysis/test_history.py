"""Curves of runs as tables: which step each value has, and what is joined with what."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlxp.errors import InvalidKeyError
from mlxp.run_directory.files import write_yaml
from mlxp.run_directory.layout import RunDirectory
from mlxp_reader import DataFrame, Reader


def epochs(*losses):
    return [{"loss": loss, "epoch": epoch} for epoch, loss in enumerate(losses)]


def test_a_history_has_one_row_per_run_and_step_and_the_keys_that_vary(log_runs):
    runs = log_runs(
        ({"lr": 0.1, "model": "a"}, {"train": epochs(3.0, 2.0)}), ({"lr": 1.0, "model": "a"}, {"train": epochs(5.0)})
    )
    expected = {"log_id": [1, 1, 2], "step": [0, 1, 0], "train.loss": [3.0, 2.0, 5.0], "config.lr": [0.1, 0.1, 1.0]}
    pd.testing.assert_frame_equal(runs.history("train.loss"), pd.DataFrame(expected))


def test_the_step_is_the_key_of_the_same_record(log_runs):
    runs = log_runs(({}, {"train": [{"loss": 1.0, "step": 10}, {"loss": 0.5, "step": 20}]}))
    assert runs.history("train.loss")["step"].tolist() == [10, 20]


def test_without_such_a_key_the_step_is_the_number_of_the_record(log_runs):
    runs = log_runs(({}, {"train": [{"loss": 1.0}, {"loss": 0.5}]}))
    assert runs.history("train.loss")["step"].tolist() == [0, 1]


def test_any_key_can_be_named_as_the_step(log_runs):
    runs = log_runs(({}, {"train": [{"loss": 1.0, "samples": 64}, {"loss": 0.5, "samples": 128}]}))
    assert runs.history("train.loss", step="samples")["step"].tolist() == [64, 128]
    assert runs.history("train.loss", step="train.samples")["step"].tolist() == [64, 128]


def test_keys_logged_at_different_rates_keep_their_own_steps(log_runs):
    records = [{"step": s, "loss": float(s), **({"acc": s / 10} if s % 3 == 0 else {})} for s in range(1, 8)]
    runs = log_runs(({}, {"train": records}))
    assert runs.history("train.acc")["step"].tolist() == [3, 6]
    both = runs.history("train.loss", "train.acc")
    assert both["step"].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert both.dropna()[["step", "train.acc"]].to_numpy().tolist() == [[3, 0.3], [6, 0.6]]


def test_a_key_without_steps_keeps_the_numbers_of_its_own_records(log_runs):
    records = [{"loss": 1.0}, {"loss": 2.0}, {"acc": 0.5, "loss": 3.0}, {"loss": 4.0}]
    runs = log_runs(({}, {"train": records}))
    assert runs.history("train.acc")["step"].tolist() == [2]


def test_metrics_of_several_files_are_joined_by_run_and_step(log_runs):
    test = [{"acc": 0.7, "epoch": 1}, {"acc": 0.9, "epoch": 3}]
    runs = log_runs(
        ({"seed": 1}, {"train": epochs(3.0, 2.0, 1.0), "test": test}), ({"seed": 2}, {"train": epochs(9.0)})
    )
    found = runs.history("train.loss", "test.acc")
    by_hand = runs.history("train.loss").merge(
        runs.history("test.acc"), how="outer", on=["log_id", "step", "config.seed"]
    )
    pd.testing.assert_frame_equal(found, by_hand[found.columns])


def test_a_step_that_is_logged_twice_has_two_rows_and_the_last_value_holds_when_wide(log_runs):
    resumed = [*epochs(3.0, 2.0, 1.0), {"loss": 0.5, "epoch": 2}]
    runs = log_runs(({}, {"train": resumed, "test": epochs(1.0, 1.0, 4.0)}))
    assert runs.history("train.loss")["step"].tolist() == [0, 1, 2, 2]
    assert runs.history("train.loss", "test.loss")["test.loss"].tolist()[:3] == [1.0, 1.0, 4.0]
    assert len(runs.history("train.loss", "test.loss")) == 4
    assert runs.history("train.loss", wide=True)[1].tolist() == [3.0, 2.0, 0.5]


def test_a_wide_history_is_step_by_run(log_runs):
    runs = log_runs(({"seed": 1}, {"train": epochs(3.0, 2.0)}), ({"seed": 2}, {"train": epochs(5.0)}))
    wide = runs.history("train.loss", wide=True)
    assert (wide.index.name, wide.columns.name, wide.columns.tolist()) == ("step", "log_id", [1, 2])
    np.testing.assert_array_equal(wide.to_numpy(), [[3.0, 5.0], [2.0, np.nan]])


def test_a_wide_history_of_two_metrics_has_two_levels_of_columns(log_runs):
    runs = log_runs(({}, {"train": epochs(3.0, 2.0), "test": epochs(1.0)}))
    assert runs.history("train.loss", "test.loss", wide=True).columns.tolist() == [("train.loss", 1), ("test.loss", 1)]


def test_without_names_all_metrics_but_the_steps_are_there(log_runs):
    runs = log_runs(({}, {"train": epochs(1.0), "test": [{"acc": 0.5, "epoch": 0}]}))
    assert runs.history().columns.tolist() == ["log_id", "step", "test.acc", "train.loss"]


def test_runs_without_the_metric_have_no_rows(log_runs):
    runs = log_runs(({"seed": 1}, {"train": epochs(3.0)}), ({"seed": 2}, {}))
    assert runs.history("train.loss")["log_id"].tolist() == [1]


def test_no_runs_have_an_empty_history(log_runs):
    runs = log_runs(({"seed": 1}, {"train": epochs(3.0)}))
    assert runs.iloc[:0].history("train.loss").columns.tolist() == ["log_id", "step", "train.loss"]
    assert runs.iloc[:0].history("train.loss", wide=True).empty


def test_runs_without_steps_among_others_are_told(log_runs):
    runs = log_runs(({"seed": 1}, {"train": [{"loss": 1.0, "step": 10}]}), ({"seed": 2}, {"train": [{"loss": 1.0}]}))
    with pytest.warns(UserWarning, match="1 run logs no steps in train"):
        assert runs.history("train.loss")["step"].tolist() == [10, 0]


def test_a_record_without_its_step_among_others_is_told_and_has_none(log_runs):
    runs = log_runs(({}, {"train": [{"loss": 1.0, "step": 10}, {"loss": 0.5}]}))
    with pytest.warns(UserWarning, match="1 record has no step in train"):
        found = runs.history("train.loss")
    np.testing.assert_array_equal(found["step"], [10.0, np.nan])


def test_metrics_that_are_texts_have_a_history(log_runs):
    runs = log_runs(({}, {"train": [{"phase": "warm-up", "epoch": 0}, {"phase": "main", "epoch": 1}]}))
    assert runs.history("train.phase")["train.phase"].tolist() == ["warm-up", "main"]


def test_runs_of_two_directories_with_the_same_ids_stay_apart(log_runs):
    first = log_runs(({"lr": 1}, {"train": epochs(1.0, 2.0)}), name="first")
    second = log_runs(({"lr": 2}, {"train": epochs(5.0, 6.0)}), name="second")
    wide = pd.concat([first, second], ignore_index=True).history("train.loss", wide=True)
    assert wide.to_numpy().tolist() == [[1.0, 5.0], [2.0, 6.0]]


@pytest.mark.parametrize("call", [{"metrics": ["train.lsos"]}, {"metrics": ["train.loss"], "step": "batch"}])
def test_a_name_that_does_not_exist_is_answered_with_those_that_do(log_runs, call):
    runs = log_runs(({}, {"train": epochs(1.0)}))
    with pytest.raises(
        InvalidKeyError, match=r"there is no metric 'train\.(lsos'; did you mean train\.loss or|batch')"
    ):
        runs.history(*call.pop("metrics"), **call)


def test_steps_that_are_texts_are_refused(log_runs):
    runs = log_runs(({}, {"train": [{"loss": 1.0, "phase": "main"}]}))
    with pytest.raises(InvalidKeyError, match=r"train\.phase are not numbers"):
        runs.history("train.loss", step="phase")


RECORDS = st.lists(
    st.fixed_dictionaries({"step": st.integers(0, 5)}, optional={"a": st.floats(-1, 1), "b": st.integers(0, 9)}),
    max_size=8,
)


@settings(max_examples=30)
@given(st.lists(RECORDS, min_size=1, max_size=4))
def test_a_history_holds_the_records_that_were_logged(tmp_path_factory, files):
    folder = tmp_path_factory.mktemp("logs")
    for log_id, records in enumerate(files, start=1):
        run = RunDirectory(folder / str(log_id))
        run.metadata.mkdir(parents=True)
        run.metrics.mkdir()
        write_yaml(run.config_file, {"seed": log_id})
        run.metrics_file("train").write_text("".join(json.dumps(record) + "\n" for record in records))
    logged = [
        (log_id, record["step"], record.get("a"), record.get("b"))
        for log_id, records in enumerate(files, start=1)
        for record in records
        if "a" in record or "b" in record
    ]
    runs = Reader(folder).filter()
    names = [name for name in ("train.a", "train.b") if name in runs.columns]
    found = runs.history(*names) if names else pd.DataFrame({"log_id": [], "step": []})
    found = found.reindex(columns=["log_id", "step", "train.a", "train.b"])
    expected = pd.DataFrame(logged, columns=found.columns)
    np.testing.assert_array_equal(found.astype(float), expected.astype(float))


def test_a_frame_made_by_hand_has_a_history():
    runs = DataFrame({"train.loss": pd.array([[1.0, 2.0], [3.0]], dtype="metric")})
    assert runs.history("train.loss").to_numpy().tolist() == [[0, 0, 1.0], [0, 1, 2.0], [1, 0, 3.0]]


def test_steps_of_different_kinds_are_told(log_runs):
    by_step = [{"loss": 1.0, "step": 0}, {"loss": 0.5, "step": 1}]
    runs = log_runs(({}, {"train": by_step, "val": [{"acc": 0.1, "epoch": 0}]}))
    with pytest.warns(UserWarning, match="the step in train, the epoch in val"):
        runs.history("train.loss", "val.acc")


def test_no_runs_have_no_history(logs):
    runs = Reader(logs).filter()
    assert list(runs.history()) == ["log_id", "step"]
    assert runs.history(wide=True).empty
