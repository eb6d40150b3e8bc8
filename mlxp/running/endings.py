"""How a run ended: the status and the words for what a task raised, and the part of a traceback that is the user's."""

import traceback
from types import TracebackType
from typing import Any

from mlxp.run_directory.status import Status
from mlxp.running.signals import Terminated, exit_code, signal_of

_TRACEBACK_LINES = 20
"""How many of a traceback's last lines go to info.yaml."""

_LAUNCHING = {"mlxp", "hydra"}
"""The packages whose code is between the program's start and the task."""


def ending(error: BaseException | None) -> dict[str, Any]:
    """Return the status that `error` stands for, and what info.yaml says about it."""
    end: dict[str, Any] = {"status": Status.COMPLETE.value, "reason": "returned", "code": 0, "signal": None}
    end["traceback"] = _last_lines(error) if error is not None else None
    if error is None:
        return end
    if isinstance(error, Terminated | KeyboardInterrupt):
        number = signal_of(error)
        killed = {"status": Status.KILLED.value, "reason": number.name, "signal": number.name}
        return {**end, **killed, "code": exit_code(number)}
    if isinstance(error, SystemExit):
        return {**end, **_ending_of_exit(error)}
    reason = f"{type(error).__name__}: {error}".strip()
    return {**end, "status": Status.FAILED.value, "reason": reason, "code": 1}


def _ending_of_exit(error: SystemExit) -> dict[str, Any]:
    if is_preemption(error):
        return {
            "status": Status.KILLED.value,
            "reason": "preempted or timed out; handled by submitit",
            "code": error.code,
        }
    if error.code is None or error.code == 0:
        return {"reason": "sys.exit(0)", "traceback": None}
    code = error.code if isinstance(error.code, int) else 1
    return {"status": Status.FAILED.value, "reason": f"sys.exit({error.code!r})", "code": code}


def is_preemption(error: BaseException) -> bool:
    """Return whether submitit's own signal handler raised `error`, which it must get back to requeue its job."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    module = str(frames[-1].f_globals.get("__name__", "")) if frames else ""
    return isinstance(error, SystemExit) and module.startswith("submitit.")


def from_user_code(trace: TracebackType | None) -> TracebackType | None:
    """Return the part of a traceback that begins in the user's code; all of it if no part does."""
    inner = trace
    while inner is not None and str(inner.tb_frame.f_globals.get("__name__")).partition(".")[0] in _LAUNCHING:
        inner = inner.tb_next
    return inner or trace


def _last_lines(error: BaseException) -> str:
    text = "".join(traceback.format_exception(error)).rstrip("\n")
    return "\n".join(text.split("\n")[-_TRACEBACK_LINES:])
