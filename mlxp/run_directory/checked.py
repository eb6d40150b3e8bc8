"""What the YAML files about a run may hold: all who read them check the values here, once.

A file that another program or a later version wrote, or that somebody edited, may hold anything. A value of the wrong
kind for its key is left out and reported as a problem, so that no reader meets a text where it expects a number.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from mlxp.run_directory.status import Status

Check = Callable[[Any], bool]
Kinds = Mapping[str, "Check | Kinds"]

_LARGEST = 2**63  # what fits into a column of whole numbers

# It becomes a word in commands, and in a query to OAR's database, wherever the directory came from.
_JOB_ID = re.compile(r"\w[\w.:@+\[\]-]*", re.ASCII)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_status(value: Any) -> bool:
    return Status.of(value) is not None


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 < value < _LARGEST


def _is_whole(value: Any) -> bool:
    return type(value) is int and -_LARGEST <= value < _LARGEST


def _is_seconds(value: Any) -> bool:
    if type(value) is int:
        return 0 <= value < _LARGEST
    return type(value) is float and math.isfinite(value) and value >= 0


def _is_time(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool)


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and set(map(type, value)) <= {str}


def _is_list_of_mappings(value: Any) -> bool:
    return isinstance(value, list) and set(map(type, value)) <= {dict}


def _is_job_id(value: Any) -> bool:
    return isinstance(value, str) and _JOB_ID.fullmatch(value) is not None


_KINDS: dict[Check, str] = {
    _is_text: "a text",
    _is_status: "a state of a run",
    _is_count: "a whole number from 1",
    _is_whole: "a whole number",
    _is_seconds: "a number of seconds",
    _is_time: "a time in ISO 8601",
    _is_mapping: "a mapping",
    _is_truth: "true or false",
    _is_list_of_texts: "a list of texts",
    _is_list_of_mappings: "a list of mappings",
    _is_job_id: "an id that a scheduler gives",
}

INFO: Kinds = {
    "status": _is_status,
    "current_file_path": _is_text,
    "executable": _is_text,
    "hostname": _is_text,
    "process_id": _is_count,
    "process_start": _is_text,
    "start_date": _is_text,
    "start_time": _is_text,
    "end_date": _is_text,
    "end_time": _is_text,
    "started_at": _is_time,
    "ended_at": _is_time,
    "duration": _is_seconds,
    "work_dir": _is_text,
    "logger": _is_mapping,
    "scheduler": _is_mapping,
    "mlxp_version": _is_text,
    "layout": _is_whole,
    "attempt": _is_count,
    "overrides": _is_list_of_texts,
    "exit": {"reason": _is_text, "code": _is_whole, "signal": _is_text, "traceback": _is_text, "changes": _is_text},
    "git": {"commit": _is_text, "dirty": _is_truth},
    "code_changed": _is_truth,
    "python": _is_text,
    "packages": _is_list_of_texts,
    "heartbeat": _is_seconds,
    "ranks": _is_count,
    "identity": _is_mapping,
    "batch": _is_text,
    "rerun_of": _is_count,
    "reproduces": _is_truth,
    "parents": _is_list_of_texts,
    "origin": _is_mapping,
}
"""What the keys of info.yaml may hold besides null; other keys, such as a user's own logger's, may hold anything."""

RANK: Kinds = {name: INFO[name] for name in ("status", "exit", "hostname", "process_id", "started_at", "ended_at")}
"""The same for the file that one of several processes of a run writes."""

SUBMISSION: Kinds = {
    "status": _is_status,
    "scheduler": _is_text,
    "scheduler_job_id": _is_job_id,
    "attempt": _is_count,
    "run": _is_text,
    "overrides": _is_list_of_texts,
    "shell": _is_text,
    "batch": _is_text,
    "call": _is_text,
    "options": _is_list_of_texts,
    "number": _is_whole,
    "command": _is_list_of_texts,
    "submitted_at": _is_time,
    "error": _is_text,
    "stderr": _is_text,
    "program": _is_text,
    "identity": _is_mapping,
    "earlier": _is_list_of_mappings,
    "cancelled_at": _is_time,
    "token": _is_text,
    "task": _is_whole,
    "code": _is_mapping,
    "packing": {"per_job": _is_count, "array": _is_truth, "at_once": _is_count},
    "verdict": {"phase": _is_text, "reason": _is_text, "words": _is_text, "begun": _is_whole, "heard_at": _is_time},
}
"""The same for submission.yaml."""


CLAIM: Kinds = {
    "scheduler_job_id": _is_job_id,
    "token": _is_text,
    "hostname": _is_text,
    "process_id": _is_count,
    "process_start": _is_text,
    "claimed_at": _is_time,
}
"""The same for the claim of a job on an attempt of a run."""


def checked(content: Mapping[Any, Any], kinds: Kinds, prefix: str = "") -> tuple[dict[Any, Any], list[str]]:
    """Return the part of a file's `content` that can be right, and a sentence for each value that cannot.

    Examples
    --------
    >>> checked({"attempt": "x", "exit": {"code": 1, "reason": []}, "mine": 5}, INFO)
    ({'exit': {'code': 1}, 'mine': 5}, ['attempt is not a whole number from 1', 'exit.reason is not a text'])
    """
    good = dict(content)
    problems: list[str] = []
    for key, value in content.items():
        kind = kinds.get(key)
        if kind is None or value is None or (kind is _is_text and type(value) is str):  # as most values are
            continue
        if callable(kind):
            if kind(value):
                continue
            problems.append(f"{prefix}{key} is not {_KINDS[kind]}")
            del good[key]
        elif isinstance(value, dict):
            good[key], inner = checked(value, kind, f"{prefix}{key}.")
            problems += inner
        else:
            problems.append(f"{prefix}{key} is not a mapping")
            del good[key]
    return good, problems
