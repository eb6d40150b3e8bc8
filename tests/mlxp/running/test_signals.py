"""Signals, and the processes that a run forks."""

import os
import signal
import threading
import time

import pytest

from mlxp.running.signals import Terminated, signals_held, signals_raised


def test_forked_child_has_the_handlers_that_the_program_began_with(actions):
    assert actions.run("action=handlers-of-child").stdout == "returned 0\n"


def test_pools_of_workers_end(actions):
    result = actions.run("action=pool", "number=15")
    assert (result.returncode, result.stdout, result.stderr) == (0, "returned ended\n", "")


def test_task_without_standard_output_is_complete(actions):
    result = actions.run("action=no-stdout", "mlxp.logger.log_streams_to_file=true")
    assert (result.returncode, result.stderr, actions.info()["status"]) == (0, "", "COMPLETE")


def fork_for_long():
    deadline = time.monotonic() + 60
    with signals_raised():
        while time.monotonic() < deadline:
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)


def send(number):
    time.sleep(0.1)
    os.kill(os.getpid(), number)


def test_signal_that_comes_while_the_run_forks_ends_the_run():
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        sender = threading.Thread(target=send, args=(number,))
        sender.start()
        with pytest.raises(Terminated) as ended:
            fork_for_long()
        sender.join()
        assert ended.value.signal_number == number


def test_child_forked_while_signals_are_held_is_ended_by_them():
    with signals_raised(), signals_held():
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        os.kill(child, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
