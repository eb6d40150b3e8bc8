"""An index that is brought up to date says what a new one would say, whatever has happened to the runs."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlxp.run_directory.files import write_yaml
from mlxp.run_directory.layout import RunDirectory
from mlxp_reader import Reader
from mlxp_reader.query.expressions import MISSING
from mlxp_reader.records import checks, crawl, index, unfinished, workers
from mlxp_reader.records.encoding import decoded


def refresh(logs, *, is_full=False):
    """Bring the index up to date, after everything that is there has got a time of its own."""
    next_tick(logs)
    cache = index.cache_directory(logs, None)
    return index.refreshed(logs, cache, index.opened(logs, cache), is_full=is_full)


def next_tick(logs):
    probe = logs / "probe"
    probe.touch()
    last = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == last:
        os.utime(probe)


def said(table):
    """What an index says of each run."""
    fields = [name for name in table.schema.names if name.startswith(("config.", "info."))]
    columns = {name: decoded(table.schema.field(name), table[name]) for name in fields}
    shared = {name: index.shared(table, name) for name in ("metrics", "artifacts", "problems")}
    return {
        log_id: {
            **{name: repr(column[row]) for name, column in columns.items() if column[row] is not MISSING},
            **{name: repr(one.contents[one.of_run[row]]) for name, one in shared.items()},
        }
        for row, log_id in enumerate(table["log_id"].to_pylist())
    }


def said_anew(logs):
    return said(index.refreshed(logs, logs / "no cache", None)[0])


@contextmanager
def ages(young):
    """Let runs be trusted at once, and be young for that many seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crawl, "_RACY", 0.0)
        patch.setattr(checks, "_YOUNG", young)
        yield


A_DAY, NOTHING = checks._YOUNG, -3600.0


def write(run, number, status="COMPLETE"):
    """Write a run that differs from others in values, but not in sizes."""
    for folder in (run.metadata, run.metrics_keys_file.parent, run.artifacts_keys_file.parent):
        folder.mkdir(parents=True, exist_ok=True)
    write_yaml(run.config_file, {"lr": 1000 + number})
    write_yaml(run.metrics_keys_file, {"train": [f"loss{1000 + number}"]})
    run.metrics_file("train").write_text(json.dumps({f"loss{1000 + number}": number}) + "\n", encoding="utf-8")
    write_yaml(run.artifacts_keys_file, {"pickle": {"": [f"{1000 + number}.pkl"]}})
    write_yaml(run.info_file, {"status": status, "attempt": 1000 + number})


def edited(file, number):
    """Change numbers in a file in place, and give it its old time back."""
    before = file.stat()
    with file.open("r+", encoding="utf-8") as opened:
        text = opened.read()
        opened.seek(0)
        opened.write("".join(str((int(char) + number) % 10) if char in "0123456789" else char for char in text))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def late_metrics(run, number):
    write_yaml(run.metrics_keys_file.with_name(f"late{number}.yaml"), {f"late{number}": ["acc"]})
    run.metrics_file(f"late{number}").write_text('{"acc": 1}\n', encoding="utf-8")


def replaced(run, number):
    shutil.rmtree(run.path)
    write(run, number)
    for path in run.path.rglob("*"):
        os.utime(path, (1000, 1000))


def copied_over(run, number):
    with tempfile.TemporaryDirectory(dir=run.path.parent) as folder:
        write(RunDirectory(Path(folder) / "1"), number)
        shutil.copytree(Path(folder) / "1", run.path, dirs_exist_ok=True)


def removed(run, number):
    shutil.rmtree(run.path)


def resumed(run, number):
    write(run, number, status="RUNNING")


