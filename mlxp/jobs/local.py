"""Works the runs of a submission off on this computer, some at a time, without a scheduler: ``mlxpsub --local 4``.

The directories, scripts and claims are those of jobs. A run has no job whose state could be asked for: its own word
counts. If this process ends early, the same command goes on with the runs that are not done.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from mlxp.jobs.batch import Batch, alone
from mlxp.jobs.known_states import known_states
from mlxp.jobs.packing import Packing
from mlxp.jobs.resubmission import begin_attempt
from mlxp.jobs.run_state import run_states
from mlxp.jobs.submission import Submission, now, owned
from mlxp.jobs.submitter import Submitter
from mlxp.jobs.submitting import left_out_lines, shown, stops_between_steps, tell
from mlxp.printing import show
from mlxp.run_directory.layout import RunDirectory
from mlxp.run_directory.liveness import process_exists
from mlxp.run_directory.status import Status
from mlxp.running.signals import Terminated, exit_code, signal_of
from mlxp.scheduler import LOCAL, Scheduler

HERE = Scheduler(
    name=LOCAL,
    directive=f"#{LOCAL}",
    submit=("",),
    header=(),
    job_id=re.compile(r"(?!)"),
    own_options={what: re.compile(r"(?!)") for what in ("name", "stdout", "stderr", "array")},
)
"""What stands for a scheduler where the scripts of runs are written: there are no options, and every path will do."""

_POLL = 0.1
_PATIENCE = 10.0
"""Seconds that the rest of a run's processes gets to end after its shell."""


def work_off(submitter: Submitter, processes: int, program: str, *, only_missing: bool = False) -> int:
    """Do runs here, report on each, and return an exit code.

    Parameters
    ----------
    submitter
        The runs.
    processes
        How many runs go on at once.
    program
        What messages begin with.
    only_missing
        Whether to leave out the runs that are there already.

    Raises
    ------
    LockedError
        If another process is doing the same runs.
    """
    with stops_between_steps() as stop_if_asked, alone(submitter):
        batch = Batch(submitter, Packing(), only_missing=only_missing)
        pool = _Pool(batch, processes)
        try:
            batch.prepare(stop_if_asked)
            for line in left_out_lines(batch):
                tell(line)
            pool.add_what_is_not_done()
            pool.work(stop_if_asked)
        except (KeyboardInterrupt, Terminated) as error:
            pool.stop(stop_if_asked)
            left = len(pool.not_done())
            told = f"{program}: interrupted; {left} of {len(batch.submissions)} runs are not done. "
            show(f"{told}The same command goes on with them.", "stderr")
            return exit_code(signal_of(error))
        return pool.close()


