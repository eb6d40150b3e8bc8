"""Readers opened in a loop while processes write runs: nothing raised, no value lost or doubled, no problem told.

``python reader_concurrency.py --seconds 60 --writers 8 --readers 2`` ends with exit code 0 and says what was read.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

from mlxp.logger import DefaultLogger
from mlxp.run_directory.files import write_yaml
from mlxp.run_directory.layout import RunDirectory
from mlxp_reader.reader import Reader

RECORDS = 40


def write_runs(logs: Path, seconds: float) -> None:
    """Write one run after the other, each value of which tells the run and the step."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with DefaultLogger(logs) as logger:
            run = RunDirectory(Path(logger.log_dir))
            write_yaml(run.config_file, {"optimizer": {"lr": 0.1}, "seed": logger.log_id})
            info = {"status": "RUNNING", "logger": {"log_id": logger.log_id}}
            write_yaml(run.info_file, info)
            for step in range(RECORDS):
                logger.log_metrics({"value": logger.log_id * 1000 + step, "step": step}, "train")
                if step % 10 == 0:
                    logger.log_checkpoint({"step": step})
                    time.sleep(0.01)
            write_yaml(run.info_file, {**info, "status": "COMPLETE"})


def read_runs(logs: Path, seconds: float) -> None:
    """Open reader after reader; fail if anything is not as it was written."""
    deadline = time.monotonic() + seconds
    opened = seen = 0
    while time.monotonic() < deadline:
        reader = Reader(logs)
        opened += 1
        if len(reader) < seen:
            raise RuntimeError(f"{seen} runs were seen, and then {len(reader)}")
        seen = len(reader)
        check(reader)
    print(f"{opened} readers, {seen} runs at the end")


def check(reader: Reader) -> None:
    """Raise RuntimeError if a value is lost, doubled or wrong, or if there is a problem."""
    frame = reader.filter()
    for name in ("train.value", "train.step") if "train.value" in frame else ():
        for row, values in enumerate(frame[name]):
            check_values(name, frame["info.logger.log_id"].iloc[row], values, frame["info.status"].iloc[row])
    if not reader.problems.empty:
        raise RuntimeError(reader.problems.to_string())


def check_values(name: str, log_id: int, values: object, status: object) -> None:
    """Raise RuntimeError if the values of a run are not the first ones that it wrote; all of them once it has ended."""
    found = [] if isinstance(values, float) else list(values)
    first = log_id * 1000 if name == "train.value" else 0
    expected = list(range(first, first + (RECORDS if status == "COMPLETE" else len(found))))
    if found != expected:
        raise RuntimeError(f"run {log_id} is {status}, and {name} is {found}")


def main() -> int:
    """Run writers and readers side by side, then read everything once more."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--readers", type=int, default=2)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder) / "logs"
        logs.mkdir()
        targets = [write_runs] * options.writers + [read_runs] * options.readers
        processes = [context.Process(target=target, args=(logs, options.seconds)) for target in targets]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        check(Reader(logs))
        return max(process.exitcode or 0 for process in processes)


if __name__ == "__main__":
    sys.exit(main())
