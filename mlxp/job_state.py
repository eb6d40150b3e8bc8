"""Asks the schedulers what became of jobs: a function for each, which needs one or two commands for any number of jobs.

The answers are brought to a few states. A scheduler that cannot be asked leaves its jobs UNKNOWN, which is not the end
of them; one that answers, and does not know a job any more, says FORGOTTEN.
"""

import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from xml.etree import ElementTree as ET

__all__ = ["JobState", "Phase", "grid_engine", "lsf", "moab", "oar", "pbs", "slurm"]

_SECONDS = 60
_SIGNALLED = 128


class Phase(StrEnum):
    """How far a job has come."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    """It has ended, and its script said that all went well, or the scheduler does not tell."""
    FAILED = "FAILED"
    """Its script ended with an error, or could not be started."""
    ENDED = "ENDED"
    """It was ended from outside: cancelled, out of time or memory, its computer lost."""
    FORGOTTEN = "FORGOTTEN"
    """The scheduler does not know it, any more."""
    UNKNOWN = "UNKNOWN"
    """The scheduler could not be asked."""


@dataclass(frozen=True, slots=True)
class JobState:
    """The state of one job: its phase, and what the scheduler says in its own words.

    Where the scheduler has, of itself, started another job in its place, this is the state of that `successor`.
    """

    phase: Phase
    words: str = ""
    successor: str | None = None


def asked(command: Sequence[str]) -> subprocess.CompletedProcess[str] | None:
    """Return the answer of a scheduler's command; None if there is none."""
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None


def _all(ids: Sequence[str], phase: Phase, words: str = "") -> dict[str, JobState]:
    return dict.fromkeys(ids, JobState(phase, words))


_SLURM = {
    **dict.fromkeys(
        ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"), Phase.WAITING
    ),
    **dict.fromkeys(
        ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"), Phase.RUNNING
    ),
    "COMPLETED": Phase.DONE,
    **dict.fromkeys(("FAILED", "BOOT_FAIL"), Phase.FAILED),
}
"""Slurm's states, squeue(1); all others are ends from outside."""


def slurm(ids: Sequence[str]) -> dict[str, JobState]:
    """Return the states of Slurm jobs: recent ones from squeue, older ones from the accounting, if any."""
    jobs = ",".join(sorted({one.partition("_")[0] for one in ids}))
    answer = asked(["squeue", "-h", "-r", "-t", "all", "-j", jobs, "-o", "%i|%T|%r"])
    if answer is None or (answer.returncode and "Invalid job id" not in answer.stderr):
        return _all(ids, Phase.UNKNOWN, answer.stderr.strip() if answer else "squeue does not answer")
    states = dict(_slurm_lines(answer.stdout))
    missing = [one for one in ids if one not in states]
    if missing:
        states = {**_slurm_accounting(missing), **states}
    return {one: states.get(one, JobState(Phase.FORGOTTEN)) for one in ids}


def _slurm_lines(text: str) -> Iterator[tuple[str, JobState]]:
    for line in text.splitlines():
        job, state, reason = [*line.split("|"), "", ""][:3]
        name = (state.split() or [""])[0].rstrip("+")
        words = f"{state} ({reason})" if reason not in {"", "None"} else state
        yield job, JobState(_SLURM.get(name, Phase.ENDED), words)


def _slurm_accounting(ids: Sequence[str]) -> dict[str, JobState]:
    jobs = ",".join(sorted({one.partition("_")[0] for one in ids}))
    answer = asked(["sacct", "-X", "-n", "-P", "-j", jobs, "-o", "JobID,State,ExitCode"])
    if answer is None or answer.returncode:  # many clusters keep no accounts
        return {}
    states = {}
    for job, state in _slurm_lines(answer.stdout):
        words = (
            state.words.replace("(", "(exit code ") if state.phase is Phase.FAILED else state.words.partition(" (")[0]
        )
        states[job] = JobState(state.phase, words)
    return states


def grid_engine(ids: Sequence[str]) -> dict[str, JobState]:
    """Return the states of Grid Engine jobs: live ones from qstat, ended ones from the accounting file."""
    answer = asked(["qstat", "-u", "*", "-xml"])
    if answer is None or answer.returncode:
        return _all(ids, Phase.UNKNOWN, answer.stderr.strip() if answer else "qstat does not answer")
    states = dict(_grid_engine_live(answer.stdout))
    if any(one not in states for one in ids):
        states = {**_grid_engine_ended(), **states}
    return {one: states.get(one, JobState(Phase.FORGOTTEN)) for one in ids}


