"""Grid Engine: Sun's, Univa's, and Son of Grid Engine."""

import getpass
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from xml.etree import ElementTree as ET

from mlxp.job_state import JobState, Phase, Search
from mlxp.programs import Answer
from mlxp.schedulers.base import (
    ASK_VERSION,
    NO_LINE_BREAK,
    Array,
    Name,
    Scheduler,
    all_in,
    asked,
    by_exit_code,
    found_in,
    option,
)

_REMEMBERED = 30 * 86400.0


def states(ids: Sequence[str]) -> dict[str, JobState]:
    """Return the states of Grid Engine jobs: live jobs from qstat, ended ones from the accounting file."""
    answer = asked(["qstat", "-u", "*", "-xml"])
    if answer is None or answer.code:
        return all_in(ids, Phase.UNKNOWN, answer.errors.strip() if answer else "qstat does not answer")
    states = dict(_grid_engine_live(answer.output))
    if any(one not in states for one in ids):
        states = {**_grid_engine_ended(), **states}
    return {one: states.get(one, JobState(Phase.FORGOTTEN)) for one in ids}


def _grid_engine_live(text: str) -> Iterator[tuple[str, JobState]]:
    for job in ET.fromstring(text).iter("job_list"):  # noqa: S314 - the scheduler's own words
        number, state = job.findtext("JB_job_number", ""), job.findtext("state", "")
        start = _seconds(job.findtext("JAT_start_time", ""))
        found = JobState(_grid_engine_phase(state), f"state {state}", started_at=start)
        tasks = job.findtext("tasks")
        yield from ((f"{number}.{task}", found) for task in _task_numbers(tasks or ""))
        if tasks is None:
            yield number, found


def _seconds(start: str) -> float | None:
    try:
        return datetime.fromisoformat(start).timestamp()
    except ValueError:
        return None


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
    states = {}
    for facts in _records(_accounts()):
        number, task = facts["jobnumber"].strip(), facts.get("taskid", "undefined").strip()
        code = int(facts.get("exit_status", "0").split()[0])
        failed = facts.get("failed", "0").strip()
        job = number if task == "undefined" else f"{number}.{task}"
        state = by_exit_code(code, failure=failed)
        states[job] = replace(state, reason="TIMEOUT") if "enforced h_rt" in failed else state
    return states


def _accounts() -> Answer | None:
    # One command for all jobs; qacct takes a single id only.
    return asked(["qacct", "-d", "30", "-j", "*"])


def _records(answer: Answer | None) -> Iterator[dict[str, str]]:
    for record in (answer.output if answer else "").split("=" * 62):
        facts = dict(line.split(maxsplit=1) for line in record.splitlines() if len(line.split(maxsplit=1)) == 2)
        if "jobnumber" in facts:
            yield facts


def find(token: str, age: float) -> Search:
    """Look for jobs by part of their name, among live and recently ended jobs and in the accounting file."""
    lines: list[tuple[str, str]] = []
    for state in ("prs", "z"):
        answer = asked(["qstat", "-u", getpass.getuser(), "-s", state, "-r", "-xml"])
        if answer is None or answer.code:
            return Search(words=answer.complaint if answer else "qstat does not answer")
        for job in ET.fromstring(answer.output).iter("job_list"):  # noqa: S314 - the scheduler's own words
            name = job.findtext("full_job_name", "") or job.findtext("JB_name", "")
            lines.append((job.findtext("JB_job_number", ""), name))
    lines += [(facts["jobnumber"].strip(), facts.get("jobname", "")) for facts in _records(_accounts())]
    return found_in(lines, token, is_complete=age < _REMEMBERED, words="its accounts go back only one month")


# sge_types(5), and what 8.1.9 refused.
_NAME = Name(re.compile(r"[^\w.+=-]", re.ASCII), 200, starts_with_letter=True)
_NOT_OF_PBS = re.compile(r"\A(?![\s\S]*(?:pbs_version|^Version:))", re.MULTILINE)

SGE = Scheduler(
    name="SGE",
    directive="#$",
    submit=(
        "qsub",
        "-terse",
        "-N",
        "{name}",
        "-o",
        ":{stdout}",
        "-e",
        ":{stderr}",
        "-j",
        "n",
        "-wd",
        "{directory}",
        # By default Grid Engine ignores the first line of a script.
        "-S",
        "{shell}",
    ),
    header=("-N {name}", "-e :{stderr}", "-o :{stdout}", "-S {shell}"),
    job_id=re.compile(r"^(?:Your job(?:-array)? )?(\d+)", re.MULTILINE),
    own_options={
        "name": option(r"-N\s"),
        "stdout": option(r"-o\s"),
        "stderr": option(r"-e\s"),
        "array": option(r"-t\s"),
        "directory": option(r"-wd\s"),
    },
    names=_NAME,
    identify=ASK_VERSION,
    identity=_NOT_OF_PBS,
    identity_error="'#$' lines are for Grid Engine, and the qsub on PATH belongs to another scheduler",
    # $USER and the like are expanded in paths, and a comma separates them.
    refused_in_paths=re.compile(rf"[,${NO_LINE_BREAK}]"),
    state=states,
    cancel=("qdel",),
    put_back="exit 99",
    # So that a job is warned a minute before it is ended.
    put_back_options=("-notify",),
    job_variable="JOB_ID",
    name_variable="JOB_NAME",
    find=find,
    most_option_values=2,  # of -pe
    array=Array(
        option=("-t", "{first}-{last}", "{limit}"),
        limit="-tc {at_once}",
        task_variable="SGE_TASK_ID",
        task_id="{id}.{task}",
        largest_command=("qconf", "-sconf"),
        largest_pattern=re.compile(r"^max_aj_tasks\s+(\d+)", re.MULTILINE),
    ),
)
