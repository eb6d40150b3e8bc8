"""The record of one launch: a line per start and per end of a run, written by the processes that execute the runs.

The launching process reads it back for the summary at the end of a sweep, for the ids of the runs, and to find out
which runs were cut off. The record is in the user's cache directory, which all hosts of a cluster usually share, and is
removed at the end.
"""

import contextlib
import json
import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from mlxp.run_directory.batches import default_name
from mlxp.run_directory.files import read_yaml, write_yaml
from mlxp.run_directory.layout import RunDirectory
from mlxp.run_directory.status import Status
from mlxp.running.signals import exit_code

_RECORD = "runs.jsonl"
_STOP = "stop"
_BATCH = ".batch"

_GRACE = 5.0
"""Seconds that a process of an interrupted sweep gets to write its status before it is killed."""


@dataclass
class RunRecord:
    """What is known about one run of a launch."""

    number: int
    overrides: list[str] = field(default_factory=list)
    log_dir: str | None = None
    hostname: str | None = None
    process_id: int | None = None
    status: str = Status.RUNNING.value
    duration: float | None = None
    error: str | None = None
    value: Any = None
    is_left_out: bool = False
    reason: str | None = None

    @property
    def log_id(self) -> int | None:
        """The run's id; None where the logger is disabled."""
        return RunDirectory(Path(self.log_dir)).log_id if self.log_dir else None

    @property
    def is_under_way(self) -> bool:
        """Whether the run has started and not ended, according to the record."""
        return self.status == Status.RUNNING and not self.is_left_out

    @property
    def told_reason(self) -> str:
        """Why the run was started or left out, if it was wanted only if it is missing."""
        return f"left out: {self.reason}" if self.is_left_out else self.reason or ""


@dataclass(frozen=True)
class LaunchRecord:
    """The record of one launch, a file in a directory of its own."""

    directory: Path

    @classmethod
    @contextlib.contextmanager
    def created(cls) -> Iterator["LaunchRecord"]:
        """Within this context, there is a record; files that a task has put into its directory are kept afterwards."""
        record = cls(_new_directory())
        try:
            yield record
        finally:
            _remove(record.directory)

    @property
    def _file(self) -> Path:
        return self.directory / _RECORD

    def add(self, number: int, **facts: Any) -> None:
        """Append new facts about run `number`; this has no effect on a host that does not share the directory."""
        line = json.dumps({"number": number, **facts}, default=lambda _: None) + "\n"
        with contextlib.suppress(OSError):
            handle = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(handle, line.encode())
            finally:
                os.close(handle)

    def runs(self) -> list[RunRecord]:
        """Return the runs that have started so far, in the order of the sweep."""
        facts: dict[int, dict[str, Any]] = {}
        with contextlib.suppress(FileNotFoundError):
            for line in self._file.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(json.JSONDecodeError):
                    fact = json.loads(line)
                    facts.setdefault(fact["number"], {}).update(fact)
        return [RunRecord(**facts[number]) for number in sorted(facts)]

    def batch(self, log_id: int) -> str | None:
        """Return the name of the batch, which its first run gives it; None on a host that does not share the record."""
        file = self.directory / _BATCH
        with contextlib.suppress(OSError):
            if not file.exists():
                own = self.directory / f"{_BATCH}-{log_id}"
                own.write_text(default_name(log_id), encoding="ascii")
                with contextlib.suppress(FileExistsError):  # one of several processes is the first
                    os.link(own, file)
            return file.read_text(encoding="ascii")
        return None

    def ask_to_stop(self) -> None:
        """Prevent the start of runs that have not started yet."""
        with contextlib.suppress(OSError):
            (self.directory / _STOP).touch()

    @property
    def is_stopped(self) -> bool:
        """Whether runs that have not started yet must not start."""
        return (self.directory / _STOP).exists()

    def end_runs_under_way(self, cause: signal.Signals | None = None) -> None:
        """End the processes of this host whose runs have not ended, and record that they were killed, by `cause`.

        They had time to write that themselves; those that are left were killed in a way that they could not notice.
        """
        here = socket.gethostname()
        left = [run for run in self.runs() if run.is_under_way and run.hostname == here and run.process_id]
        others = [run.process_id for run in left if run.process_id and run.process_id != os.getpid()]
        _end_processes(others)
        for run in self.runs():
            if run.is_under_way and run.hostname == here:
                _mark_killed(run, cause)
                self.add(run.number, status=Status.KILLED.value, error="killed")


