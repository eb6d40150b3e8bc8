import contextlib
import os
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context

import pytest

from mlxp.errors import LogDirectoryError
from mlxp.run_directory.layout import RunDirectory
from mlxp_reader.query.expressions import MISSING
from mlxp_reader.records import index, workers
from mlxp_reader.records.encoding import decoded


def refresh(logs, destination=None):
    cache = index.cache_directory(logs, destination)
    return index.refreshed(logs, cache, index.opened(logs, cache))


def values(table, name):
    return decoded(table.schema.field(name), table[name])


@pytest.fixture
def three_runs(logs, write_run, settle):
    for log_id in (1, 2, 3):
        write_run(log_id, config={"lr": log_id / 10})
    settle(logs)
    return logs


def test_an_unchanged_directory_is_not_read_again(three_runs):
    assert refresh(three_runs)[1] == index.Changes(cached=0, changed=0, new=3)
    assert refresh(three_runs)[1] == index.Changes(cached=3, changed=0, new=0)


def test_only_what_is_new_or_changed_is_read(three_runs, write_run):
    refresh(three_runs)
    write_run(2, config={"lr": 7})
    write_run(4, config={"lr": 8})
    table, changes = refresh(three_runs)
    assert changes == index.Changes(cached=2, changed=1, new=1)
    assert values(table, "config.lr") == [0.1, 7, 0.3, 8]


def test_a_removed_run_disappears(three_runs):
    refresh(three_runs)
    (three_runs / "2").rename(three_runs / "removed")
    assert refresh(three_runs)[0]["log_id"].to_pylist() == [1, 3]
    assert index.opened(three_runs, three_runs / ".mlxp").num_rows == 2


def test_a_list_of_keys_that_is_rewritten_in_place_is_noticed(logs, write_run, settle):
    run = RunDirectory(write_run(metrics={"train": [{"loss": 1, "acc": 2}]}))
    run.metrics_keys_file.write_text("train: [loss]\n")
    settle(logs)
    refresh(logs)
    run.metrics_keys_file.write_text("train: [loss, acc]\n")
    assert index.shared(refresh(logs)[0], "metrics").contents == [{"train": ["loss", "acc"]}]


def test_logs_that_appear_where_there_is_no_list_of_keys_are_noticed(logs, write_run, settle):
    run = RunDirectory(write_run(metrics={"train": [{"loss": 1}]}))
    run.metrics_keys_file.unlink()
    settle(logs)
    refresh(logs)
    run.metrics_file("test").write_text('{"acc": 1}')
    assert index.shared(refresh(logs)[0], "metrics").contents == [{"test": ["acc"], "train": ["loss"]}]


def test_what_changes_with_time_alone_is_noticed(logs, write_run, settle):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    write_run(status="RUNNING", info={"hostname": socket.gethostname(), "process_id": process.pid})
    settle(logs, seconds=100)
    assert values(refresh(logs)[0], "info.status") == ["RUNNING"]
    process.kill()
    process.wait()
    assert values(refresh(logs)[0], "info.status") == ["LOST"]
    assert values(index.opened(logs, logs / ".mlxp"), "info.status") == ["LOST"]


def test_a_run_that_is_removed_while_it_is_crawled_leaves_nothing(three_runs, monkeypatch):
    crawl_all = index.crawl_all
    monkeypatch.setattr(index, "crawl_all", lambda *given: (shutil.rmtree(three_runs / "2"), crawl_all(*given))[1])
    assert refresh(three_runs)[0]["log_id"].to_pylist() == [1, 3]


def test_a_file_replaced_within_one_tick_is_noticed(three_runs):
    refresh(three_runs)
    config = three_runs / "2/metadata/config.yaml"
    times = config.stat()
    replaced = config.with_name("new")
    replaced.write_text("lr: 0.9\n")  # as long as it was
    os.utime(replaced, ns=(times.st_atime_ns, times.st_mtime_ns))
    replaced.replace(config)
    assert values(refresh(three_runs)[0], "config.lr") == [0.1, 0.9, 0.3]


def test_runs_that_go_on_are_looked_at_again(logs, write_run, settle):
    write_run(1, status="RUNNING")
    settle(logs)
    refresh(logs)
    assert refresh(logs)[1].changed == 1


def test_an_index_that_says_the_same_is_not_written_again(logs, write_run, settle):
    write_run(1, status="RUNNING")
    settle(logs)
    refresh(logs)
    before = (logs / ".mlxp/index.parquet").stat()
    refresh(logs)
    after = (logs / ".mlxp/index.parquet").stat()
    # Not when it was read last.
    assert (after.st_mtime_ns, after.st_ctime_ns) == (before.st_mtime_ns, before.st_ctime_ns)
    assert (after.st_ino, after.st_size, after.st_mode) == (before.st_ino, before.st_size, before.st_mode)


