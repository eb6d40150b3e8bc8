"""Stops a crawl at every point between two effects on the disk, and tells after each stop what readers see.

    python crawl_points.py DIRECTORY

A copy of this process dies before its effect number 0, 1, 2, ... until one comes to its end. Another one waits there
while runs change and a second reader crawls, and then goes on. Prints one line of JSON for each point.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy.ma  # noqa: F401 - here, once, what each copy of this process would import for itself, as below
import pyarrow.compute
import pyarrow.parquet  # noqa: F401

from mlxp.run_directory.files import write_yaml
from mlxp.run_directory.layout import RunDirectory
from mlxp_reader.reader import Reader
from mlxp_reader.records import checks, crawl, encoding, index, workers

sys.path.append(str(Path(__file__).parents[2] / "mlxp" / "running"))
from crash_points import MOST_POINTS, before_effect, forked

DIED = 77


def write(logs, log_id, value):
    """Write a run, or another one in its place."""
    run = RunDirectory(logs / str(log_id))
    run.metrics_keys_file.parent.mkdir(parents=True, exist_ok=True)
    run.metadata.mkdir(exist_ok=True)
    write_yaml(run.config_file, {"value": value})
    write_yaml(run.metrics_keys_file, {"train": [value]})
    run.metrics_file("train").write_text(json.dumps({value: 1}) + "\n", encoding="utf-8")
    write_yaml(run.info_file, {"status": "COMPLETE"})


def change(logs):
    """Change a run, remove the first one, write a new one, and give the last one another id."""
    first, second, *_, last = sorted(int(path.name) for path in logs.iterdir() if path.name.isdigit())
    shutil.rmtree(logs / str(first))
    write(logs, second, f"changed {last}")
    write(logs, last + 1, "new")
    (logs / str(last)).rename(logs / str(last + 2))
    next_tick(logs)


def new_runs(logs):
    for log_id in range(1, 6):
        write(logs, log_id, "first")
    next_tick(logs)


def changed_runs(logs):
    new_runs(logs)
    Reader(logs)
    change(logs)


def interrupted(logs):
    """Leave what a crawl that died in the middle has kept, and change some of that."""
    new_runs(logs)
    assert forked(crawl_until, logs, 13, lambda: os._exit(DIED)) == DIED
    change(logs)


def next_tick(logs):
    """Wait until what is written now has another time than what is there."""
    probe = logs / "probe"
    probe.touch()
    last = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == last:
        os.utime(probe)


def crawl_until(logs: Path, number: int, stop: Callable[[], None]):
    before_effect(number, stop)
    assert not Reader(logs)._problems()


def wait():
    os.kill(os.getpid(), signal.SIGSTOP)


def change_and_check(logs):
    change(logs)
    check(logs)


def check(logs, *about):
    """Compare what a reader sees with what one sees that knows nothing of earlier ones."""
    reader = Reader(logs)
    with tempfile.TemporaryDirectory() as elsewhere:
        assert said(reader) == said(Reader(logs, elsewhere)), said(reader)
    left = [path.name for path in (logs / ".mlxp").glob("unfinished-*")]
    assert not left, left
    if about:
        print(json.dumps([*about, reader._counts()]))


def said(reader):
    table = reader._table
    values = encoding.decoded(table.schema.field("config.value"), table["config.value"])
    metrics = index.shared(table, "metrics")
    assert not reader._problems(), reader._problems()
    keys = [metrics.contents[at] for at in metrics.of_run]
    return dict(zip(reader.log_ids, zip(values, keys, strict=True), strict=True))


def died(logs, number):
    code = forked(crawl_until, logs, number, lambda: os._exit(DIED))
    assert code in (0, DIED), code
    return code == 0


def overtaken(logs, number):
    """Let a crawl wait while the runs change and another one comes to its end; tell whether it had ended before."""
    waiting = os.fork()
    if waiting == 0:
        crawl_until(logs, number, wait)
        os._exit(0)
    _, status = os.waitpid(waiting, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        return True
    code = forked(change_and_check, logs)
    os.kill(waiting, signal.SIGCONT)
    assert (code, os.waitpid(waiting, 0)[1]) == (0, 0)
    return False


SCENARIOS = [(changed_runs, died), (interrupted, died), (changed_runs, overtaken)]


def main():
    sys.dont_write_bytecode = True
    sys.meta_path.insert(0, workers._WithoutPandas)  # which Arrow imports if it can, and the index does not need
    workers._AT_ONCE, index._TOGETHER, index._BETWEEN_SAVES = 1, 2, -1.0  # keeps what was read after every two runs
    crawl._RACY, checks._YOUNG = 0.0, -3600.0  # trusts runs at once, and glances at them
    for prepare, stopped in SCENARIOS:
        about = (prepare.__name__, stopped.__name__)
        for number in range(MOST_POINTS):
            logs = Path(sys.argv[1], *about, str(number), "logs")
            logs.mkdir(parents=True)
            assert forked(prepare, logs) == 0
            is_over = stopped(logs, number)
            assert forked(check, logs, *about) == 0
            if is_over:
                break


if __name__ == "__main__":
    main()