SEEN_AT_ONCE = {
    "info edited": lambda run, number: edited(run.info_file, number),
    "config replaced": lambda run, number: write_yaml(run.config_file, {"lr": 2000 + number}),
    "submission added": lambda run, number: write_yaml(run.submission_file, {"scheduler_job_id": str(number)}),
    "metrics added": late_metrics,
    "resumed": resumed,
    "removed": removed,
    "replaced": replaced,
    "copied over": copied_over,
    "written": write,
}
SEEN_IN_TURN = {
    "config edited": lambda run, number: edited(run.config_file, number),
    "keys edited": lambda run, number: edited(run.metrics_keys_file, number),
    "artifacts edited": lambda run, number: edited(run.artifacts_keys_file, number),
    "artifacts replaced": lambda run, number: write_yaml(run.artifacts_keys_file, {"json": {"": [f"{number}.json"]}}),
}


def histories(kinds):
    """Lists of changes between two openings, several times; each has a kind, a run and a number of its own."""
    change = st.tuples(st.sampled_from(sorted(kinds)), st.integers(1, 4), st.integers(1, 9))
    return st.lists(st.lists(change, max_size=3), min_size=1, max_size=3)


def apply(logs, changes):
    for kind, log_id, number in changes:
        run = RunDirectory(logs / str(log_id))
        if run.path.exists():
            (SEEN_AT_ONCE | SEEN_IN_TURN)[kind](run, number)
        else:
            write(run, number)


@contextmanager
def three_runs():
    with tempfile.TemporaryDirectory() as folder:
        for log_id in (1, 2, 3):
            write(RunDirectory(Path(folder) / str(log_id)), log_id)
        refresh(Path(folder))
        yield Path(folder)


@settings(max_examples=15)
@given(histories(SEEN_AT_ONCE | SEEN_IN_TURN))
def test_of_young_runs_every_change_is_seen(history):
    with ages(A_DAY), three_runs() as logs:
        for changes in history:
            apply(logs, changes)
            assert said(refresh(logs)[0]) == said_anew(logs)


@settings(max_examples=15)
@given(histories(SEEN_AT_ONCE))
def test_of_old_runs_all_that_happens_to_runs_is_seen_at_a_glance(history):
    with ages(NOTHING), three_runs() as logs:
        for changes in history:
            apply(logs, changes)
            assert said(refresh(logs)[0]) == said_anew(logs)


@settings(max_examples=8)
@given(histories(SEEN_AT_ONCE | SEEN_IN_TURN))
def test_a_full_look_sees_every_change_of_old_runs(history):
    with ages(NOTHING), three_runs() as logs:
        for changes in history:
            apply(logs, changes)
            assert said(refresh(logs, is_full=True)[0]) == said_anew(logs)


@settings(max_examples=4)
@given(histories(SEEN_AT_ONCE | SEEN_IN_TURN))
def test_within_ten_openings_every_change_of_old_runs_is_seen(history):
    with ages(NOTHING), three_runs() as logs:
        for changes in history:
            apply(logs, changes)
        for _ in range(10):
            table = refresh(logs)[0]
        assert said(table) == said_anew(logs)


@pytest.mark.parametrize("kind", sorted(SEEN_IN_TURN))
def test_each_turn_looks_at_another_tenth_of_the_runs(logs, kind):
    with ages(NOTHING):
        for log_id in range(1, 11):
            write(RunDirectory(logs / str(log_id)), log_id)
        refresh(logs)
        for log_id in range(1, 11):
            SEEN_IN_TURN[kind](RunDirectory(logs / str(log_id)), 1)
        assert [refresh(logs)[1].changed for _ in range(11)] == [1] * 10 + [0]


def test_at_a_run_that_ended_long_ago_three_files_are_looked_at(logs, monkeypatch):
    with ages(NOTHING):
        for log_id in range(1, 11):
            write(RunDirectory(logs / str(log_id)), log_id)
        refresh(logs)
        stat, looked_at = os.stat, []
        monkeypatch.setattr(os, "stat", lambda path, **options: (looked_at.append(str(path)), stat(path, **options))[1])
        index.refreshed(logs, logs / ".mlxp", index.opened(logs, logs / ".mlxp"))
        monkeypatch.undo()
    counts = sorted(sum(path.startswith(f"{logs}/{log_id}/") for path in looked_at) for log_id in range(1, 11))
    assert counts[:9] == [3] * 9
    assert counts[9] > 3


