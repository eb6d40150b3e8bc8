"""Readers opened in a loop while processes write runs: no exception, no value lost or doubled, no problem reported.

``python reader_soak.py --seconds 60 --writers 8`` exits with 1 if anything was wrong.
"""

import argparse
import json
import multiprocessing
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from mlxp.layout import RunDirectory, create_run_directory, write_yaml
from mlxp_reader import Reader


def write_runs(folder: Path, until: float) -> None:
    """Write one run after the other: the metric counts its records."""
    while time.time() < until:
        run = create_run_directory(folder)
        for directory in (run.metadata, run.metrics_keys_file.parent):
            directory.mkdir(parents=True)
        write_yaml(run.config_file, {"seed": run.log_id})
        write_yaml(run.info_file, {"status": "RUNNING"})
        write_yaml(run.metrics_keys_file, {"train": ["step", "half"]})
        write_records(run, until)
        write_yaml(run.info_file, {"status": "COMPLETE"})


def write_records(run: RunDirectory, until: float) -> None:
    with run.metrics_file("train").open("ab", buffering=0) as file:
        for step in range(200):
            file.write(json.dumps({"step": step, "half": step / 2}).encode() + b"\n")
            time.sleep(0.005)
            if time.time() > until:
                break


def read_runs(folder: Path, until: float, found: Any) -> None:
    """Open a reader again and again; put the number of times and what was wrong into `found`."""
    times, longest = 0, dict[int, int]()
    try:
        while time.time() < until:
            reader = Reader(folder)
            frame = reader.filter()
            check(frame, longest)
            assert len(reader.problems) == 0, reader.problems.to_string()
            times += 1
    except Exception as error:  # noqa: BLE001 - told by the parent
        found.put((times, f"{type(error).__name__}: {error}"))
    else:
        found.put((times, None))


def check(frame: Any, longest: dict[int, int]) -> None:
    if "train.step" not in frame.columns:
        return
    frame = frame.dropna(subset=["train.step"])
    for log_id, cell in zip(frame["info.logger.log_id"], frame["train.step"], strict=True):
        steps = list(cell)
        assert steps == list(range(len(steps))), f"run {log_id} has {steps}"
        assert len(steps) >= longest.get(log_id, 0), f"run {log_id} has lost values"
        longest[log_id] = len(steps)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--readers", type=int, default=2)
    options = parser.parse_args()
    folder, until = Path(tempfile.mkdtemp()), time.time() + options.seconds
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    processes = [context.Process(target=write_runs, args=(folder, until)) for _ in range(options.writers)]
    processes += [context.Process(target=read_runs, args=(folder, until, found)) for _ in range(options.readers)]
    for process in processes:
        process.start()
    results = [found.get(timeout=options.seconds + 120) for _ in range(options.readers)]
    for process in processes:
        process.join()
    wrong = [error for _, error in results if error] + ["a writer failed" for process in processes if process.exitcode]
    runs = len(Reader(folder))
    print(f"{runs} runs, read {sum(times for times, _ in results)} times: {'; '.join(wrong) or 'nothing wrong'}")
    shutil.rmtree(folder)
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
