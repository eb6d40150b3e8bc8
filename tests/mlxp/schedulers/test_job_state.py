"""What the schedulers answer about jobs, and what is understood of it.

The answers of Slurm, Grid Engine and OAR are those of real ones (22.05.8, 8.1.9, 2.5.9 on Debian 12), shortened; the
others follow the manuals: qstat(1B) of OpenPBS and of Torque, bjobs of LSF, showq of Moab; and the source of OpenPBS.
"""

import pytest

from mlxp.job_state import Phase
from mlxp.scheduler import SCHEDULERS
from mlxp.schedulers import grid_engine, lsf, moab, oar, pbs, slurm

OPENPBS = """\
Job Id: 12.server
    Job_Name = logs-1
    job_state = F
    Exit_status = 271

Job Id: 13.server
    Job_Name = logs-2
    job_state = Q

Job Id: 14.server
    job_state = F
    Exit_status = 0
"""
TORQUE = """<Data><Job><Job_Id>12.server</Job_Id><job_state>C</job_state><exit_status>271</exit_status></Job>\
<Job><Job_Id>13.server</Job_Id><job_state>Q</job_state></Job>\
<Job><Job_Id>14.server</Job_Id><job_state>C</job_state><exit_status>0</exit_status></Job></Data>"""
LSF = "12|0|EXIT|3\n13|0|PEND|-\n14|2|DONE|-\n15|0|EXIT|143\n"
MOAB = """<Data><queue option="active"><job JobID="Moab.12" State="Running"/></queue>\
<queue option="eligible"><job JobID="Moab.13" State="Idle"/></queue></Data>"""
GRID_ENGINE = """<?xml version='1.0'?><job_info><queue_info><job_list state="running">
<JB_job_number>18</JB_job_number><state>r</state><tasks>1</tasks></job_list></queue_info><job_info>
<job_list state="pending"><JB_job_number>18</JB_job_number><state>qw</state><tasks>3-7:2</tasks></job_list>
<job_list state="pending"><JB_job_number>19</JB_job_number><state>Eqw</state></job_list></job_info></job_info>"""
ACCOUNTS = f"""{"=" * 62}
jobnumber    17
taskid       undefined
failed       0
exit_status  0
{"=" * 62}
jobnumber    18
taskid       2
failed       100 : assumedly after job
exit_status  137                  (Killed)
"""


