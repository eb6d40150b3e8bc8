"""What a scheduler answers when it is asked for a job, and what is made of it."""

import dataclasses

import pytest

from mlxp.errors import JobSubmissionError
from mlxp.job_state import Search
from mlxp.jobs import handing_over
from mlxp.jobs.batch import submit_jobs
from mlxp.jobs.handing_over import JobInDoubtError, hand_over, settle
from mlxp.jobs.order import Order
from mlxp.jobs.packing import Packing
from mlxp.jobs.submission import Submission
from mlxp.programs import Answer, ProgramError
from mlxp.run_directory.layout import RunDirectory
from mlxp.scheduler import SLURM, register

ABSENT = Search(is_complete=True)
UNSURE = Search(words="it forgets")


@pytest.fixture
def run(tmp_path):
    directory = RunDirectory(tmp_path / "logs/7")
    directory.metadata.mkdir(parents=True)
    directory.script.write_text("#!/bin/bash\n#FAKE --job-name=logs/7\n\npython main.py\n", encoding="utf-8")
    found = Submission(directory, {})
    found.write(status="PREPARED", scheduler="FAKE", scheduler_job_id=None, attempt=1, shell="/bin/bash")
    return found


@pytest.fixture
def order(run, monkeypatch):
    """A function that asks a scheduler, which answers, and then knows what is searched for."""

    def order(answer, search, settles=0.0):
        scheduler = dataclasses.replace(SLURM, name="FAKE", directive="#FAKE", settles=settles)
        scheduler = dataclasses.replace(scheduler, find=lambda *_: search() if callable(search) else search)
        register(scheduler)

        def ask(words, **_):
            assert Submission.of(run.directory).is_in_doubt  # what is wanted is on the disk before
            if isinstance(answer, Exception):
                raise answer
            return Answer(tuple(words), answer[0], answer[1].encode(), answer[2])

        monkeypatch.setattr(handing_over, "run_program", ask)
        return Order(scheduler, [[run]], Packing(), "batch")

    return order


def on_disk(run):
    content = run.directory.submission()
    return content["status"], content["scheduler_job_id"], content["token"]


def test_accepted_job_is_recorded_with_its_token_in_its_name(order, run):
    hand_over(order((0, "17\n", ""), ABSENT))
    status, job_id, token = on_disk(run)
    assert (status, job_id) == ("SUBMITTED", "17")
    assert f"--job-name=logs/7-{token}" in run.content["command"]


def test_id_counts_whatever_the_exit_code(order, run):
    hand_over(order((1, "17\n", "failed receiving gdi request"), ABSENT))
    assert on_disk(run)[:2] == ("SUBMITTED", "17")


@pytest.mark.parametrize("search", [ABSENT, UNSURE])
def test_clear_refusal_is_one_also_where_nobody_can_look(order, run, search):
    with pytest.raises(JobSubmissionError, match="Invalid account"):
        hand_over(order((1, "", "sbatch: error: Invalid account"), search))
    assert on_disk(run) == ("REFUSED", None, None)


UNCLEAR = [
    (1, "", "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"),
    (1, "", "Unable to run job: failed receiving gdi request response"),
    (1, "", "sbatch: error: Unable to contact slurm controller (connect failure)"),
    (-9, "", ""),
    ProgramError("`sbatch` did not end within 300 seconds", was_started=True),
]


@pytest.mark.parametrize("answer", UNCLEAR)
def test_job_that_is_there_though_the_scheduler_says_it_lost_the_server_is_found(order, run, answer):
    hand_over(order(answer, Search(("17",), is_complete=True)))
    assert on_disk(run)[:2] == ("SUBMITTED", "17")


@pytest.mark.parametrize("answer", UNCLEAR)
def test_job_that_cannot_be_looked_for_stays_in_doubt_until_the_user_decides(order, run, answer):
    asked = order(answer, UNSURE)
    with pytest.raises(
        JobInDoubtError, match=r"cannot tell whether it has a job whose name ends with .* \(it forgets\)"
    ):
        hand_over(asked)
    status, _, token = on_disk(run)
    assert (status, bool(token)) == ("PREPARED", True)
    assert "--force" in submit_jobs(asked, {})[7]
    assert on_disk(run) == ("PREPARED", None, token)
    asked = order((0, "18\n", ""), UNSURE)
    assert submit_jobs(asked, {}, force=True) == {}
    assert on_disk(run)[:2] == ("SUBMITTED", "18")
    assert on_disk(run)[2] != token


def test_one_answer_without_the_job_proves_nothing(order, run, monkeypatch):
    answers = iter([ABSENT, ABSENT, Search(("17",), is_complete=True)])
    monkeypatch.setattr(handing_over, "_POLL", 0.01)
    hand_over(order(UNCLEAR[0], lambda: next(answers), settles=60.0))
    assert on_disk(run)[:2] == ("SUBMITTED", "17")


def test_job_that_has_claimed_the_run_is_known_without_the_scheduler(order, run):
    with pytest.raises(JobInDoubtError):
        hand_over(order(UNCLEAR[0], UNSURE))
    claim = run.directory.claim_file(1)
    claim.parent.mkdir()
    claim.write_text(f"scheduler_job_id: '17'\ntoken: {run.token}\n", encoding="utf-8")
    settle(run, {})
    assert on_disk(run)[:2] == ("SUBMITTED", "17")


def test_program_that_is_not_there_has_submitted_nothing(order, run):
    with pytest.raises(JobSubmissionError):
        hand_over(order(ProgramError("cannot run `sbatch`", was_started=False), UNSURE))
    assert on_disk(run) == ("REFUSED", None, None)
