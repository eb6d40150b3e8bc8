"""Slurm."""

import getpass
import re
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from mlxp.job_state import REASONS, JobState, Phase, Search
from mlxp.schedulers.base import NO_LINE_BREAK, Array, Name, Scheduler, all_in, asked, found_in, option

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
"""Slurm's states, from squeue(1); all others mean that the job was ended from outside."""


def states(ids: Sequence[str]) -> dict[str, JobState]:
    """Return the states of Slurm jobs: recent jobs from squeue, older ones from the accounting, if any."""
    jobs = ",".join(sorted({one.partition("_")[0] for one in ids}))
    answer = asked(["squeue", "-h", "-r", "-t", "all", "-j", jobs, "-o", "%i|%T|%r|%S"])
    if answer is None or (answer.code and "Invalid job id" not in answer.errors):
        return all_in(ids, Phase.UNKNOWN, answer.errors.strip() if answer else "squeue does not answer")
    states = dict(_slurm_lines(answer.output))
    missing = [one for one in ids if one not in states]
    if missing:
        states = {**_slurm_accounting(missing), **states}
    return {one: states.get(one, JobState(Phase.FORGOTTEN)) for one in ids}


_REASONS = {
    **{name: name for name in REASONS},
    "DEADLINE": "TIMEOUT",
    "BOOT_FAIL": "NODE_FAIL",
}


def _slurm_lines(text: str) -> Iterator[tuple[str, JobState]]:
    for line in text.splitlines():
        job, state, reason, start = [*line.split("|"), "", "", ""][:4]
        name = (state.split() or [""])[0].rstrip("+")
        words = f"{state} ({reason})" if reason not in {"", "None"} else state
        phase = _SLURM.get(name, Phase.ENDED)
        yield job, JobState(phase, words, reason=_REASONS.get(name), started_at=_seconds(start))


def _seconds(start: str) -> float | None:
    try:
        return datetime.fromisoformat(start).timestamp()  # the controller's local time, which is ours
    except ValueError:
        return None


def _slurm_accounting(ids: Sequence[str]) -> dict[str, JobState]:
    jobs = ",".join(sorted({one.partition("_")[0] for one in ids}))
    answer = asked(["sacct", "-X", "-n", "-P", "-j", jobs, "-o", "JobID,State,ExitCode"])
    if answer is None or answer.code:  # many clusters keep no accounts
        return {}
    states = {}
    for job, state in _slurm_lines(answer.output):
        words = (
            state.words.replace("(", "(exit code ") if state.phase is Phase.FAILED else state.words.partition(" (")[0]
        )
        states[job] = JobState(state.phase, words, reason=state.reason)
    return states


def find(token: str, age: float) -> Search:
    """Look for jobs by part of their name, in the queue, where ended jobs stay for a while, and in the accounts."""
    answer = asked(["squeue", "-h", "-u", getpass.getuser(), "-t", "all", "-o", "%F|%j"])
    if answer is None or answer.code:
        return Search(words=answer.complaint if answer else "squeue does not answer")
    # A day earlier covers any time zone. Jobs that could never start are not listed, and never ran.
    start = datetime.fromtimestamp(time.time() - age - 86400, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")
    accounts = asked(["sacct", "-X", "-n", "-P", "-S", start, "-o", "JobID,JobName"])
    has_accounts = accounts is not None and not accounts.code
    lines = _pairs(answer.output) + [
        (job.partition("_")[0], name) for job, name in _pairs(accounts.output if accounts and has_accounts else "")
    ]
    is_complete = has_accounts or age < _remembered_seconds()
    return found_in(lines, token, is_complete=is_complete, words="it keeps no account of jobs that have ended")


def _pairs(text: str) -> list[tuple[str, str]]:
    return [(job, name) for job, _, name in (line.partition("|") for line in text.splitlines())]


def _remembered_seconds() -> float:
    answer = asked(["scontrol", "show", "config"])
    found = re.search(r"^MinJobAge\s*=\s*(\d+)", answer.output, re.MULTILINE) if answer is not None else None
    return float(found[1]) if found else 0.0


SLURM = Scheduler(
    name="SLURM",
    directive="#SBATCH",
    # Slurm also obeys lines of other schedulers, unless it is told not to.
    submit=(
        "sbatch",
        "--parsable",
        "--ignore-pbs",
        "--job-name={name}",
        "--output={stdout}",
        "--error={stderr}",
        "--open-mode=append",
    ),
    header=("--job-name={name}", "--error={stderr}", "--output={stdout}"),
    job_id=re.compile(r"^(?:Submitted batch job )?(\d+)(?:;.*)?$", re.MULTILINE),
    own_options={
        "name": option("-J", "--job-name"),
        "stdout": option("-o", "--output"),
        "stderr": option("-e", "--error"),
        "array": option("-a", "--array"),
        "directory": option("-D", "--chdir"),
    },
    names=Name(re.compile(r"[\n\r]"), 200),
    directives_anywhere=False,
    # A backslash switches the patterns off and then is a part of the path; jobs with one did not start.
    refused_in_paths=re.compile(rf"[\\{NO_LINE_BREAK}]"),
    escaped_in_output=(("%", "%%"),),
    state=states,
    cancel=("scancel",),
    # A job that is being cancelled could be put back, too: it is no longer RUNNING. A number is a whole array.
    put_back=(
        "job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}\n"
        "job=${job:-$SLURM_JOB_ID}\n"
        '[ "$(squeue -h -t RUNNING -j "$job" -o %T)" != RUNNING ] || scontrol requeue "$job"'
    ),
    put_back_options=("--requeue", "--open-mode=append"),
    warn=("scancel", "--full", "--signal=USR1"),
    job_variable="SLURM_JOB_ID",
    name_variable="SLURM_JOB_NAME",
    find=find,
    # Slurm refuses two of them.
    command_line_replaces=(option(r"--mem(?:-per-cpu|-per-gpu)?(?:=|\s+)\S+"),),
    settles=20.0,  # twice MessageTimeout
    array=Array(
        option=("--array={first}-{last}{limit}",),
        limit="%{at_once}",
        task_variable="SLURM_ARRAY_TASK_ID",
        task_id="{id}_{task}",
        id_variable="SLURM_ARRAY_JOB_ID",
        largest_command=("scontrol", "show", "config"),
        largest_is_excluded=True,
        largest_pattern=re.compile(r"^MaxArraySize\s*=\s*(\d+)", re.MULTILINE),
    ),
)
