"""Locks: one owner at a time, and none that outlives its process."""

import json
import os
import subprocess
import sys
import time

import pytest

from mlxp.run_directory.files import create_exclusively
from mlxp.run_directory.liveness import process_exists, process_start
from mlxp.run_directory.locks import LockedError, locked

ONE_AT_A_TIME = """
import os, sys, time
from pathlib import Path
from mlxp.run_directory.locks import LockedError, locked

folder = Path(sys.argv[1])
for _ in range(12):
    if os.fork() == 0:
        number = 0
        while number < 20:
            try:
                with locked([folder / "lock"], "works"):
                    descriptor = os.open(folder / "alone", os.O_CREAT | os.O_EXCL)  # fails if there is another one
                    os.close(descriptor)
                    if number == 10:
                        os.unlink(folder / "alone")
                        os._exit(9)  # dies with the lock
                    os.unlink(folder / "alone")
                    os.write(1, b"+")
                    number += 1
            except LockedError:
                time.sleep(0.001)
            except FileExistsError:
                os.write(1, b"!")
        os._exit(0)
for _ in range(12):
    os.wait()
with locked([folder / "lock"], "works"):
    pass
"""


def test_one_of_many_owns_a_lock_at_a_time_though_some_die_with_it(tmp_path):
    printed = subprocess.run(
        [sys.executable, "-c", ONE_AT_A_TIME, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout
    assert printed.count("+") == 12 * 10
    assert "!" not in printed
    assert list(tmp_path.iterdir()) == []


def test_locks_are_taken_together_or_not_at_all(tmp_path):
    with locked([tmp_path / "b"], "submits run 7"):
        with (
            pytest.raises(LockedError, match=rf"process {os.getpid()} on .* submits run 7; try again"),
            locked([tmp_path / "a", tmp_path / "b"], "cancels"),
        ):
            pass
        assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(("silence", "is_free"), [(20, False), (400, True)])
def test_owner_on_another_host_is_believed_until_it_has_been_silent_for_minutes(tmp_path, silence, is_free):
    lock = tmp_path / "lock"
    owner = {"hostname": "elsewhere", "process_id": 1, "process_start": None, "token": "x", "does": "submits"}
    lock.write_text(json.dumps(owner), encoding="utf-8")
    os.utime(lock, (0, time.time() - silence))
    try:
        with locked([lock], "submits"):
            assert is_free
    except LockedError:
        assert not is_free


def test_number_of_a_process_that_was_given_again_is_another_process(tmp_path):
    start = process_start(os.getpid())
    assert process_exists(os.getpid(), start)
    assert process_exists(os.getpid())
    assert process_exists(os.getpid(), f"{start}1") is False
    lock = tmp_path / "lock"
    owner = {
        "hostname": os.uname().nodename,
        "process_id": os.getpid(),
        "process_start": "before",
        "token": "x",
        "does": "submits",
    }
    lock.write_text(json.dumps(owner), encoding="utf-8")
    with locked([lock], "submits"):
        pass


def test_file_is_created_once_also_where_there_are_no_second_names(tmp_path, monkeypatch):
    assert create_exclusively(tmp_path / "a", "1")
    assert not create_exclusively(tmp_path / "a", "2")
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(PermissionError("no links")))
    assert create_exclusively(tmp_path / "b", "1")
    assert not create_exclusively(tmp_path / "b", "2")
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text() == "1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_lost_answer_of_a_file_server_is_no_refusal(tmp_path, monkeypatch):
    link = os.link

    def linked_but_answered_twice(source, target):
        link(source, target)
        raise FileExistsError

    monkeypatch.setattr(os, "link", linked_but_answered_twice)
    assert create_exclusively(tmp_path / "a", "1")
