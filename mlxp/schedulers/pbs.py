"""PBS: OpenPBS, PBS Professional and Torque."""

import re
from collections.abc import Iterator, Mapping, Sequence
from xml.etree import ElementTree as ET

from mlxp.job_state import JobState, Phase, Search
from mlxp.schedulers.base import (
    ASK_VERSION,
    NO_LINE_BREAK,
    Name,
    Scheduler,
    all_in,
    asked,
    by_exit_code,
    found_in,
    option,
)


def states(ids: Sequence[str]) -> dict[str, JobState]:
    """Return the states of PBS jobs.

    With ``-x``, OpenPBS also lists ended jobs, and Torque answers in XML. An OpenPBS that keeps no history, which is
    the default, then lists no job at all and exits with 0 (openpbs/src/cmds/qstat.c).
    """
    answer = asked(["qstat", "-x", "-f", *ids])
    if answer is not None and not answer.code and not answer.output.strip():
        answer = asked(["qstat", "-f", *ids])
    if answer is None or (answer.code and not answer.output.strip() and "nknown Job" not in answer.errors):
        return all_in(ids, Phase.UNKNOWN, answer.errors.strip() if answer else "qstat does not answer")
    read = _torque_jobs if answer.output.lstrip().startswith("<") else _openpbs_jobs
    states = {job: _pbs_state(facts) for job, facts in read(answer.output)}
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
    reason = {-29: "TIMEOUT", -27: "OUT_OF_MEMORY"}.get(number)  # OpenPBS's job.h
    if reason is not None:
        return JobState(Phase.ENDED, f"exit status {number}", reason=reason)
    return by_exit_code(number - 128 if number > 256 else number)


# OpenPBS allows letters, digits and -_+ after a letter; old versions of Torque take 15 characters.
PBS_NAME = Name(re.compile(r"[^A-Za-z0-9_-]"), 15, starts_with_letter=True)
_NOT_OF_GRID_ENGINE = re.compile(r"\A(?![\s\S]*invalid option argument)")


def find(token: str, _age: float) -> Search:
    """Look for jobs by part of their name; only an OpenPBS that keeps a history knows about ended ones."""
    answer = asked(["qstat", "-x", "-f"])
    has_history = answer is not None and not answer.code and "job_state = F" in answer.output
    if answer is None or answer.code or not answer.output.strip():
        answer = asked(["qstat", "-f"])
    if answer is None or answer.code:
        return Search(words=answer.complaint if answer else "qstat does not answer")
    read = _torque_jobs if answer.output.lstrip().startswith("<") else _openpbs_jobs
    lines = [(job, facts.get("Job_Name", "")) for job, facts in read(answer.output)]
    return found_in(lines, token, is_complete=has_history, words="it keeps no history of jobs that have ended")


PBS = Scheduler(
    name="PBS",
    directive="#PBS",
    submit=("qsub", "-N", "{name}", "-o", "{stdout}", "-e", "{stderr}", "-j", "n", "-S", "{shell}"),
    header=("-N {name}", "-e {stderr}", "-o {stdout}", "-S {shell}"),
    job_id=re.compile(r"^(\d+(?:\[\])?(?:\.[\w.-]+)?)$", re.MULTILINE),
    own_options={
        "name": option("-N"),
        "stdout": option("-o"),
        "stderr": option("-e"),
        "array": option(r"-t\s*\d", r"-J\s*\d"),
        "directory": option(r"-[dw]\s*/"),
    },
    names=PBS_NAME,
    directives_anywhere=False,
    identify=ASK_VERSION,
    identity=_NOT_OF_GRID_ENGINE,
    identity_error="the qsub on PATH is Grid Engine's, which silently ignores '#PBS' lines",
    # A colon ends the name of a host.
    refused_in_paths=re.compile(rf"[:,{NO_LINE_BREAK}]"),
    state=states,
    cancel=("qdel",),
    warn=("qsig", "-s", "SIGUSR1"),
    job_variable="PBS_JOBID",
    name_variable="PBS_JOBNAME",
    find=find,
)
