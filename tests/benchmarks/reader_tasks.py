"""One task of a reader, measured in a process of its own; MLXP 1.0.5 and today's MLXP run the same code.

``python reader_tasks.py TASK LOGS`` prints a line of JSON: the CPU seconds, those of child processes among them, and
the megabytes of memory that the task added. Everything is imported before, by doing the task on a few runs first.
"""

import argparse
import contextlib
import gc
import io
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from synthetic_logs import write_logs

try:
    from mlxp.reader import Reader
except ImportError:  # a tree without the re-export
    from mlxp_reader import Reader

QUERY = "config.optimizer.lr > 0.5 & info.status == 'COMPLETE'"


def mean(curves: Any) -> Any:
    """Return the mean curve; the map that MLXP's documentation shows."""
    return np.mean([np.asarray(curve) for curve in curves], axis=0)


def opened(logs: str) -> Any:
    return Reader(logs, refresh=False)


def everything(logs: str) -> Any:
    return Reader(logs, refresh=False).filter()


# What is done before, and what is measured.
TASKS: dict[str, tuple[Callable[[str], Any], Callable[[Any], Any]]] = {
    "open": (str, Reader),
    "filter": (opened, lambda reader: reader.filter(QUERY)),
    "column": (everything, lambda frame: [len(values) for values in frame[:]["train.loss"]]),
    "curves": (everything, lambda frame: frame.groupby(["config.optimizer.lr"]).aggregate((mean, ("train.loss",)))),
    "pandas": (opened, lambda reader: reader.filter(result_format="pandas")),
    "frame": (opened, lambda reader: reader.filter()),
}


def make_database(logs: str) -> None:
    """Write the database of MLXP 1.0.5 at once, which its own Reader needs hours for, beyond some thousand runs."""
    from mlxp.reader import _get_data

    runs, fields = {}, {}
    for run in Path(logs).iterdir():
        if run.name.isdigit():
            runs[run.name], new = _get_data(str(run))
            fields.update(new)
    tables = {"runs": runs, "fields": {str(n): {key: kind} for n, (key, kind) in enumerate(fields.items(), 1)}}
    (Path(logs) / "database.json").write_text(json.dumps(tables, sort_keys=True, indent=4))


def seconds() -> float:
    """Return the CPU seconds of this process and its children."""
    import resource

    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def megabytes(which: str) -> float:
    """Return the memory of this process, ``VmRSS`` now or ``VmHWM`` at most, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which)) / 1024


def measured(task: str, logs: str) -> dict[str, float]:
    before, do = TASKS[task]
    subject = before(logs)
    gc.collect()
    memory, started, wall = megabytes("VmRSS"), seconds(), time.perf_counter()
    result = do(subject)
    used = {"cpu": seconds() - started, "wall": time.perf_counter() - wall, "peak": megabytes("VmHWM") - memory}
    gc.collect()
    used["kept"] = megabytes("VmRSS") - memory
    del result
    return used


def warm_up(task: str) -> None:
    folder = tempfile.mkdtemp()
    write_logs(Path(folder), runs=4, records=2)
    Reader(folder)
    measured(task, folder)
    shutil.rmtree(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("task", choices=[*TASKS, "database"])
    parser.add_argument("logs")
    options = parser.parse_args()
    assert pd, "imported before anything is measured"
    with contextlib.redirect_stdout(io.StringIO()):  # MLXP 1.0.5 prints
        if options.task == "database":
            result = make_database(options.logs) or {}
        else:
            warm_up(options.task)
            result = measured(options.task, options.logs)
    print(json.dumps(result))
