"""LSF."""

import re
from collections.abc import Sequence

from mlxp.job_state import JobState, Phase, Search
from mlxp.schedulers.base import NO_LINE_BREAK, Array, Name, Scheduler, all_in, asked, by_exit_code, found_in, option

_LSF = {
    **dict.fromkeys(("PEND", "PSUSP", "WAIT", "PROV"), Phase.WAITING),
    **dict.fromkeys(("RUN", "USUSP", "SSUSP"), Phase.RUNNING),
    "DONE": Phase.DONE,
}


def states(ids: Sequence[str]) -> dict[str, JobState]:
    """Return the states of LSF jobs."""
    answer = asked(["bjobs", "-a", "-noheader", "-o", "jobid jobindex stat exit_code delimiter='|'", *ids])
    if answer is None or (answer.code and "is not found" not in answer.errors and not answer.output.strip()):
        return all_in(ids, Phase.UNKNOWN, answer.errors.strip() if answer else "bjobs does not answer")
    states = {}
    for line in answer.output.splitlines():
        job, index, state, code = [*(part.strip() for part in line.split("|")), "", "", "", ""][:4]
        name = f"{job}[{index}]" if index.isdigit() and index != "0" else job
        ended = by_exit_code(int(code)) if code.isdigit() else JobState(Phase.ENDED, state)
        states[name] = JobState(_LSF[state], state) if state in _LSF else ended
    return {one: states.get(one, JobState(Phase.FORGOTTEN)) for one in ids}


_REMEMBERED = 3600.0
"""Seconds for which LSF keeps reporting ended jobs, unless the site says otherwise (CLEAN_PERIOD)."""


def find(token: str, age: float) -> Search:
    """Look for jobs by part of their name."""
    answer = asked(["bjobs", "-a", "-noheader", "-o", "jobid job_name delimiter='|'"])
    if answer is None or (answer.code and "No job found" not in answer.errors):
        return Search(words=answer.complaint if answer else "bjobs does not answer")
    parts = [line.partition("|") for line in answer.output.splitlines()]
    lines = [(job.strip(), name) for job, _, name in parts]
    return found_in(lines, token, is_complete=age < _REMEMBERED, words="it forgets jobs that have ended after an hour")


LSF = Scheduler(
    name="LSF",
    directive="#BSUB",
    submit=("bsub", "-J", "{name}", "-o", "{stdout}", "-e", "{stderr}", "-cwd", "{directory}"),
    header=("-J {name}", "-e {stderr}", "-o {stdout}"),
    job_id=re.compile(r"^Job <(\d+)> is submitted", re.MULTILINE),
    own_options={
        "name": option("-J"),
        "stdout": option(r"-oo?\s"),
        "stderr": option(r"-eo?\s"),
        "array": option(r"""-J\s*["']?[^\s"']*\["""),
        "directory": option("-cwd"),
    },
    names=Name(re.compile(rf"[\[\]{NO_LINE_BREAK}]"), 255),
    # bsub reads the options in a script only where the script is its standard input.
    script_is_input=True,
    refused_in_paths=re.compile(rf"[{NO_LINE_BREAK}]"),
    escaped_in_output=(("%", "%%"),),
    state=states,
    cancel=("bkill",),
    put_back="exit 99",
    put_back_options=("-Q", "99"),
    warn=("bkill", "-s", "USR1"),
    job_variable="LSB_JOBID",
    name_variable="LSB_JOBNAME",
    find=find,
    array=Array(
        option=("-J", "{name}[{first}-{last}]{limit}"),
        limit="%{at_once}",
        task_variable="LSB_JOBINDEX",
        task_id="{id}[{task}]",
        replaces="-J",  # the numbers of the tasks are a part of the name
        names=Name(re.compile(r"[^A-Za-z0-9._-]"), 255),
    ),
)
