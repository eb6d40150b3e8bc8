"""OAR."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mlxp.job_state import JobState, Phase, Search
from mlxp.schedulers.base import (
    NO_LINE_BREAK,
    SIGNALLED,
    Array,
    Name,
    Scheduler,
    all_in,
    asked,
    by_exit_code,
    found_in,
    option,
)

_OAR = {
    **dict.fromkeys(("Waiting", "Hold", "toLaunch", "toAckReservation", "toError"), Phase.WAITING),
    **dict.fromkeys(("Launching", "Running", "Finishing", "Suspended", "Resuming"), Phase.RUNNING),
}


def states(ids: Sequence[str]) -> dict[str, JobState]:
    """Return the states of OAR jobs, which OAR keeps forever.

    An idempotent job that was ended to make room for others gets a successor, which may in turn get another one.
    """
    current = {one: one for one in ids}
    states: dict[str, JobState] = {}
    while current:
        jobs = _oar_jobs("job_id", current.values())
        if isinstance(jobs, str):
            return all_in(ids, Phase.UNKNOWN, jobs)
        for one, job_id in current.items():
            states[one] = _oar_state(jobs[job_id]) if job_id in jobs else JobState(Phase.FORGOTTEN)
            if job_id != one:
                states[one] = replace(states[one], successor=job_id)
        successors = _oar_successors(jobs)
        if isinstance(successors, str):  # an ended job is not the end of its run if another one may go on
            return all_in(ids, Phase.UNKNOWN, successors)
        current = {one: successors[job_id] for one, job_id in current.items() if job_id in successors}
    return states


def _oar_successors(jobs: Mapping[str, Mapping[str, Any]]) -> dict[str, str] | str:
    """Return the ids of the jobs that OAR started instead of `jobs`, by the ids of these, or why they are unknown."""
    replaced = [job_id for job_id, job in jobs.items() if "RESUBMIT_JOB_AUTOMATICALLY" in _oar_events(job)]
    found = _oar_jobs("resubmit_job_id", replaced) if replaced else {}
    return found if isinstance(found, str) else {str(job["resubmit_job_id"]): job_id for job_id, job in found.items()}


def _oar_jobs(column: str, ids: Iterable[str]) -> dict[str, dict[str, Any]] | str:
    """Return OAR's jobs by id, or the reason why they are unknown."""
    answer = asked(["oarstat", "-J", "-f", "--sql", f"{column} IN ({','.join(ids)})"])
    if answer is None or answer.code:
        return answer.errors.strip() if answer else "oarstat does not answer"
    found: dict[str, dict[str, Any]] | None = json.loads(answer.output or "null")  # "null" is said, too
    return found or {}


def _oar_events(job: Mapping[str, Any]) -> set[str]:
    return {str(event.get("type")) for event in job.get("events") or [] if isinstance(event, dict)}


_REASONS = {"WALLTIME": "TIMEOUT", "BESTEFFORT_KILL": "PREEMPTED", "FRAG_JOB_REQUEST": "CANCELLED"}


def _oar_state(job: Mapping[str, Any]) -> JobState:
    state = str(job.get("state"))
    if state in _OAR:
        start = job.get("startTime")
        return JobState(_OAR[state], state, started_at=float(start) if isinstance(start, int) and start > 0 else None)
    events = _oar_events(job)
    ends = events & {"FRAG_JOB_REQUEST", "WALLTIME", "KILLED", "BESTEFFORT_KILL", "SEND_KILL_JOB"}
    if ends:
        reason = next((reason for event, reason in _REASONS.items() if event in ends), None)
        return JobState(Phase.ENDED, f"{state} ({', '.join(sorted(ends))})", reason=reason)
    status = job.get("exit_code")  # as wait(2) gives it
    if state == "Error" or status is None:
        return JobState(Phase.FAILED, f"{state} ({', '.join(sorted(events)) or 'never launched'})")
    code, by_signal = divmod(int(str(status)), 256)
    return by_exit_code(code or (SIGNALLED + by_signal if by_signal else 0))


def find(token: str, _age: float) -> Search:
    """Look for jobs by part of their name; OAR keeps all jobs forever."""
    answer = asked(["oarstat", "-J", "--sql", f"job_name LIKE '%{token}%'"])
    if answer is None or answer.code:
        return Search(words=answer.complaint if answer else "oarstat does not answer")
    found = json.loads(answer.output or "null") or {}
    # A job that OAR has restarted is known by its first id.
    first = [(job_id, token) for job_id, job in found.items() if not job.get("resubmit_job_id")]
    return found_in(first, token, is_complete=True)


OAR = Scheduler(
    name="OAR",
    directive="#OAR",
    submit=("oarsub", "-S", "-n", "{name}", "-O", "{stdout}", "-E", "{stderr}"),
    header=("-n {name}", "-E {stderr}", "-O {stdout}"),
    job_id=re.compile(r"^OAR_JOB_ID=(\d+)", re.MULTILINE),
    own_options={
        "name": option(r"-n\s", "--name"),
        "stdout": option(r"-O\s", "--stdout"),
        "stderr": option(r"-E\s", "--stderr"),
        "array": option("--array"),
        "directory": option(r"-d\s", "--directory"),
    },
    names=Name(re.compile(rf"['\"{NO_LINE_BREAK}]"), 100),
    # The rest of a line is one option's value, as it is.
    quotes_in_header=False,
    refused_in_paths=re.compile(r"[^A-Za-z0-9_./ -]"),
    state=states,
    cancel=("oardel",),
    put_back="exit 99",
    put_back_options=("-t", "idempotent"),
    warn=("oardel", "-s", "SIGUSR1"),
    restarts_as_another_job=True,
    job_variable="OAR_JOB_ID",
    name_variable="OAR_JOB_NAME",
    find=find,
    # Of two -l, OAR may take either.
    command_line_replaces=tuple(option(f"(?:{one}).*") for one in ("-l|--resource", "-p|--property", "-q|--queue")),
    array=Array(
        option=("--array-param-file", "{parameters}"),
        limit="",
        task_variable="",
        # Each job of the array has its own id.
        task_id="",
        task_is_argument=True,
    ),
)