@pytest.mark.parametrize("damage", [b"", b"PAR1 no more", None])
def test_a_damaged_index_is_made_again(three_runs, damage):
    refresh(three_runs)
    file = three_runs / ".mlxp/index.parquet"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2] if damage is None else damage)
    table, changes = refresh(three_runs)
    assert changes.new == 3
    assert values(table, "config.lr") == [0.1, 0.2, 0.3]


def test_a_flipped_bit_is_noticed(three_runs):
    expected = refresh(three_runs)[0]
    file = three_runs / ".mlxp/index.parquet"
    content = bytearray(file.read_bytes())
    for at in range(4, len(content), 97):
        file.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert refresh(three_runs)[0].equals(expected)


def test_an_index_of_another_version_or_program_is_made_again(three_runs, monkeypatch):
    refresh(three_runs)
    monkeypatch.setattr(index, "_VERSION", b"next")
    assert refresh(three_runs)[1].new == 3


def test_the_index_of_another_directory_is_made_again(three_runs, recorded, tmp_path):
    refresh(recorded, tmp_path / "index")
    assert refresh(three_runs, tmp_path / "index")[1].new == 3


def test_directories_that_are_no_runs_are_passed_over(three_runs):
    for name in ("plots", "007", "-1", "1.5", "²"):
        (three_runs / name).mkdir()
    (three_runs / "8").write_text("a file")
    assert refresh(three_runs)[0]["log_id"].to_pylist() == [1, 2, 3]


def test_columns_that_change_their_kind_keep_their_values(three_runs, write_run):
    refresh(three_runs)
    write_run(2, config={"lr": "auto", "new": None})
    table, _ = refresh(three_runs)
    assert values(table, "config.lr") == [0.1, "auto", 0.3]
    assert values(table, "config.new") == [MISSING, None, MISSING]


def test_without_a_place_beside_the_runs_the_index_is_in_the_cache_of_the_user(
    three_runs, tmp_path, monkeypatch, caplog
):
    (three_runs / ".mlxp").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with caplog.at_level("INFO", logger="mlxp"):
        cache = index.cache_directory(three_runs, None)
    assert cache.is_relative_to(tmp_path / "cache")
    assert str(cache) in caplog.text


def test_a_destination_that_cannot_be_written_is_an_error(three_runs, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LogDirectoryError, match="choose another dst_dir"):
        index.cache_directory(three_runs, tmp_path / "file")


def test_a_directory_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(LogDirectoryError, match="cannot read the directory"):
        index.refreshed(tmp_path / "none", tmp_path, None)


def test_the_last_id_of_the_launcher_is_left_alone(three_runs):
    (three_runs / ".mlxp").mkdir()
    (three_runs / ".mlxp/last_id").write_text("3")
    refresh(three_runs)
    assert (three_runs / ".mlxp/last_id").read_text() == "3"


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, partial(ProcessPoolExecutor, mp_context=get_context("spawn"))])
def test_any_executor_can_crawl(pool, recorded, monkeypatch):
    monkeypatch.setattr(workers, "_AT_ONCE", 5)
    here = index.refreshed(recorded, recorded / "none", None)[0]
    with pool(2) as executor:
        assert said_by(index.refreshed(recorded, recorded / "none", None, executor)[0]).equals(said_by(here))


def said_by(table):
    """The table without what depends on how long ago the files were written."""
    return table.drop_columns(["stamp", "settled"])


@pytest.mark.skipif(os.name != "posix", reason="there are no pseudo-terminals")
def test_a_long_crawl_shows_its_progress_on_a_terminal_only(recorded):
    slow = f"""
import time
from mlxp_reader import Reader
from mlxp_reader.records import run_table, workers
crawl = run_table.crawl
run_table.crawl = lambda path: (time.sleep(0.2), crawl(path))[1]
workers._AT_ONCE = 1
Reader({str(recorded)!r})
"""
    assert "reading runs" in printed_to_a_terminal(slow)
    piped = subprocess.run([sys.executable, "-c", slow], capture_output=True, text=True, check=True)
    assert (piped.stdout, piped.stderr) == ("", "")


def printed_to_a_terminal(code):
    import termios

    terminal, its_other_end = os.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    with subprocess.Popen([sys.executable, "-c", code], stdout=its_other_end, stderr=its_other_end):
        os.close(its_other_end)
        text = b""
        with contextlib.suppress(OSError):  # which is how a terminal ends
            while piece := os.read(terminal, 4096):
                text += piece
    os.close(terminal)
    return text.decode()


def test_other_processes_read_the_same(recorded, monkeypatch):
    here = index.refreshed(recorded, recorded / "none", None)[0]
    monkeypatch.setattr(workers, "_PATIENCE", -1.0)
    monkeypatch.setattr(workers, "_AT_ONCE", 3)
    elsewhere = index.refreshed(recorded, recorded / "none", None)[0]
    assert said_by(elsewhere).equals(said_by(here))