@dataclass
class _Process:
    """A run that goes on."""

    run: Submission
    place: int
    shell: subprocess.Popen[bytes]
    ended_at: float | None = None

    def has_ended(self) -> bool:
        """Tell whether the run's shell, and what it started, have ended."""
        if self.shell.poll() is None:
            return False
        self.ended_at = self.ended_at or time.monotonic()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.shell.pid, 0)
            return time.monotonic() > self.ended_at + _PATIENCE and not _goes_on(self.run.directory)
        return True

    def send(self, number: int) -> None:
        """Send a signal to all processes of the run."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.shell.pid, number)


def _goes_on(directory: RunDirectory) -> bool:
    info = directory.info()
    status = Status.of(info.get("status"))
    is_there = process_exists(info.get("process_id"), info.get("process_start"))
    return status is not None and status.is_under_way and is_there is True


class _Pool:
    """The runs of a batch, of which some go on at once."""

    def __init__(self, batch: Batch, processes: int) -> None:
        self.batch = batch
        self.waiting: deque[Submission] = deque()
        self.processes: list[_Process] = []
        self.places = list(range(processes))
        self.devices = devices_of_places(os.environ.get("CUDA_VISIBLE_DEVICES"), processes)

    def _name(self, run: Submission) -> str:
        return shown(run.directory, several=len(self.batch.submitter.parents) > 1)

    def _states(self) -> list[tuple[Submission, Status]]:
        runs = self.batch.submissions
        known = {}
        for parent in {run.directory.path.parent for run in runs}:
            ids = [run.directory.log_id for run in runs if run.directory.path.parent == parent]
            known[parent] = known_states(parent, ids)
        return [(run, known[run.directory.path.parent][run.directory.log_id].status) for run in runs]

    def add_what_is_not_done(self) -> None:
        """Let those runs wait for their turn that have not begun, or that were interrupted."""
        for run, status in self._states():
            if status.is_under_way:
                info = run.directory.info()
                where = f"process {info.get('process_id')} on {info.get('hostname')}"
                tell(f"run {self._name(run)}: goes on in {where}, and is left to it")
            elif _is_to_be_done(run, status):
                self.waiting.append(run)

    def not_done(self) -> list[Submission]:
        """Return the runs that the same command would go on with."""
        return [run for run, status in self._states() if status.is_under_way or _is_to_be_done(run, status)]

    def work(self, stop_if_asked: Callable[[], None]) -> None:
        """Do the waiting runs."""
        while self.waiting or self.processes:
            while self.waiting and self.places:
                stop_if_asked()
                self._start(self.waiting.popleft())
            stop_if_asked()
            if not self._look(put_back=True):
                time.sleep(_POLL)

    def stop(self, stop_if_asked: Callable[[], None]) -> None:
        """Ask all runs to end, and wait for them; whoever asks again has them killed."""
        for process in self.processes:
            process.send(signal.SIGTERM)
        if self.processes:
            tell(f"stopping {len(self.processes)} runs; Ctrl-C once more kills them")
        while self.processes:
            try:
                stop_if_asked()
            except (KeyboardInterrupt, Terminated):
                for process in self.processes:
                    process.send(signal.SIGKILL)
            if not self._look(put_back=False):
                time.sleep(_POLL)

    def close(self) -> int:
        """Say how the runs ended, and return the exit code."""
        states = self._states()
        found = [status for _, status in states]
        not_done = len(self.not_done())
        if not not_done:
            self.batch.close()
        counts = ", ".join(f"{found.count(status)} {status}" for status in dict.fromkeys(found))
        if states:
            again = f"; the same command goes on with {not_done}" if not_done else ""
            tell(f"{len(states)} run{'s' * (len(states) != 1)}: {counts}{again}")
        return int(any(status is not Status.COMPLETE for status in found))

    def _start(self, run: Submission) -> None:
        with owned([run], "starts the run"):
            run.refresh()
            if run.content.get("cancelled_at"):
                return
            info = run.directory.info()
            if info:
                begin_attempt(run, put_back=(info.get("exit") or {}).get("put_back") or 0)
        self.places.sort()
        place = self.places.pop(0)
        tell(f"run {self._name(run)}: {run.content['run']}")
        self.processes.append(_Process(run, place, self._started(run, self.devices[place])))

    def _started(self, run: Submission, devices: str | None) -> subprocess.Popen[bytes]:
        directory = run.directory
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MLXP_")}
        environment |= {"PWD": str(directory.path)} | ({"CUDA_VISIBLE_DEVICES": devices} if devices else {})
        with directory.stdout.open("ab") as stdout, directory.stderr.open("ab") as stderr:
            return subprocess.Popen(
                [*self.batch.submitter.plan.script.interpreter, str(directory.script)],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=directory.path,
                env=environment,
                start_new_session=True,  # what the terminal sends to this process, it passes on itself
            )

    def _look(self, *, put_back: bool) -> bool:
        """Take note of the runs that have ended, and return whether there are any."""
        ended = [process for process in self.processes if process.has_ended()]
        for process in ended:
            self.processes.remove(process)
            self.places.append(process.place)
            run = process.run
            if not run.directory.info():
                _refuse(run, process.shell.returncode)
            is_put_back = run.directory.put_back_file.exists()
            run.directory.put_back_file.unlink(missing_ok=True)
            (state,) = run_states(run.directory.path.parent, [run.directory.log_id])
            reason = f": {state.reason.strip().splitlines()[0]}" if state.reason.strip() else ""
            tell(f"run {self._name(run)}: {state.status}{reason if state.status is not Status.COMPLETE else ''}")
            if is_put_back and put_back:
                self.waiting.append(run)
        return bool(ended)


def _is_to_be_done(run: Submission, status: Status) -> bool:
    if run.content.get("cancelled_at"):
        return False
    return status in {Status.PREPARED, Status.KILLED, Status.LOST}


def _refuse(run: Submission, code: int) -> None:
    """Record that a run has not begun although its script was executed."""
    how = f"exit code {code}" if code >= 0 else f"signal {-code}"
    with owned([run], "writes what became of the run"):
        run.refresh()
        error = f"its script ended with {how} before the run began; see {run.directory.stderr}"
        run.write(status=Status.REFUSED, error=error)


def devices_of_places(visible: str | None, places: int) -> list[str | None]:
    """Return the devices of each process; several are dealt out, and a single one is shared.

    Examples
    --------
    >>> devices_of_places("0,1,2", 2), devices_of_places("4,5", 3), devices_of_places(None, 1)
    (['0,2', '1'], ['4', '5', '4'], [None])
    """
    devices = [one for one in (visible or "").split(",") if one]
    if not devices:
        return [None] * places
    return [",".join(devices[place::places]) or devices[place % len(devices)] for place in range(places)]


def cancel_here(run: Submission) -> str | None:
    """Cancel a run that waits or goes on here, and return the reason why that is impossible, if so."""
    with owned([run], "cancels runs"):
        run.refresh()
        info = run.directory.info()
        status = Status.of(info.get("status"))
        is_under_way = status is not None and status.is_under_way
        if is_under_way and info.get("hostname") != socket.gethostname():
            return f"run {run.directory.log_id} goes on at {info.get('hostname')}; cancel it there"
        run.write(cancelled_at=now())
        if _goes_on(run.directory):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(info["process_id"]), signal.SIGTERM)
    return None