def _grid_engine_live(text: str) -> Iterator[tuple[str, JobState]]:
    for job in ET.fromstring(text).iter("job_list"):  # noqa: S314 - the scheduler's own words
        number, state = job.findtext("JB_job_number", ""), job.findtext("state", "")
        found = JobState(_grid_engine_phase(state), f"state {state}")
        tasks = job.findtext("tasks")
        yield from ((f"{number}.{task}", found) for task in _task_numbers(tasks or ""))
        if tasks is None:
            yield number, found


def _grid_engine_phase(state: str) -> Phase:
    if "E" in state:
        return Phase.FAILED
    return Phase.WAITING if "q" in state else Phase.RUNNING


def _task_numbers(text: str) -> Iterator[int]:
    """Yield the numbers that Grid Engine spells ``3,5-9:2``."""
    for part in filter(None, text.split(",")):
        bounds, _, step = part.partition(":")
        first, _, last = bounds.partition("-")
        yield from range(int(first), int(last or first) + 1, int(step or 1))


def _grid_engine_ended() -> dict[str, JobState]:
    # One command for all jobs; qacct takes a single id only.
    answer = asked(["qacct", "-d", "30", "-j", "*"])
    states = {}
    for record in (answer.stdout if answer else "").split("=" * 62):
        facts = dict(line.split(maxsplit=1) for line in record.splitlines() if len(line.split(maxsplit=1)) == 2)
        if "jobnumber" in facts:
            number, task = facts["jobnumber"].strip(), facts.get("taskid", "undefined").strip()
            code = int(facts.get("exit_status", "0").split()[0])
            job = number if task == "undefined" else f"{number}.{task}"
            states[job] = _by_exit_code(code, failure=facts.get("failed", "0").strip())
    return states


def _by_exit_code(code: int, failure: str = "0") -> JobState:
    failure = "" if failure.split()[:1] in ([], ["0"]) else f" (failed: {failure})"
    if code > _SIGNALLED:
        return JobState(Phase.ENDED, f"ended by signal {code - _SIGNALLED}{failure}")
    return JobState(Phase.FAILED if code or failure else Phase.DONE, f"exit code {code}{failure}")


_OAR = {
    **dict.fromkeys(("Waiting", "Hold", "toLaunch", "toAckReservation", "toError"), Phase.WAITING),
    **dict.fromkeys(("Launching", "Running", "Finishing", "Suspended", "Resuming"), Phase.RUNNING),
}


def oar(ids: Sequence[str]) -> dict[str, JobState]:
    """Return the states of OAR jobs, which it keeps for ever.

    An idempotent job that was ended for the sake of others gets a successor, and this one another one, perhaps.
    """
    current = {one: one for one in ids}
    states: dict[str, JobState] = {}
    while current:
        jobs = _oar_jobs("job_id", current.values())
        if isinstance(jobs, str):
            return _all(ids, Phase.UNKNOWN, jobs)
        for one, job_id in current.items():
            states[one] = _oar_state(jobs[job_id]) if job_id in jobs else JobState(Phase.FORGOTTEN)
            if job_id != one:
                states[one] = replace(states[one], successor=job_id)
        successors = _oar_successors(jobs)
        if isinstance(successors, str):  # an ended job is not the end of its run if another one may go on
            return _all(ids, Phase.UNKNOWN, successors)
        current = {one: successors[job_id] for one, job_id in current.items() if job_id in successors}
    return states


def _oar_successors(jobs: Mapping[str, Mapping[str, Any]]) -> dict[str, str] | str:
    """Return the ids of the jobs that OAR has started instead, by those of `jobs`, or what is said instead."""
    replaced = [job_id for job_id, job in jobs.items() if "RESUBMIT_JOB_AUTOMATICALLY" in _oar_events(job)]
    found = _oar_jobs("resubmit_job_id", replaced) if replaced else {}
    return found if isinstance(found, str) else {str(job["resubmit_job_id"]): job_id for job_id, job in found.items()}


def _oar_jobs(column: str, ids: Iterable[str]) -> dict[str, dict[str, Any]] | str:
    """Return OAR's jobs by id, or what is said instead."""
    answer = asked(["oarstat", "-J", "-f", "--sql", f"{column} IN ({','.join(ids)})"])
    if answer is None or answer.returncode:
        return answer.stderr.strip() if answer else "oarstat does not answer"
    found: dict[str, dict[str, Any]] | None = json.loads(answer.stdout or "null")  # "null" is said, too
    return found or {}


def _oar_events(job: Mapping[str, Any]) -> set[str]:
    return {str(event.get("type")) for event in job.get("events") or [] if isinstance(event, dict)}


