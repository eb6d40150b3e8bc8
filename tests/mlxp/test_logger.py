"""What the logger writes, whatever it is given and whatever happens."""

import json
import math
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlxp import DefaultLogger, Logger
from mlxp.errors import InvalidKeyError, LogDirectoryError


class Colour(str, Enum):  # noqa: UP042 - what users write
    RED = "red"


@pytest.fixture
def logger(tmp_path):
    with DefaultLogger(tmp_path / "logs") as logger:
        yield logger


def lines(logger, name="train"):
    return Path(logger.metrics_dir, f"{name}.json").read_text(encoding="utf-8").split("\n")[:-1]


def records(logger, name="train"):
    return [json.loads(line) for line in lines(logger, name)]


def keys(logger):
    return yaml.safe_load(Path(logger.metrics_dir, ".keys/metrics.yaml").read_text(encoding="utf-8"))


def test_directories_are_strings_that_exist(logger):
    assert logger.log_id == 1
    assert logger.log_dir == os.path.join(logger.parent_log_dir, "1")
    for name in ("metrics_dir", "artifacts_dir", "metadata_dir"):
        assert os.path.isdir(getattr(logger, name))


def test_one_record_is_one_line(logger):
    logger.log_metrics({"loss": 0.5, "epoch": 0}, log_name="train")
    logger.log_metrics({"loss": 0.25, "epoch": 1}, log_name="train")
    assert lines(logger) == ['{"loss":0.5,"epoch":0}', '{"loss":0.25,"epoch":1}']


def test_every_kind_of_value_comes_back(logger):
    record = {
        "int": 3,
        "big": 2**80,
        "float": 0.1,
        "bool": True,
        "str": "é\n",
        "none": None,
        "list": [1, 2.5, None, "x"],
    }
    logger.log_metrics(record, "train")
    assert records(logger) == [record]


def test_not_a_number_and_infinities_come_back(logger):
    logger.log_metrics({"a": math.nan, "b": math.inf, "c": [-math.inf]}, "train")
    (record,) = records(logger)
    assert math.isnan(record["a"])
    assert (record["b"], record["c"]) == (math.inf, [-math.inf])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array(2.5), 2.5),
        (np.str_("a"), "a"),
        ([np.int8(1), (2, 3)], [1, [2, 3]]),
        (np.float64("inf"), math.inf),
        (np.longdouble(0.5), 0.5),
        (Colour.RED, "red"),
    ],
)
def test_numpy_scalars_are_plain_values(logger, value, expected):
    logger.log_metrics({"x": value}, "train")
    assert records(logger) == [{"x": expected}]
    assert type(records(logger)[0]["x"]) is type(expected)


@pytest.mark.parametrize("value", [{"a": 1}, {1, 2}, np.zeros(3), object(), 1j, b"x", [object()]])
def test_other_values_are_refused_by_the_name_of_their_key(logger, value):
    with pytest.raises(TypeError, match=r"the metric 'x' is of type .*; a value is an int, float, bool, str or None"):
        logger.log_metrics({"y": 1, "x": value}, "train")
    assert not Path(logger.metrics_dir, "train.json").exists()


def test_names_of_metrics_are_strings(logger):
    with pytest.raises(TypeError, match=r"the name of a metric is a str, not 3$"):
        logger.log_metrics({3: 1}, "train")


def test_refused_record_says_what_to_write(logger):
    with pytest.raises(TypeError, match=r"^write '3': the name of a metric"):
        logger.log_metrics({3: 1}, "train")
    with pytest.raises(TypeError, match=r"the metric 'per' is of type dict; .*; give each value .* such as 'per.a'$"):
        logger.log_metrics({"per": {"a": 1}}, "train")
    with pytest.raises(
        TypeError, match=r"of type ndarray and shape \(2,\); .*; write its values as a list: .tolist\(\)$"
    ):
        logger.log_metrics({"x": np.zeros(2)}, "train")


