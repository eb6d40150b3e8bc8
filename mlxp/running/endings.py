"""How a run ended: the status and the description of what a task raised, and the user's part of a traceback.

The text of an exception comes from the user's code: producing it may fail or take forever, and it may be of any length.
So the status of a run is determined without that text, which is added afterwards.
"""

import signal
import traceback
from types import TracebackType
from typing import Any

from mlxp.run_directory.status import Status
from mlxp.running.preemption import PREEMPTED
from mlxp.running.signals import Preempted, Terminated, exit_code, signal_of
from mlxp.running.storable import storable_text

_TRACEBACK_LINES = 20
"""The number of last lines of a traceback that info.yaml holds."""

_LONGEST_LINE = 1000
"""The number of characters of each such line, and of an exception's text, that info.yaml holds."""

_LAUNCHING = {"mlxp", "hydra"}
"""The packages whose code runs between the program's start and the task."""


def ending(error: BaseException | None) -> dict[str, Any]:
    """Return the status that `error` stands for, and what info.yaml says about it without its text."""
    end: dict[str, Any] = {"status": Status.COMPLETE.value, "reason": "returned", "code": 0, "signal": None}
    end["traceback"] = None
    if error is None:
        return end
    number = signal_in(error)
    if number is not None:
        reason = PREEMPTED if isinstance(error, Preempted) else number.name
        killed = {"status": Status.KILLED.value, "reason": reason, "signal": number.name}
        return {**end, **killed, "code": exit_code(number)}
    if isinstance(error, SystemExit):
        return {**end, **_ending_of_exit(error)}
    return {**end, "status": Status.FAILED.value, "reason": _name(error), "code": 1}


def _ending_of_exit(error: SystemExit) -> dict[str, Any]:
    code = int(error.code) if isinstance(error.code, int) else 1
    if is_preemption(error):
        return {
            "status": Status.KILLED.value,
            "reason": "preempted or timed out; handled by submitit",
            "code": code,
        }
    if error.code is None or code == 0:
        return {"reason": "sys.exit(0)"}
    return {"status": Status.FAILED.value, "reason": "sys.exit", "code": code}


def with_words(end: dict[str, Any], error: BaseException) -> dict[str, Any]:
    """Return an `ending` completed with the exception's text and the last lines of its traceback."""
    if end["status"] == Status.COMPLETE:
        return end
    words = {"traceback": _last_lines(error)}
    if end["reason"] == "sys.exit":
        words["reason"] = f"sys.exit({_made(repr, error.code if isinstance(error, SystemExit) else None)})"
    elif end["status"] == Status.FAILED:
        words["reason"] = described(error)
    return {**end, **words}


def described(error: BaseException) -> str:
    """Return the type and the text of an exception, whatever its own code does.

    Examples
    --------
    >>> described(ValueError("too large"))
    'ValueError: too large'
    """
    return f"{_name(error)}: {_made(str, error)}".removesuffix(": ")


def first_line(error: BaseException) -> str:
    """Return the first line of what `described` returns."""
    return described(error).split("\n")[0]


def _name(error: BaseException) -> str:
    return storable_text(type.__getattribute__(type(error), "__name__"), _LONGEST_LINE)


def _made(make: Any, value: Any) -> str:
    """Return the `str` or `repr` of a value; both call the user's code."""
    try:
        text = make(value)
    except (KeyboardInterrupt, Terminated):
        raise
    except BaseException as problem:  # noqa: BLE001 - the exception that it is about must not be lost for another one
        return f"(no text: {make.__name__}() raised {_name(problem)})"
    return storable_text(text, _LONGEST_LINE).strip()


def signal_in(error: BaseException) -> signal.Signals | None:
    """Return the signal that an exception stands for, or one in a group of exceptions; None if there is none."""
    if isinstance(error, Terminated | KeyboardInterrupt):
        return signal_of(error)
    if isinstance(error, BaseExceptionGroup) and not isinstance(error, ExceptionGroup):
        found = (signal_in(one) for one in error.exceptions)
        return next((number for number in found if number is not None), None)
    return None


def is_preemption(error: BaseException) -> bool:
    """Return whether submitit's signal handler raised `error`; submitit must get it back to requeue its job."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    module = str(frames[-1].f_globals.get("__name__", "")) if frames else ""
    return isinstance(error, SystemExit) and module.startswith("submitit.")


def from_user_code(trace: TracebackType | None) -> TracebackType | None:
    """Return the part of a traceback that begins in the user's code; all of it if no part does."""
    inner = trace
    while inner is not None and str(inner.tb_frame.f_globals.get("__name__")).partition(".")[0] in _LAUNCHING:
        inner = inner.tb_next
    return inner or trace


def traceback_text(error: BaseException) -> str:
    """Return the traceback as Python prints it, whatever the exception's own code does."""
    try:
        return "".join(traceback.format_exception(error))
    except (KeyboardInterrupt, Terminated):
        raise
    except BaseException:  # noqa: BLE001 - as in _made
        frames = "".join(traceback.format_tb(error.__traceback__))
        return f"Traceback (most recent call last):\n{frames}{described(error)}\n"


def _last_lines(error: BaseException) -> str:
    lines = traceback_text(error).rstrip("\n").split("\n")[-_TRACEBACK_LINES:]
    return "\n".join(storable_text(line, _LONGEST_LINE) for line in lines)
