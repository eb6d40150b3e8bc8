"""Hands jobs over to a scheduler so that each run gets one job per attempt, whichever process dies in between.

The request is on disk, with a token, before the scheduler is called, and the token is part of the job's name. A later
process can therefore look for the job. If the job exists, its id is recorded. If it cannot exist, it is submitted. If
there is no way to know, the user decides.
"""

import re
import secrets
import string
import time
from collections.abc import Sequence
from datetime import datetime

from mlxp.errors import JobSubmissionError
from mlxp.job_state import Search
from mlxp.jobs.order import Order, job_id_of
from mlxp.jobs.submission import Submission, now
from mlxp.programs import ProgramError, run_program
from mlxp.run_directory.locks import server_time
from mlxp.run_directory.status import Status

_SECONDS = 300.0
"""How long a scheduler may take to accept a job; a busy one takes a minute."""

_UNCLEAR = re.compile(
    r"time[ds]?[ -]?out|receiv|\bsend|sent\b|contact|connect|communicat|temporar|zero bytes|try again|broken pipe",
    re.IGNORECASE,
)
"""What schedulers say when they lose contact with their server, which may still have done what it was asked."""

_POLL = 1.0


class JobInDoubtError(JobSubmissionError):
    """It is not known whether a job was submitted."""


def hand_over(order: Order) -> None:
    """Submit an order whose runs this process owns, and record the outcome.

    Raises
    ------
    JobSubmissionError
        If the scheduler refuses the order; the refusal is recorded.
    JobInDoubtError
        If it is not known whether the scheduler accepted it; the request is recorded on disk.
    """
    order.write_script()
    token = new_token()
    command = order.command(token)
    stderr = str(order.output[1])
    for task, job in enumerate(order.jobs):
        for run in job:
            run.write(
                status=Status.PREPARED,
                scheduler_job_id=None,
                token=token,
                task=task if order.array is not None else None,
                command=command,
                submitted_at=now(),
                error=None,
                stderr=None if stderr == str(run.directory.stderr) else stderr,
            )
    ids, problem, is_clear = _answer(order, command)
    if not ids:
        search = look_up(order.runs[0], is_patient=not is_clear)
        ids = list(search.ids)
        if not ids and not is_clear and not search.is_complete:
            for run in order.runs:
                run.write(error=problem)
            raise JobInDoubtError(f"{problem}; {_doubt(order.runs[0], search)}")
    for run in order.runs:
        _record(run, ids, problem)
    if any(run.status is not Status.SUBMITTED for run in order.runs):
        raise JobSubmissionError(problem)


def _answer(order: Order, command: Sequence[str]) -> tuple[list[str], str, bool]:
    """Return the ids that the scheduler gives, its complaint, and whether the complaint is a clear refusal."""
    given = order.script.read_bytes() if order.scheduler.script_is_input else None
    try:
        answer = run_program(
            command, seconds=_SECONDS, directory=order.script.parent, environment=order.environment(), given=given
        )
    except ProgramError as error:
        return [], str(error), not error.was_started
    # A printed id belongs to a job, whatever the exit code.
    ids = order.scheduler.job_id.findall(answer.output)
    return ids, answer.complaint, answer.code > 0 and _UNCLEAR.search(answer.complaint) is None


def _record(run: Submission, ids: Sequence[str], problem: str) -> None:
    job_id = job_id_of(run.scheduler, ids, run.content.get("task"))
    if job_id is not None:
        run.write(status=Status.SUBMITTED, scheduler_job_id=job_id, error=None)
    else:
        run.write(status=Status.REFUSED, token=None, error=problem)


def settle(run: Submission, searches: dict[str, Search], *, force: bool = False, is_patient: bool = True) -> None:
    """Find out whether a run in doubt that this process owns has a job, and record the answer.

    Parameters
    ----------
    run
        The run.
    searches
        The results of earlier searches, by token; all tasks of an array share one token.
    force
        Whether the user has decided that there is no job where there is no way to know.
    is_patient
        Whether to keep looking until even a job requested a moment ago would certainly be found.

    Raises
    ------
    JobInDoubtError
        If it cannot be found out.
    """
    if not run.is_in_doubt or run.token is None:
        return
    claimed = run.directory.claim(run.attempt)
    if claimed.get("scheduler_job_id") and claimed.get("token") == run.token:
        run.write(status=Status.SUBMITTED, scheduler_job_id=claimed["scheduler_job_id"], error=None)
        return
    if run.token not in searches:
        searches[run.token] = look_up(run, is_patient=is_patient)
    search = searches[run.token]
    job_id = job_id_of(run.scheduler, search.ids, run.content.get("task"))
    if job_id is not None:
        run.write(status=Status.SUBMITTED, scheduler_job_id=job_id, error=None)
    elif force or (search.is_complete and is_patient):
        run.write(token=None, error=None)
    else:
        raise JobInDoubtError(_doubt(run, search))


def _doubt(run: Submission, search: Search) -> str:
    scheduler = run.scheduler.name
    why = f" ({search.words})" if search.words else ""
    return (
        f"{scheduler} cannot tell whether it has a job whose name ends with {run.token}{why}; look for it, and cancel "
        f'it if it is there; then `mlxp resubmit --force "info.logger.log_id == {run.directory.log_id}"` submits it'
    )


def look_up(run: Submission, *, is_patient: bool) -> Search:
    """Look for the job of a run by its token; if `is_patient`, keep looking until it would certainly be found."""
    find, settles = run.scheduler.find, run.scheduler.settles
    if find is None or run.token is None:
        return Search(words="there is no command that looks for a job by its name")
    while True:
        youngest, oldest = _ages(run)
        try:
            search = find(run.token, oldest)
        except Exception as error:  # noqa: BLE001 - an answer that cannot be understood proves nothing
            search = Search(words=f"MLXP does not understand its answer: {error}")
        # One answer without the job proves nothing: a server may handle requests in any order.
        if search.ids or not is_patient or youngest >= settles:
            return search
        time.sleep(min(_POLL, settles - youngest))


def _ages(run: Submission) -> tuple[float, float]:
    """Return how many seconds ago the job was requested, at least and at most: clocks of two computers differ."""
    by_file = server_time(run.directory.metadata) - run.directory.submission_file.stat().st_mtime
    asked_at = run.content.get("submitted_at")
    by_clock = time.time() - datetime.fromisoformat(asked_at).timestamp() if asked_at else by_file
    return max(by_file, 0.0), max(by_file, by_clock)


def new_token() -> str:
    """Return a word that no other job has in its name and that every scheduler accepts; it starts with a letter."""
    letters = string.ascii_lowercase
    return secrets.choice(letters) + "".join(secrets.choice(letters + string.digits) for _ in range(7))