def test_id_that_was_asked_for_is_remembered(tmp_path):
    with Logger(tmp_path) as new, Logger(tmp_path, forced_log_id=7) as forced:
        assert (new.forced_log_id, new.log_id, forced.forced_log_id, forced.log_id) == (-1, 1, 7, 7)


def test_record_that_is_logged_after_the_end_is_written(logger):
    logger.log_metrics({"x": 1}, "train")
    logger.close()
    logger.log_metrics({"x": 2}, "train")
    logger.log_metrics({"y": 3}, "late")
    assert (records(logger), records(logger, "late")) == ([{"x": 1}, {"x": 2}], [{"y": 3}])
    assert not [name for name in os.listdir("/proc/self/fd") if "late" in os.path.realpath(f"/proc/self/fd/{name}")]


@pytest.mark.parametrize("pwrite_appends", [sys.platform == "linux", False])
def test_number_that_has_become_another_files_is_not_written_to(logger, tmp_path, monkeypatch, pwrite_appends):
    monkeypatch.setattr("mlxp.running.metrics_file._PWRITE_APPENDS", pwrite_appends)
    logger.log_metrics({"x": 0}, "train")
    logger.log_metrics({"x": 1}, "train")
    file = logger._metrics_files.by_name["train"]
    with (tmp_path / "other").open("wb") as other:
        os.dup2(other.fileno(), file._descriptor)
        taken = file._descriptor
        logger.log_metrics({"x": 2}, "train")
        assert file._descriptor != taken
    os.close(taken)
    logger.log_metrics({"x": 3}, "train")
    assert records(logger) == [{"x": 0}, {"x": 1}, {"x": 2}, {"x": 3}]
    assert (tmp_path / "other").read_bytes() == b""


@pytest.mark.parametrize("pwrite_appends", [sys.platform == "linux", False])
def test_records_are_appended_wherever_the_end_of_the_file_has_moved_to(logger, monkeypatch, pwrite_appends):
    monkeypatch.setattr("mlxp.running.metrics_file._PWRITE_APPENDS", pwrite_appends)
    for x in range(3):
        logger.log_metrics({"x": x}, "train")
    file = Path(logger.metrics_dir, "train.json")
    with file.open("a", encoding="utf-8") as another:  # as another process of the run does
        another.write('{"x":10}\n')
    logger.log_metrics({"x": 3}, "train")
    assert [record["x"] for record in records(logger)] == [0, 1, 2, 10, 3]
    os.truncate(file, 8)
    logger.log_metrics({"x": 4}, "train")
    assert records(logger) == [{"x": 0}, {"x": 4}]


def test_file_removed_after_its_number_was_closed_is_one_clear_error(tmp_path):
    logger = Logger(tmp_path)
    logger.log_metrics({"x": 1}, "train")
    os.close(logger._metrics_files.by_name["train"]._descriptor)
    Path(logger.metrics_dir, "train.json").unlink()
    with pytest.raises(LogDirectoryError, match=r"train.json has been removed while the run was writing it"):
        logger.log_metrics({"x": 2}, "train")
    assert not Path(logger.metrics_dir, "train.json").exists()