@pytest.fixture
def answers(tmp_path, monkeypatch):
    """A function that makes a command on PATH print something, and exit with a code."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def answer(command, text, error="", code=0):
        (tmp_path / f"{command}.out").write_text(text, encoding="utf-8")
        file = tmp_path / command
        file.write_text(f"#!/bin/sh\ncat {tmp_path}/{command}.out\necho '{error}' >&2\nexit {code}\n", encoding="utf-8")
        file.chmod(0o755)

    return answer


def phases(states):
    return [state.phase for state in states.values()]


@pytest.mark.parametrize("text", [OPENPBS, TORQUE])
def test_both_kinds_of_pbs_are_understood(answers, text):
    answers("qstat", text)
    states = pbs.states(["12.server", "13.server", "14.server", "15.server"])
    assert phases(states) == [Phase.ENDED, Phase.WAITING, Phase.DONE, Phase.FORGOTTEN]
    assert states["12.server"].words == "ended by signal 15"


def test_pbs_without_history_is_asked_about_live_jobs(answers, tmp_path):
    answers("qstat", "")
    text = "Job Id: 13.server\n    job_state = R\n"
    command = tmp_path / "qstat"
    command.write_text(
        f"#!/bin/sh\n[ $1 = -f ] || {{ echo 'qstat: job_history_enable is set to false' >&2; exit 0; }}\n"
        f"echo '{text}'; echo 'qstat: Unknown Job Id 12.server' >&2; exit 153\n",
        encoding="utf-8",
    )
    assert phases(pbs.states(["12.server", "13.server"])) == [Phase.FORGOTTEN, Phase.RUNNING]


def test_lsf_is_understood(answers):
    answers("bjobs", LSF, error="Job <16> is not found", code=255)
    states = lsf.states(["12", "13", "14[2]", "15", "16"])
    assert phases(states) == [Phase.FAILED, Phase.WAITING, Phase.DONE, Phase.ENDED, Phase.FORGOTTEN]


def test_moab_is_understood(answers):
    answers("showq", MOAB)
    states = moab.states(["Moab.12", "Moab.13", "Moab.14"])
    assert phases(states) == [Phase.RUNNING, Phase.WAITING, Phase.FORGOTTEN]


def test_slurm_is_asked_once_and_its_accounts_once(answers):
    answers("squeue", "12|RUNNING|None\n13_1|PENDING|Priority\n14|FAILED|NonZeroExitCode\n15|TIMEOUT|TimeLimit\n")
    answers("sacct", "16|CANCELLED by 0|0:0\n17|COMPLETED|0:0\n")
    states = slurm.states(["12", "13_1", "14", "15", "16", "17", "18"])
    assert phases(states) == [
        Phase.RUNNING, Phase.WAITING, Phase.FAILED, Phase.ENDED, Phase.ENDED, Phase.DONE, Phase.FORGOTTEN,
    ]  # fmt: skip


def test_slurm_without_accounts_forgets(answers):
    answers("squeue", "", error="slurm_load_jobs error: Invalid job id specified", code=1)
    answers("sacct", "", error="Slurm accounting storage is disabled", code=1)
    assert phases(slurm.states(["12"])) == [Phase.FORGOTTEN]


def test_grid_engine_is_understood(answers):
    answers("qstat", GRID_ENGINE)
    answers("qacct", ACCOUNTS)
    states = grid_engine.states(["18.1", "18.5", "18.2", "19", "17", "20"])
    assert phases(states) == [
        Phase.RUNNING, Phase.WAITING, Phase.ENDED, Phase.FAILED, Phase.DONE, Phase.FORGOTTEN,
    ]  # fmt: skip


def test_oar_is_understood(answers):
    answers(
        "oarstat",
        '{"1": {"state": "Waiting"}, "2": {"state": "Terminated", "exit_code": 1024, "events": []},'
        ' "3": {"state": "Error", "exit_code": null, "events": [{"type": "FRAG_JOB_REQUEST"}]},'
        ' "4": {"state": "Terminated", "exit_code": 0, "events": []}}',
    )
    states = oar.states(["1", "2", "3", "4", "5"])
    assert phases(states) == [Phase.WAITING, Phase.FAILED, Phase.ENDED, Phase.DONE, Phase.FORGOTTEN]
    assert states["2"].words == "exit code 4"


def test_successor_of_an_oar_job_is_followed(answers, tmp_path):
    (tmp_path / "first").write_text(
        '{"7": {"state": "Error", "events": [{"type": "BESTEFFORT_KILL"}, {"type": "RESUBMIT_JOB_AUTOMATICALLY"}]}}'
    )
    (tmp_path / "second").write_text('{"9": {"state": "Running", "resubmit_job_id": 7, "events": []}}')
    command = tmp_path / "oarstat"
    script = """#!/bin/sh
cd "${0%/*}"
case "$*" in *resubmit* | *"(9)"*) cat second ;; *) cat first ;; esac
"""
    command.write_text(script, encoding="utf-8")
    command.chmod(0o755)
    answers("unused", "")
    state = oar.states(["7"])["7"]
    assert (state.phase, state.successor) == (Phase.RUNNING, "9")


def test_oar_job_whose_successor_cannot_be_asked_for_is_unknown(answers, tmp_path):
    answers("oarstat", '{"7": {"state": "Error", "events": [{"type": "RESUBMIT_JOB_AUTOMATICALLY"}]}}')
    command = tmp_path / "oarstat"
    script = command.read_text(encoding="utf-8")
    command.write_text(script.replace("cat ", "case $* in *resubmit*) exit 255;; esac; cat "), encoding="utf-8")
    assert phases(oar.states(["7"])) == [Phase.UNKNOWN]


def test_oar_that_knows_none_of_the_jobs_has_forgotten_them(answers):
    answers("oarstat", "null")
    assert phases(oar.states(["7"])) == [Phase.FORGOTTEN]


@pytest.mark.parametrize("scheduler", ["SLURM", "SGE", "OAR", "PBS", "LSF"])
def test_scheduler_that_does_not_answer_leaves_its_jobs_unknown(answers, scheduler):
    for command in ("squeue", "qstat", "oarstat", "bjobs"):
        answers(command, "", error="cannot contact the server", code=1)
    assert phases(SCHEDULERS[scheduler].state(["12"])) == [Phase.UNKNOWN]
