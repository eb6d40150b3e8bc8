"""Moab."""

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from mlxp.job_state import JobState, Phase
from mlxp.schedulers.base import NO_LINE_BREAK, Scheduler, all_in, asked, option
from mlxp.schedulers.pbs import PBS_NAME


def states(ids: Sequence[str]) -> dict[str, JobState]:
    """Return the states of Moab jobs; Moab forgets a job that has left the queue and does not say how it ended."""
    answer = asked(["showq", "--xml"])
    if answer is None or answer.code:
        return all_in(ids, Phase.UNKNOWN, answer.errors.strip() if answer else "showq does not answer")
    states = {}
    for job in ET.fromstring(answer.output).iter("job"):  # noqa: S314 - the scheduler's own words
        state = job.get("State", "")
        phase = Phase.RUNNING if state in {"Running", "Starting", "Suspended"} else Phase.WAITING
        states[job.get("JobID", "")] = JobState(phase, state)
    return {one: states.get(one, JobState(Phase.FORGOTTEN)) for one in ids}


MWM = Scheduler(
    name="MWM",
    directive="#MSUB",
    submit=("msub", "-N", "{name}", "-o", "{stdout}", "-e", "{stderr}", "-j", "n", "-S", "{shell}"),
    header=("-N {name}", "-e {stderr}", "-o {stdout}", "-S {shell}"),
    # The id stands between empty lines.
    job_id=re.compile(r"^\s*([A-Za-z]\w*\.\d+|\d+(?:\[\])?(?:\.[\w.-]+)?)\s*$", re.MULTILINE),
    own_options={
        "name": option("-N"),
        "stdout": option("-o"),
        "stderr": option("-e"),
        "array": option("-t"),
        "directory": option(r"-d\s*/"),
    },
    names=PBS_NAME,
    directives_anywhere=False,
    refused_in_paths=re.compile(rf"[:,{NO_LINE_BREAK}]"),
    state=states,
    cancel=("mjobctl", "-c"),
    job_variable="MOAB_JOBID",
    name_variable="MOAB_JOBNAME",
)