def test_keys_that_could_not_be_listed_are_listed_the_next_time(logger, monkeypatch):
    def full(*_, **__):
        raise LogDirectoryError("cannot write: No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("mlxp.running.keys_file.write_atomically", full)
        with pytest.raises(LogDirectoryError):
            logger.log_metrics({"x": 1}, "train")
    logger.log_metrics({"x": 2}, "train")
    assert (keys(logger), records(logger)) == ({"train": ["x"]}, [{"x": 2}])


def test_what_is_no_mapping_is_refused(logger):
    with pytest.raises(TypeError, match="log_metrics takes a dict of values by name, not list"):
        logger.log_metrics([1], "train")


@pytest.mark.parametrize(
    "name", ["info", "config", "mlxp", "artifacts", "../x", "a/b", "a\\b", "", ".", ".x", "x\0y", 3, "caf\udce9"]
)
def test_reserved_and_path_like_log_names_are_refused(logger, name):
    with pytest.raises(InvalidKeyError):
        logger.log_metrics({"x": 1}, name)
    assert os.listdir(logger.metrics_dir) == []


def test_names_that_no_file_can_list_are_refused_and_leave_the_others_readable(logger):
    logger.log_metrics({"x": 1}, "train")
    with pytest.raises(InvalidKeyError, match="the name of a metric is a text that UTF-8 can hold"):
        logger.log_metrics({"x": 2, "caf\udce9": 1}, "train")
    with pytest.raises(InvalidKeyError, match="the name of an artifact is a text that UTF-8 can hold"):
        logger.log_artifacts(1, "caf\udce9", "pickle")
    assert (keys(logger), records(logger)) == ({"train": ["x"]}, [{"x": 1}])


def test_unusual_log_names_are_file_names(logger):
    logger.log_metrics({"x": 1}, "train loss.é")
    assert records(logger, "train loss.é") == [{"x": 1}]


def test_keys_are_listed_in_the_order_seen(logger):
    logger.log_metrics({"loss": 1, "on": 2}, "train")
    logger.log_metrics({"acc": 1, "1e3": 2}, "test")
    logger.log_metrics({"loss": 1, "a: b é": 2}, "train")
    assert keys(logger) == {"train": ["loss", "on", "a: b é"], "test": ["acc", "1e3"]}


def test_resumed_run_appends_and_keeps_its_keys(tmp_path):
    for key in ("a", "b"):
        with Logger(tmp_path, forced_log_id=5) as logger:
            logger.log_metrics({key: 1}, "train")
    assert records(logger) == [{"a": 1}, {"b": 1}]
    assert keys(logger) == {"train": ["a", "b"]}


@pytest.mark.parametrize("torn", ['{"x": ', '{"x": 1}', "{" * 10_000])
def test_resumed_run_drops_a_line_that_was_never_finished(tmp_path, torn):
    with Logger(tmp_path) as logger:
        logger.log_metrics({"x": 0}, "train")
    with Path(logger.metrics_dir, "train.json").open("a", encoding="utf-8") as file:
        file.write(torn)
    with Logger(tmp_path, forced_log_id=1) as logger:
        logger.log_metrics({"x": 2}, "train")
    assert records(logger) == [{"x": 0}, {"x": 2}]


def test_line_that_another_process_is_writing_is_left_to_it(tmp_path, monkeypatch):
    with Logger(tmp_path) as logger:
        logger.log_metrics({"x": 0}, "train")
    with Path(logger.metrics_dir, "train.json").open("ab", buffering=0) as file, Logger(tmp_path, 1) as logger:
        file.write(b'{"x":')
        monkeypatch.setattr("time.sleep", lambda _: file.write(b"1}\n"))
        logger.log_metrics({"x": 2}, "train")
    assert records(logger) == [{"x": 0}, {"x": 1}, {"x": 2}]


def test_threads_may_log_at_once(logger):
    def log(thread):
        for i in range(200):
            logger.log_metrics({"thread": thread, f"only{thread}": i}, "train")

    threads = [threading.Thread(target=log, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(records(logger)) == 1600
    assert set(keys(logger)["train"]) == {"thread", *(f"only{number}" for number in range(8))}


def test_record_is_on_disk_when_the_process_is_killed_the_moment_after(tmp_path):
    code = (
        "import sys, os, signal, mlxp; logger = mlxp.DefaultLogger(sys.argv[1])\n"
        "logger.log_metrics({'x': 1}, 'train'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    result = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert result.returncode == -signal.SIGKILL
    assert (tmp_path / "1/metrics/train.json").read_text(encoding="utf-8") == '{"x":1}\n'


def test_full_disk_is_one_clear_error(logger):
    Path(logger.metrics_dir, "train.json").symlink_to("/dev/full")
    logger.log_metrics({"x": 1}, "test")
    with pytest.raises(LogDirectoryError, match=r"cannot write to .*train.json: No space left on device"):
        logger.log_metrics({"x": 1}, "train")
    assert records(logger, "test") == [{"x": 1}]


def test_record_cut_short_by_a_full_disk_is_taken_back(tmp_path):
    code = (
        "import sys, resource, mlxp; logger = mlxp.DefaultLogger(sys.argv[1])\n"
        "for _ in range(3): logger.log_metrics({'x': 1}, 'train')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30, 30))\n"
        "try: logger.log_metrics({'y': 'long' * 10}, 'train')\n"
        "except mlxp.errors.LogDirectoryError as error: print(error)"
    )
    result = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "File too large; the records before this one are there" in result.stdout
    assert (tmp_path / "1/metrics/train.json").read_text(encoding="utf-8") == '{"x":1}\n' * 3


def test_removed_directory_is_noticed_while_logging(logger, monkeypatch):
    logger.log_metrics({"x": 1}, "train")
    shutil.rmtree(logger.metrics_dir)
    monkeypatch.setattr("mlxp.running.metrics_file._CHECK_INTERVAL", -1)
    with pytest.raises(LogDirectoryError, match=r"train.json has been removed while the run was writing it"):
        logger.log_metrics({"x": 2}, "train")
    shutil.rmtree(logger.log_dir)
    with pytest.raises(LogDirectoryError, match=r"has been removed while run 1 was writing it"):
        logger.close()


def test_directory_that_cannot_be_created_is_one_clear_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LogDirectoryError, match=r"cannot create .*file/3: File exists"):
        Logger(tmp_path / "file", forced_log_id=3)


def test_logger_can_be_given_to_another_process(logger):
    logger.log_metrics({"x": 1}, "train")
    copy = pickle.loads(pickle.dumps(logger))
    copy.log_metrics({"y": 2}, "train")
    copy.close()
    assert records(logger) == [{"x": 1}, {"y": 2}]
    assert keys(logger) == {"train": ["x", "y"]}


def test_info_names_the_directories(logger):
    assert list(logger.get_info()) == ["log_id", "log_dir", "metrics_dir", "metadata_dir", "artifacts_dir"]


def test_child_class_may_have_its_own_methods(tmp_path):
    class MyLogger(DefaultLogger):
        def log_all(self, **values):
            self.log_metrics(values, "all")

    with MyLogger(tmp_path, -1) as logger:
        logger.log_all(x=1)
    assert records(logger, "all") == [{"x": 1}]


def test_streams_are_copied_and_restored(tmp_path, capfd):
    before = sys.stdout, sys.stderr
    with Logger(tmp_path, log_streams_to_file=True) as logger:
        print("shown")
        print("wrong", file=sys.stderr)
        subprocess.run(["sh", "-c", "echo child"], check=True)
    print("afterwards")
    assert (sys.stdout, sys.stderr) == before
    assert sorted(capfd.readouterr().out.split()) == ["afterwards", "child", "shown"]
    assert sorted(Path(logger.log_dir, "log.stdout").read_text(encoding="utf-8").split()) == ["child", "shown"]
    assert Path(logger.log_dir, "log.stderr").read_text(encoding="utf-8") == "wrong\n"


def test_streams_of_a_resumed_run_are_appended(tmp_path, capfd):
    for word in ("first", "second"):
        with Logger(tmp_path, forced_log_id=1, log_streams_to_file=True):
            print(word)
    assert Path(tmp_path, "1/log.stdout").read_text(encoding="utf-8") == "first\nsecond\n"


values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
metrics = st.dictionaries(st.text(), values | st.lists(values, max_size=3), max_size=5)


@given(st.lists(metrics, max_size=5))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_logged_can_be_read_back(tmp_path, logged):
    with Logger(tmp_path) as logger:
        for record in logged:
            logger.log_metrics(record, "train")
    assert (records(logger) if logged else []) == logged
    names = {key: None for record in logged for key in record}
    assert (keys(logger)["train"] if names else []) == list(names)
