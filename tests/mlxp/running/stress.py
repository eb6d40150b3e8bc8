"""Closes, kills and forks processes that log, many times, and checks each time that every record is where it belongs.

    python stress.py closes|close_ranges|kills|forks|terminations|pools TIMES DIRECTORY

Prints how often it was done, and how many records were checked.
"""

import json
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import mlxp
from mlxp.running.signals import signals_raised

SIZES = (0, 0, 0, 5000)  # some records go over the end of a page, where a kill can cut them


def records_of(logger, name="train"):
    lines = Path(logger.metrics_dir, f"{name}.json").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


class Threads:
    """Three threads that log until they are told to stop, and remember what was acknowledged."""

    def __init__(self, logger):
        for name in ("train", "test"):
            logger.log_metrics({"run": logger.log_id, "thread": -1, "i": -1}, name)
        self.acknowledged = {number: [] for number in range(3)}
        self.refused = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.log, args=(logger, number)) for number in self.acknowledged]
        for thread in self.threads:
            thread.start()

    def log(self, logger, thread):
        i = 0
        while not self.stopping.is_set() and i < 300:
            record = {"run": logger.log_id, "thread": thread, "i": i}
            try:
                logger.log_metrics(record, "train" if i % 2 else "test")
            except mlxp.errors.LogDirectoryError as error:
                self.refused.append(error)
            else:
                self.acknowledged[thread].append(record)
            i += 1

    def join(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def check(self, logger):
        """Every acknowledged record is in its own run, once and in order; nothing else is there."""
        found = [record for name in ("train", "test") for record in records_of(logger, name)]
        for thread, acknowledged in self.acknowledged.items():
            own = sorted((record for record in found if record["thread"] == thread), key=lambda record: record["i"])
            assert own == acknowledged, (logger.log_id, thread)
        assert not self.refused, self.refused[0]
        return len(found)


def bystanders(directory, number):
    """Open files that take the numbers that have just become free."""
    return [Path(directory, f"bystander-{number}-{i}").open("ab", buffering=0) for i in range(8)]


def check_bystanders(files):
    for file in files:
        assert Path(file.name).stat().st_size == 0, file.name
        try:
            file.close()
        finally:
            Path(file.name).unlink()


def closes(times, directory):
    checked = 0
    for number in range(times):
        logger = mlxp.DefaultLogger(directory)
        threads = Threads(logger)
        time.sleep(random.random() / 500)
        logger.close()
        others = bystanders(directory, number)
        following = mlxp.DefaultLogger(directory)  # the next run of a sweep
        for name in ("train", "test"):
            following.log_metrics({"run": following.log_id}, name)
        threads.join()
        check_bystanders(others)
        checked += threads.check(logger)
        for name in ("train", "test"):
            assert records_of(following, name) == [{"run": following.log_id}]
        following.close()
    return checked


def close_ranges(times, directory):
    checked = 0
    for number in range(times):
        logger = mlxp.DefaultLogger(directory)
        threads = Threads(logger)
        time.sleep(random.random() / 500)
        os.closerange(3, 1024)
        others = bystanders(directory, number)
        threads.join()
        check_bystanders(others)
        logger.close()
        checked += threads.check(logger)
    return checked


def kills(times, directory):
    acknowledged = {}
    for i in range(2):  # imports here, once, what each child would import for itself
        with mlxp.DefaultLogger(directory, 1) as logger:
            logger.log_metrics({"attempt": -1, "i": i}, "train")
    for number in range(times):
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read_end)
            log_for_ever(directory, number, write_end)
        os.close(write_end)
        os.read(read_end, 1)  # it has begun
        time.sleep(random.random() / 200)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with open(read_end, "rb") as acknowledgements:
            acknowledged[number] = 1 + len(acknowledgements.read())
    with mlxp.DefaultLogger(directory, 1) as logger:
        logger.log_metrics({"attempt": times, "i": 0}, "train")
        records = records_of(logger)
    logged = {}
    for record in records:
        logged.setdefault(record["attempt"], []).append(record["i"])
    assert list(logged) == list(range(-1, times + 1))
    for number, count in acknowledged.items():
        assert logged[number] == list(range(len(logged[number]))), number
        assert count <= len(logged[number]) <= count + 1, number
    return len(records)


def log_for_ever(directory, number, acknowledge):
    logger = mlxp.DefaultLogger(directory, 1)
    i = 0
    while True:
        logger.log_metrics({"attempt": number, "i": i, "text": "x" * random.choice(SIZES)}, "train")
        os.write(acknowledge, b"x")
        i += 1


def forks(times, directory):
    logger = mlxp.DefaultLogger(directory)
    stopping = threading.Event()
    counts = [0, 0, 0]

    def log(thread):
        while not stopping.is_set():
            logger.log_metrics({"thread": thread, f"key {counts[thread] // 50 % 400}": counts[thread]}, "train")
            counts[thread] += 1

    threads = [threading.Thread(target=log, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(times):
            child = os.fork()
            if child == 0:
                signal.alarm(30)  # a child that hangs is killed, and noticed
                logger.log_metrics({"child": number, f"new {number % 100}": 1}, "train")
                logger.log_metrics({"child": number}, "other")
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0, number
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    logger.close()
    records = records_of(logger)
    assert sorted(record["child"] for record in records if "child" in record) == list(range(times))
    assert sorted(record["child"] for record in records_of(logger, "other")) == list(range(times))
    assert sum("thread" in record for record in records) == sum(counts)
    return len(records)


def terminations(times, directory):
    """Forked workers of a run are ended by a signal, however early it comes."""
    for number in range(times):
        with signals_raised():
            child = os.fork()
            if child == 0:
                sum(range(10**13))  # a long call without a look at signals
            time.sleep(random.choice((0, 0, 0, 0.001)))
            os.kill(child, random.choice((signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)))
            deadline = time.monotonic() + 30
            while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
                if time.monotonic() > deadline:
                    os.kill(child, signal.SIGKILL)
                    raise AssertionError(number)
                time.sleep(0.0005)
        assert -os.waitstatus_to_exitcode(ended[1]) in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1), ended
    return times


def pools(times, _directory):
    """Pools of workers that a run forks end, though their work has hardly begun."""
    context = multiprocessing.get_context("fork")
    with signals_raised():
        for number in range(times):
            with context.Pool(3) as workers:
                if number % 2:
                    workers.map(abs, range(3))
    return times


if __name__ == "__main__":
    for ours in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(ours, signal.SIG_DFL)  # nohup, for one, starts programs that ignore some
    Path(sys.argv[3]).mkdir(exist_ok=True, parents=True)
    done = globals()[sys.argv[1]](int(sys.argv[2]), sys.argv[3])
    print(f"{sys.argv[2]} {sys.argv[1]}, {done} checked")
