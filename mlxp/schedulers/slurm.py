"""Slurm."""

import re
from collections.abc import Iterator, Sequence

from mlxp.job_state import JobState, Phase
from mlxp.schedulers.base import NO_LINE_BREAK, Array, Name, Scheduler, all_in, asked, option

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


def states(ids: Sequence[str]) -> dict[str, JobState]:
    """Return the states of Slurm jobs: recent ones from squeue, older ones from the accounting, if any."""
    jobs = ",".join(sorted({one.partition("_")[0] for one in ids}))
    answer = asked(["squeue", "-h", "-r", "-t", "all", "-j", jobs, "-o", "%i|%T|%r"])
    if answer is None or (answer.code and "Invalid job id" not in answer.errors):
        return all_in(ids, Phase.UNKNOWN, answer.errors.strip() if answer else "squeue does not answer")
    states = dict(_slurm_lines(answer.output))
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
    if answer is None or answer.code:  # many clusters keep no accounts
        return {}
    states = {}
    for job, state in _slurm_lines(answer.output):
        words = (
            state.words.replace("(", "(exit code ") if state.phase is Phase.FAILED else state.words.partition(" (")[0]
        )
        states[job] = JobState(state.phase, words)
    return states


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
    job_variable="SLURM_JOB_ID",
    array=Array(
        option=("--array={first}-{last}{limit}",),
        limit="%{at_once}",
        task_variable="SLURM_ARRAY_TASK_ID",
        task_id="{id}_{task}",
        largest_command=("scontrol", "show", "config"),
        largest_is_excluded=True,
        largest_pattern=re.compile(r"^MaxArraySize\s*=\s*(\d+)", re.MULTILINE),
    ),
)
