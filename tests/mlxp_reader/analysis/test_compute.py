"""``runs.compute()``: hours by hardware."""

import pytest

from mlxp_reader import DataFrame, Reader

A100 = {"name": "A100", "peak_memory": 3_000, "utilization": 50.0}


def runs(**columns):
    names = {"duration": "info.duration", "cpu": "info.environment.cpu", "cpus": "info.environment.cpus"}
    names |= {"gpus": "info.resources.gpus", "in_machine": "info.environment.gpus"}
    names |= {"cpu_seconds": "info.resources.cpu_seconds", "visible": "info.environment.variables.CUDA_VISIBLE_DEVICES"}
    return DataFrame({names[name]: values for name, values in columns.items()})


def test_hours_are_summed_by_hardware_and_the_most_come_first():
    table = runs(
        duration=[3600.0, 7200.0, 1800.0, 36000.0],
        cpu=["Xeon", "Xeon", "Xeon", "EPYC"],
        cpus=[8, 8, 8, 64],
        gpus=[[A100] * 2, [A100 | {"peak_memory": 5_000}] * 2, [A100], []],
        cpu_seconds=[360.0, 720.0, 180.0, 7200.0],
    ).compute()
    assert table[["gpu", "gpus", "cpu", "cpus", "runs"]].to_numpy().tolist() == [
        ["A100", 2, "Xeon", 8, 2],
        ["A100", 1, "Xeon", 8, 1],
        [None, 0, "EPYC", 64, 1],
    ]
    assert table[["hours", "gpu_hours"]].to_numpy().tolist() == [[3.0, 6.0], [0.5, 0.5], [10.0, 0.0]]
    assert table["cpu_hours"].tolist() == pytest.approx([0.3, 0.05, 2.0])
    assert table["peak_gpu_memory"].tolist()[:2] == [5_000, 3_000]


def test_gpus_that_nobody_watched_are_those_that_the_run_was_given():
    table = runs(
        duration=[3600.0] * 4,
        in_machine=[["A100", "V100", "V100", "V100"]] * 4,
        visible=["1,2", None, "", "GPU-5ebe9f43"],
    ).compute()
    found = {(gpu, count) for gpu, count in table[["gpu", "gpus"]].itertuples(index=False)}
    assert found == {("V100", 2), ("A100 + V100", 4), (None, 0), ("A100", 1)}


def test_runs_that_do_not_say_how_long_they_took_are_counted_and_told():
    with pytest.warns(UserWarning, match="1 of 2 runs are not counted, since they do not say how long they took: 1"):
        table = runs(duration=[3600.0, None], cpu=["Xeon", "Xeon"]).compute()
    assert table["runs"].tolist() == [1]


def test_runs_without_any_record_give_an_empty_table():
    with pytest.warns(UserWarning, match="1 of 1 runs are not counted"):
        table = DataFrame({"config.lr": [0.1]}).compute()
    assert len(table) == 0
    assert list(table.columns)[:4] == ["gpu", "gpus", "cpu", "cpus"]


def test_real_runs_are_counted(app):
    quickstart = app("quickstart")
    assert quickstart.run("seed=1,2").returncode == 0
    table = Reader(str(quickstart.directory / "logs")).filter("").compute()
    assert table["runs"].tolist() == [2]
    assert table["hours"][0] > 0
    assert table["peak_memory"][0] > 1_000_000