def test_a_copy_is_seen_to_its_last_file_whenever_it_is_looked_at(tmp_path, logs):
    write(RunDirectory(tmp_path / "1"), 1)
    with ages(A_DAY):
        for path in sorted((tmp_path / "1").rglob("*")):
            target = logs / "1" / path.relative_to(tmp_path / "1")
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                shutil.copy2(path, target)
            assert said(refresh(logs)[0]) == said_anew(logs)


def run_git(folder, *words):
    command = ["git", "-C", folder, "-c", "user.name=me", "-c", "user.email=me@here", *words]
    subprocess.run(command, check=True, capture_output=True)


def by_cp(new, logs):
    subprocess.run(["cp", "-r", f"{new}/.", logs], check=True)


def by_tar(new, logs):
    subprocess.run(["tar", "-C", new, "-cf", new.with_suffix(".tar"), "."], check=True)
    subprocess.run(["tar", "-C", logs, "-xf", new.with_suffix(".tar")], check=True)


def by_git(new, logs):
    """Go from a commit of the runs as they were to one of the new ones."""
    run_git(logs, "init", "-q")
    run_git(logs, "add", "1")
    run_git(logs, "commit", "-qm", "old")
    run_git(new, "init", "-q")
    run_git(new, "add", "1")
    run_git(new, "commit", "-qm", "new")
    run_git(logs, "fetch", "-q", new, "HEAD")
    run_git(logs, "checkout", "-q", "FETCH_HEAD")


def by_rsync(new, logs):
    """Replace what differs, with its time, as ``rsync -a`` does."""
    for path in new.rglob("*"):
        old = logs / path.relative_to(new)
        if path.is_file() and not (old.is_file() and old.read_bytes() == path.read_bytes()):
            old.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, old.with_name(f".{old.name}.x7Kd2p"))
            old.with_name(f".{old.name}.x7Kd2p").replace(old)


@pytest.mark.skipif(os.name != "posix", reason="there are no such programs")
@pytest.mark.parametrize("young", [A_DAY, NOTHING])
@pytest.mark.parametrize("copied", [by_cp, by_tar, by_git, by_rsync])
@pytest.mark.parametrize("is_whole", [True, False])
def test_what_a_program_copies_over_runs_is_seen(tmp_path, logs, young, copied, is_whole):
    here, there = RunDirectory(logs / "1"), RunDirectory(tmp_path / "new" / "1")
    write(here, 1)
    write(there, 2 if is_whole else 1)
    write_yaml(there.config_file, {"lr": 1009})
    for file in there.path.rglob("*"):
        os.utime(file, ns=(10**18, 10**18))  # as long ago as the copied runs
    with ages(young):
        refresh(logs)
        copied(tmp_path / "new", logs)
        table = refresh(logs)[0]
        assert table["config.lr"].to_pylist() == [1009]
        assert said(table) == said_anew(logs)
        key, value = ("loss1002", 2) if is_whole else ("loss1001", 1)
        assert Reader(logs).filter()[f"train.{key}"][0].tolist() == [value]


@pytest.mark.parametrize("hours", [-49, -1, 1])
def test_of_young_runs_every_change_is_seen_though_the_clocks_of_hosts_differ(logs, monkeypatch, hours):
    """The clock of the reader's host is that much ahead of the one of the file system."""
    here = time.time
    for module in (crawl, checks):
        monkeypatch.setattr(module.time, "time", lambda: here() + hours * 3600)
    for number, kind in enumerate(sorted(SEEN_AT_ONCE | SEEN_IN_TURN), start=1):
        run = RunDirectory(logs / str(number))
        write(run, number)
        refresh(logs)
        (SEEN_AT_ONCE | SEEN_IN_TURN)[kind](run, 1)
        assert said(refresh(logs)[0]) == said_anew(logs)