def _new_directory() -> Path:
    """Return a new directory in the user's cache, or else among the temporary files."""
    import platformdirs

    parent = platformdirs.user_cache_path("mlxp") / "launches"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(parent)
        return Path(tempfile.mkdtemp(prefix=f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-", dir=parent))
    except OSError:
        return Path(tempfile.mkdtemp(prefix="mlxp-"))


def _remove(directory: Path) -> None:
    """Delete a record; Hydra's output directory, which is inside it, is kept unless it is empty."""
    for file in (directory / _RECORD, directory / _STOP, *directory.glob(f"{_BATCH}*")):
        with contextlib.suppress(OSError):
            file.unlink()
    for folder in (*directory.glob("*/"), directory):
        with contextlib.suppress(OSError):  # it is not empty
            folder.rmdir()


def _remove_abandoned(parent: Path) -> None:
    """Remove, after a month, what killed launches left behind."""
    for directory in parent.iterdir():
        if directory.stat().st_mtime < time.time() - 30 * 24 * 3600:
            _remove(directory)


def _end_processes(process_ids: list[int]) -> None:
    for number in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        for process_id in _alive(process_ids):
            with contextlib.suppress(OSError):
                os.kill(process_id, number)
        deadline = time.monotonic() + _GRACE
        while _alive(process_ids) and time.monotonic() < deadline:
            time.sleep(0.02)


def _alive(process_ids: list[int]) -> list[int]:
    return list(_processes(process_ids)) if os.name == "posix" else []


def _processes(process_ids: list[int]) -> Iterator[int]:
    for process_id in process_ids:
        with contextlib.suppress(OSError):
            # A child that has ended stays until its end is noticed.
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(process_id, os.WNOHANG)[0] == process_id:
                    continue
            os.kill(process_id, 0)
            yield process_id


def _mark_killed(run: RunRecord, cause: signal.Signals | None) -> None:
    if run.log_dir is None:
        return
    reason = (
        f"the sweep that it belonged to was ended by {cause.name}"
        if cause
        else "its process died without recording its end"
    )
    end = {"signal": cause.name if cause else None, "code": exit_code(cause) if cause else None}
    file = RunDirectory(Path(run.log_dir)).info_file
    with contextlib.suppress(Exception):  # it may be gone, damaged or out of reach: then nothing can be said there
        info = read_yaml(file)
        if Status(info["status"]).is_under_way and info["process_id"] == run.process_id:
            now = datetime.now().astimezone()
            info |= {"status": Status.KILLED.value, "ended_at": now.isoformat(timespec="milliseconds")}
            info |= {"end_date": now.strftime("%d/%m/%Y"), "end_time": now.strftime("%H:%M:%S")}
            info["exit"] = {"reason": reason, **end, "traceback": None}
            write_yaml(file, info)


def summary(runs: list[RunRecord]) -> str:
    """Return a table with one line per run: id, overrides, status, duration; below it, where the logs are.

    Examples
    --------
    >>> print(summary([RunRecord(0, ["seed=1"], "/logs/4", status="COMPLETE", duration=75.2)]))
    run  overrides  status    duration
    4    seed=1     COMPLETE  1 min 15 s
    logs: /logs
    """
    title = ["run", "overrides", "status", "duration"]
    cells = ([str(run.log_id or "-"), " ".join(run.overrides), run.status, _spelled(run.duration)] for run in runs)
    rows = [title, *cells]
    if any(run.reason for run in runs):
        rows = [[*row, reason] for row, reason in zip(rows, ["why", *(run.told_reason for run in runs)], strict=True)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    parents = sorted({str(Path(run.log_dir).parent) for run in runs if run.log_dir})
    return "\n".join([*(line.rstrip() for line in lines), *(f"logs: {parent}" for parent in parents)])


def _spelled(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