def _oar_state(job: Mapping[str, Any]) -> JobState:
    state = str(job.get("state"))
    if state in _OAR:
        return JobState(_OAR[state], state)
    events = _oar_events(job)
    ends = events & {"FRAG_JOB_REQUEST", "WALLTIME", "KILLED", "BESTEFFORT_KILL", "SEND_KILL_JOB"}
    if ends:
        return JobState(Phase.ENDED, f"{state} ({', '.join(sorted(ends))})")
    status = job.get("exit_code")  # as wait(2) gives it
    if state == "Error" or status is None:
        return JobState(Phase.FAILED, f"{state} ({', '.join(sorted(events)) or 'never launched'})")
    code, by_signal = divmod(int(str(status)), 256)
    return _by_exit_code(code or (_SIGNALLED + by_signal if by_signal else 0))


def pbs(ids: Sequence[str]) -> dict[str, JobState]:
    """Return the states of PBS jobs.

    With ``-x`` OpenPBS also tells of ended jobs, and Torque answers in XML. An OpenPBS that keeps no history, which is
    its default, then tells of no job at all, and exits with 0 (openpbs/src/cmds/qstat.c).
    """
    answer = asked(["qstat", "-x", "-f", *ids])
    if answer is not None and not answer.returncode and not answer.stdout.strip():
        answer = asked(["qstat", "-f", *ids])
    if answer is None or (answer.returncode and not answer.stdout.strip() and "nknown Job" not in answer.stderr):
        return _all(ids, Phase.UNKNOWN, answer.stderr.strip() if answer else "qstat does not answer")
    read = _torque_jobs if answer.stdout.lstrip().startswith("<") else _openpbs_jobs
    states = {job: _pbs_state(facts) for job, facts in read(answer.stdout)}
    return {one: states.get(one, JobState(Phase.FORGOTTEN)) for one in ids}


def _openpbs_jobs(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    for record in re.split(r"^Job Id: ", text, flags=re.MULTILINE)[1:]:
        job, _, rest = record.partition("\n")
        yield job.strip(), dict(re.findall(r"^ +(\w+) = (.*)$", rest, re.MULTILINE))


def _torque_jobs(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    for job in ET.fromstring(text).iter("Job"):  # noqa: S314 - the scheduler's own words
        yield job.findtext("Job_Id", ""), {child.tag: child.text or "" for child in job}


def _pbs_state(facts: Mapping[str, str]) -> JobState:
    state = facts.get("job_state", "")
    code = facts.get("exit_status", facts.get("Exit_status"))
    if state not in {"C", "F", "X"}:
        return JobState(Phase.WAITING if state in {"Q", "H", "W", "T", "S"} else Phase.RUNNING, f"state {state}")
    if code is None:
        return JobState(Phase.ENDED, "ended without an exit code")
    # Torque adds 256 for a signal; negative numbers mean that the job could not be run.
    number = int(code)
    return _by_exit_code(number - 128 if number > 256 else number)


_LSF = {
    **dict.fromkeys(("PEND", "PSUSP", "WAIT", "PROV"), Phase.WAITING),
    **dict.fromkeys(("RUN", "USUSP", "SSUSP"), Phase.RUNNING),
    "DONE": Phase.DONE,
}


def lsf(ids: Sequence[str]) -> dict[str, JobState]:
    """Return the states of LSF jobs."""
    answer = asked(["bjobs", "-a", "-noheader", "-o", "jobid jobindex stat exit_code delimiter='|'", *ids])
    if answer is None or (answer.returncode and "is not found" not in answer.stderr and not answer.stdout.strip()):
        return _all(ids, Phase.UNKNOWN, answer.stderr.strip() if answer else "bjobs does not answer")
    states = {}
    for line in answer.stdout.splitlines():
        job, index, state, code = [*(part.strip() for part in line.split("|")), "", "", "", ""][:4]
        name = f"{job}[{index}]" if index.isdigit() and index != "0" else job
        ended = _by_exit_code(int(code)) if code.isdigit() else JobState(Phase.ENDED, state)
        states[name] = JobState(_LSF[state], state) if state in _LSF else ended
    return {one: states.get(one, JobState(Phase.FORGOTTEN)) for one in ids}


def moab(ids: Sequence[str]) -> dict[str, JobState]:
    """Return the states of Moab jobs. It does not say how one ended: those not queued any more are forgotten."""
    answer = asked(["showq", "--xml"])
    if answer is None or answer.returncode:
        return _all(ids, Phase.UNKNOWN, answer.stderr.strip() if answer else "showq does not answer")
    states = {}
    for job in ET.fromstring(answer.stdout).iter("job"):  # noqa: S314 - the scheduler's own words
        state = job.get("State", "")
        phase = Phase.RUNNING if state in {"Running", "Starting", "Suspended"} else Phase.WAITING
        states[job.get("JobID", "")] = JobState(phase, state)
    return {one: states.get(one, JobState(Phase.FORGOTTEN)) for one in ids}