@pytest.mark.parametrize("young", [A_DAY, NOTHING])
def test_values_edited_in_place_are_read_anew_though_their_time_was_set_back(logs, young):
    with ages(young):
        run = RunDirectory(logs / "1")
        write(run, 1)
        run.metrics_file("train").write_text('{"loss1001": 12}\n', encoding="utf-8")
        refresh(logs)
        assert Reader(logs).filter()["train.loss1001"][0].tolist() == [12]
        text = run.metrics_file("train")
        before = text.stat()
        with text.open("r+") as file:
            file.write('{"loss1001": 34}')
        os.utime(text, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert Reader(logs).filter()["train.loss1001"][0].tolist() == [34]
        assert Reader(logs, refresh=False).filter()["train.loss1001"][0].tolist() in ([12], [34])


def test_what_only_earlier_states_of_a_run_said_is_forgotten(logs, settle):
    settle(logs)
    for log_id, value in ((1, "auto"), (2, 1), (3, None)):
        run = RunDirectory(logs / str(log_id))
        write(run, log_id)
        write_yaml(run.config_file, {"value": value, "name": f"run {log_id}"})
    refresh(logs)
    write_yaml(RunDirectory(logs / "1").config_file, {"value": 2, "name": "run 3"})
    table = refresh(logs)[0]
    assert sorted(table["config.name"].combine_chunks().dictionary.to_pylist()) == ["run 2", "run 3"]
    assert Reader(logs).fields.loc["config.value", "Type"] == "<class 'int'>"  # and no text


class Interrupted(BaseException):
    pass


def interrupted_at(log_id):
    def crawl_until(path):
        if path.endswith(f"/{log_id}"):
            raise Interrupted
        return crawl.crawl(path)

    return crawl_until


def test_an_interrupted_crawl_goes_on_where_it_stopped(logs, monkeypatch):
    from mlxp_reader.records import run_table

    monkeypatch.setattr(workers, "_AT_ONCE", 1)
    monkeypatch.setattr(index, "_TOGETHER", 2)
    monkeypatch.setattr(index, "_BETWEEN_SAVES", -1.0)
    with ages(A_DAY):
        for log_id in range(1, 11):
            write(RunDirectory(logs / str(log_id)), log_id)
        for stopped in (4, 9):
            monkeypatch.setattr(run_table, "crawl", interrupted_at(stopped))
            with pytest.raises(Interrupted):
                refresh(logs)
            assert index.opened(logs, logs / ".mlxp") is None
        monkeypatch.setattr(run_table, "crawl", crawl.crawl)
        write(RunDirectory(logs / "2"), 7)
        table, changes = refresh(logs)
        assert changes == index.Changes(cached=7, changed=1, new=2)
        assert said(table) == said_anew(logs)
        assert unfinished.saved(logs / ".mlxp", index._about(logs, logs / ".mlxp")) == []
        assert refresh(logs)[1] == index.Changes(cached=10, changed=0, new=0)


def test_a_part_of_an_interrupted_crawl_that_is_damaged_is_read_again(logs, monkeypatch):
    from mlxp_reader.records import run_table

    monkeypatch.setattr(workers, "_AT_ONCE", 1)
    monkeypatch.setattr(index, "_TOGETHER", 1)
    monkeypatch.setattr(index, "_BETWEEN_SAVES", -1.0)
    with ages(A_DAY):
        for log_id in (1, 2, 3):
            write(RunDirectory(logs / str(log_id)), log_id)
        monkeypatch.setattr(run_table, "crawl", interrupted_at(3))
        with pytest.raises(Interrupted):
            refresh(logs)
        first, _ = sorted((logs / ".mlxp").glob("unfinished-*"))
        first.write_bytes(first.read_bytes()[:-20])
        monkeypatch.setattr(run_table, "crawl", crawl.crawl)
        table, changes = refresh(logs)
        assert changes == index.Changes(cached=1, changed=0, new=2)
        assert said(table) == said_anew(logs)
        assert not list((logs / ".mlxp").glob("unfinished-*"))
