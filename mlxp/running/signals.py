"""The signals that end a run: raised in the task, and held back while the run's last words are written.

Signal handlers are in place only while a run or a sweep is under way, only in the main thread, and only for signals
without a handler of somebody else: submitit's own handlers, for instance, stay.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from types import FrameType

from mlxp.running.preemption import take_warning, warned_by, was_told_to_stop

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
"""The signals that end a run; those that the system does not know are left out."""


class Terminated(BaseException):
    """A signal asked the process to end.

    A BaseException, as KeyboardInterrupt is, so that ``except Exception`` in a task does not swallow it.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number

    def __str__(self) -> str:
        return signal.Signals(self.signal_number).name


class Preempted(Terminated):
    """A task has stopped because it was told to: by its scheduler's warning, or by the time limit."""


@contextlib.contextmanager
def preempted_if_told() -> Iterator[None]:
    """Within this context, a task that ends because it was told to stop, and so is not done, raises `Preempted`.

    Lightning hears SIGTERM, too, and exits as if all was well.
    """
    try:
        yield
    except SystemExit as error:
        number = warned_by()
        if error.code or number is None:
            raise
        raise Preempted(number) from None
    number = was_told_to_stop()
    if number is not None:
        raise Preempted(number)


def signal_of(error: Terminated | KeyboardInterrupt) -> signal.Signals:
    """Return the signal that `error` stands for."""
    return signal.Signals(error.signal_number) if isinstance(error, Terminated) else signal.SIGINT


def exit_code(number: int) -> int:
    """Return the exit code that tells a shell that a signal ended a program.

    Examples
    --------
    >>> exit_code(signal.SIGTERM)
    143
    """
    return 128 + number


def _numbers() -> list[signal.Signals]:
    return [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]


def _raise_terminated(number: int, _frame: FrameType | None) -> None:
    if _forking:  # what is raised while the hooks of a fork run is printed and forgotten: the signal comes again
        again = threading.Timer(_PAUSE, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()
        return
    if not take_warning(number):
        raise Terminated(number)


@contextlib.contextmanager
def signals_raised() -> Iterator[None]:
    """Within this context, a signal that ends a run is raised as `Terminated`; handlers set by others are respected.

    SIGINT keeps Python's own handler, which raises KeyboardInterrupt. None of this applies to a process that is forked
    meanwhile: a signal ends it at once, like any other program.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    free = [number for number in _numbers() if signal.getsignal(number) is signal.SIG_DFL]
    try:
        for number in free:
            signal.signal(number, _raise_terminated)
        yield
    finally:
        _give_back(free)


def _give_back(numbers: Iterable[signal.Signals]) -> None:
    for number in numbers:
        if signal.getsignal(number) is _raise_terminated:
            signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Hold back the signals that end a run until this context is left, so that bookkeeping is not cut short."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _numbers())
    _held.append(before)
    try:
        yield
    finally:
        if _held:  # it is empty in a child that was forked meanwhile
            _held.pop()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- forks -----------------------------------------------------------------------------------------------------------

# A signal may be sent to a child before it runs at all. By the time that the child can do anything, Python has
# forgotten that signal, unless it was blocked: it then waits until the child has its own handlers back.

_PAUSE = 0.01
"""Seconds after which a signal that came during a fork is sent again."""

_held: list[set[int]] = []
"""For each `signals_held` that is entered, the signals that were blocked before it."""

_forking: dict[int, set[int]] = {}
"""The signals that the forking thread had blocked before the fork."""


def _before_fork() -> None:
    ours = [number for number in _numbers() if signal.getsignal(number) is _raise_terminated]
    if ours:
        _forking[threading.get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, ours)


def _after_fork_in_parent() -> None:
    thread = threading.get_ident()
    if thread in _forking:
        signal.pthread_sigmask(signal.SIG_SETMASK, _forking[thread])
        del _forking[thread]


def _after_fork_in_child() -> None:
    blocked = _held[0] if _held else _forking.get(threading.get_ident())
    _held.clear()
    _forking.clear()
    _give_back(_numbers())
    if blocked is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


if hasattr(os, "register_at_fork") and hasattr(signal, "pthread_sigmask"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
