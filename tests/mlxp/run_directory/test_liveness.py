import os
import socket
import subprocess
import sys
import time

import pytest

from mlxp.run_directory import liveness
from mlxp.run_directory.liveness import is_gone, is_silent, process_exists, process_start

HERE = socket.gethostname()


@pytest.fixture
def dead_process_id():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize(("heartbeat", "silence"), [(10, 100), (60, 190), (None, 100), (0, 100), ("often", 100)])
def test_a_run_that_missed_several_heartbeats_is_silent(heartbeat, silence):
    assert is_silent({"heartbeat": heartbeat}, time.time() - silence)


@pytest.mark.parametrize(("heartbeat", "silence"), [(10, 80), (60, 170), (None, 80)])
def test_a_few_missed_heartbeats_are_no_silence(heartbeat, silence):
    assert not is_silent({"heartbeat": heartbeat}, time.time() - silence)


def test_a_process_of_this_computer_that_ended_is_gone(dead_process_id):
    assert is_gone({"hostname": HERE, "process_id": dead_process_id})
    assert is_gone({"hostname": HERE, "process_id": 10**20})


def test_a_process_that_runs_is_not_gone():
    assert not is_gone({"hostname": HERE, "process_id": os.getpid()})
    assert not is_gone({"hostname": HERE, "process_id": 1})


@pytest.mark.parametrize("process_id", [None, "12", -1, 0, True])
def test_what_is_not_known_is_not_dead(process_id):
    assert not is_gone({"hostname": HERE, "process_id": process_id})


def test_a_process_of_another_computer_is_not_known(dead_process_id):
    assert not is_gone({"hostname": f"not-{HERE}", "process_id": dead_process_id})


@pytest.mark.skipif(os.name != "posix", reason="ps is there on POSIX only")
def test_start_of_a_process_is_asked_of_ps_where_there_is_no_proc(tmp_path, monkeypatch):
    ps = tmp_path / "ps"
    ps.write_text(f'#!/bin/sh\necho "$TZ $LC_ALL $*" >> {tmp_path}/asked\n[ -e {tmp_path}/later ] && echo no\necho 8\n')
    ps.chmod(0o755)
    monkeypatch.setattr(liveness, "_PROC", tmp_path / "proc")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert process_start(os.getpid()) == "8"
    assert (tmp_path / "asked").read_text() == f"UTC C -o lstart= -p {os.getpid()}\n"
    assert process_exists(os.getpid(), "8") is True
    (tmp_path / "later").touch()  # another process has the number now
    assert process_exists(os.getpid(), "8") is False


@pytest.mark.skipif(os.name != "posix", reason="ps is there on POSIX only")
def test_process_whose_start_nobody_tells_may_be_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(liveness, "_PROC", tmp_path / "proc")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert process_start(os.getpid()) is None
    assert process_exists(os.getpid(), "8") is True
