import os
import socket
import subprocess
import sys
import time

import pytest

from mlxp.run_directory.liveness import is_gone, is_silent

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
