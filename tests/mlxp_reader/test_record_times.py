"""Every record knows when it was logged."""

import json

import numpy as np
import pytest

from mlxp import Logger
from mlxp.errors import InvalidKeyError
from mlxp.run_directory.layout import RunDirectory
from mlxp_reader import DataFrame, Reader
from mlxp_reader.store.record_times import times_of_records


class _Clock:
    """A clock that tests set; both clocks of the time module show it."""

    def __init__(self, monkeypatch):
        self.now = 1_000_000.0
        for module in ("mlxp.running.metrics_file", "mlxp.running.record_times"):
            monkeypatch.setattr(f"{module}.time", self)

    def time(self):
        return self.now

    monotonic = time


@pytest.fixture
def clock(monkeypatch):
    return _Clock(monkeypatch)


def logged(tmp_path, clock, records, forced_log_id=-1):
    """Log records, each with a file, a value and the seconds that pass before it; return the run's directory."""
    with Logger(tmp_path / "logs", forced_log_id) as logger:
        for log_name, value, seconds in records:
            clock.now += seconds
            logger.log_metrics({"loss": value}, log_name=log_name)
    return RunDirectory(tmp_path / "logs" / str(logger.log_id))


def test_curves_of_two_files_have_one_axis_of_seconds(tmp_path, clock):
    logged(tmp_path, clock, [("train", 3.0, 1.5), ("train", 2.0, 10), ("val", 4.0, 0.5), ("train", 1.0, 60)])
    runs = Reader(tmp_path / "logs").filter()
    line = runs.plot_metric("val.loss", x="time").get_lines()[0]
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == ([12.0], [4.0])
    axes = runs.plot_metric("train.loss", x="time")
    assert axes.get_lines()[0].get_xdata().tolist() == [1.5, 11.5, 72.0]
    assert axes.get_xlabel() == "time (s)"
    both = runs.history("train.loss", "val.loss", step="time")
    assert both["step"].tolist() == [1.5, 11.5, 12.0, 72.0]
    assert both["val.loss"].tolist()[2] == 4.0
    assert np.isnan(both["train.loss"].tolist()[2])


def test_records_that_come_fast_share_a_note_and_are_told_to_a_tenth_of_a_second(tmp_path, clock):
    run = logged(tmp_path, clock, [("train", float(at), 0.01) for at in range(500)])
    times = times_of_records(run, "train")
    assert np.abs(times - 0.01 * np.arange(1, 501)).max() <= 0.1
    assert (np.diff(times) > 0).all()
    assert len(run.record_times_file("train").read_text().splitlines()) < 60


def test_a_resumed_run_goes_on_with_the_time_and_torn_notes_mean_nothing(tmp_path, clock):
    run = logged(tmp_path, clock, [("train", 1.0, 1), ("train", 0.5, 1)])
    with run.record_times_file("train").open("ab") as file:
        file.write(b"90 10000")  # the process was killed
    logged(tmp_path, clock, [("train", 0.25, 100), ("val", 0.5, 1)], forced_log_id=1)
    assert times_of_records(run, "train").tolist() == [1.0, 2.0, 102.0]
    assert times_of_records(run, "val").tolist() == [103.0]


def test_lines_that_are_no_records_and_clocks_that_go_back_shift_nothing(tmp_path, clock):
    run = logged(tmp_path, clock, [("train", 1.0, 5)])
    with run.metrics_file("train").open("ab") as file:
        file.write(b"\nnot JSON\n")
    logged(tmp_path, clock, [("train", 0.5, -3), ("train", 0.25, 20)], forced_log_id=1)
    assert times_of_records(run, "train").tolist() == [5.0, 5.0, 22.0]
    frame = Reader(tmp_path / "logs").filter()
    assert frame["train.loss"].iloc[0].tolist() == [1.0, 0.5, 0.25]


def test_a_time_that_a_task_logs_comes_first(tmp_path):
    with Logger(tmp_path / "logs") as logger:
        for at in (7, 8):
            logger.log_metrics({"loss": 1.0, "time": at}, log_name="train")
    runs = Reader(tmp_path / "logs").filter()
    assert runs.plot_metric("train.loss", x="time").get_lines()[0].get_xdata().tolist() == [7, 8]


@pytest.mark.filterwarnings("ignore:[0-9]+ problem")
def test_runs_without_times_are_named_or_refused(tmp_path, clock):
    old = RunDirectory(tmp_path / "logs/7")
    old.metrics.mkdir(parents=True)
    old.metadata.mkdir()
    old.info_file.write_text("status: COMPLETE\nlogger: {log_id: 7}\n")
    old.metrics_file("train").write_text(json.dumps({"loss": 1.0}) + "\n")
    for runs in (Reader(tmp_path / "logs").filter(), DataFrame({"train.loss": [[1.0, 2.0]]}).astype("metric")):
        with pytest.raises(InvalidKeyError, match=r"nobody has noted when the records of train.loss were logged"):
            runs.plot_metric("train.loss", x="time")
    logged(tmp_path, clock, [("train", 0.5, 2), ("train", 0.25, 2)])
    runs = Reader(tmp_path / "logs").filter()
    with pytest.warns(UserWarning, match="1 run has not noted when its records were logged"):
        assert [len(line.get_xdata()) for line in runs.plot_metric("train.loss", x="time").get_lines()] == [2]


def test_a_folder_of_times_that_is_no_folder_stops_no_run(tmp_path, clock):
    run = logged(tmp_path, clock, [("train", 1.0, 1)])
    run.record_times_file("train").unlink()
    run.record_times.rmdir()
    run.record_times.write_text("in the way")
    logged(tmp_path, clock, [("train", 0.5, 1)], forced_log_id=1)
    assert len(run.metrics_file("train").read_text().splitlines()) == 2
    assert times_of_records(run, "train") is None
