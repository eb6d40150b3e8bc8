"""The signals that end a run: raised in the task, and held back while the run's last words are written.

Signal handlers are in place only while a run or a sweep is under way, in the main thread only, and only where no one
else has set one: submitit's own handlers, for instance, stay.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
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


def signal_of(error: Terminated | KeyboardInterrupt) -> signal.Signals:
    """Return the signal that `error` stands for."""
    return signal.Signals(error.signal_number) if isinstance(error, Terminated) else signal.SIGINT


def exit_code(number: int) -> int:
    """Return the exit code by which a shell knows that a signal ended a program.

    Examples
    --------
    >>> exit_code(signal.SIGTERM)
    143
    """
    return 128 + number


@contextlib.contextmanager
def signals_raised() -> Iterator[None]:
    """Within this context, a signal that ends a run is raised as `Terminated`; handlers of others are respected.

    SIGINT keeps Python's own handler, which raises KeyboardInterrupt.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    free = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    process_id = os.getpid()

    def raise_terminated(number: int, _frame: FrameType | None) -> None:
        if os.getpid() != process_id:  # a worker that the task forked: the signal ends it as any other process
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        raise Terminated(number)

    try:
        for number in free:
            signal.signal(number, raise_terminated)
        yield
    finally:
        for number in free:
            if signal.getsignal(number) is raise_terminated:
                signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Within this context, the signals that end a run wait until it is left, so that bookkeeping is not cut short."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(
        signal.SIG_BLOCK, {getattr(signal, name) for name in SIGNALS if hasattr(signal, name)}
    )
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
