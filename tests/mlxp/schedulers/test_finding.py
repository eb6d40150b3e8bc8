"""Looking for a job by the end of its name, and how a job knows its own id."""

import pytest

from mlxp.scheduler import SCHEDULERS

TOKEN = "kx3f9a2b"
QSTAT = """<?xml version='1.0'?><job_info><queue_info><job_list state="running"><JB_job_number>18</JB_job_number>
<JB_name>logs-7-kx3</JB_name><full_job_name>logs-7-kx3f9a2b</full_job_name><state>r</state></job_list></queue_info>
<job_info><job_list state="pending"><JB_job_number>19</JB_job_number><full_job_name>other</full_job_name></job_list>
</job_info></job_info>"""
NO_JOB = "<?xml version='1.0'?><job_info><queue_info></queue_info><job_info></job_info></job_info>"
QACCT = f"{'=' * 62}\njobname      logs-7-{TOKEN}\njobnumber    17\nfailed       0\nexit_status  0\n"
OPENPBS = f"Job Id: 12.server\n    Job_Name = logs-7-{TOKEN}\n    job_state = Q\n"
ENDED = "Job Id: 11.server\n    Job_Name = other\n    job_state = F\n"
CONFIG = "MessageTimeout          = 10 sec\nMinJobAge               = 300 sec\n"


@pytest.fixture
def answers(tmp_path, monkeypatch):
    """A function that makes a command on PATH print something, and exit with a code."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for command in ("squeue", "sacct", "scontrol", "qstat", "qacct", "oarstat", "bjobs"):
        (tmp_path / command).write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        (tmp_path / command).chmod(0o755)

    def answer(command, text, code=0):
        (tmp_path / f"{command}.out").write_text(text, encoding="utf-8")
        (tmp_path / command).write_text(f"#!/bin/sh\ncat {tmp_path}/{command}.out\nexit {code}\n", encoding="utf-8")

    return answer


def find(name, age=100.0):
    search = SCHEDULERS[name].find(TOKEN, age)
    return search.ids, search.is_complete


def test_job_of_slurm_is_found_in_the_queue_or_in_the_accounts(answers):
    answers("squeue", f"12|logs/7-{TOKEN}\n12|logs/7-{TOKEN}\n13|other\n")
    assert find("SLURM") == (("12",), True)
    answers("squeue", "13|other\n")
    answers("sacct", f"12_4|logs/7-{TOKEN}\n")
    assert find("SLURM", 10_000) == (("12",), True)


def test_absence_from_slurm_is_known_as_long_as_it_remembers(answers):
    answers("squeue", "13|other\n")
    answers("scontrol", CONFIG)
    assert find("SLURM", 100) == ((), True)
    assert find("SLURM", 400) == ((), False)
    answers("sacct", "13|other\n")
    assert find("SLURM", 400) == ((), True)
    answers("squeue", "", code=1)
    assert find("SLURM", 100) == ((), False)


def test_job_of_grid_engine_is_found_by_its_whole_name(answers):
    answers("qstat", QSTAT)
    assert find("SGE") == (("18",), True)
    answers("qstat", NO_JOB)
    assert find("SGE") == ((), True)
    answers("qacct", QACCT)
    assert find("SGE") == (("17",), True)
    answers("qstat", "", code=1)
    assert find("SGE") == ((), False)


def test_job_of_oar_is_found_under_its_first_id(answers):
    answers("oarstat", '{"187": {"resubmit_job_id": 0}, "190": {"resubmit_job_id": 187}}')
    assert find("OAR") == (("187",), True)
    answers("oarstat", "null")
    assert find("OAR", 10**7) == ((), True)
    answers("oarstat", "", code=255)
    assert find("OAR") == ((), False)


def test_absence_from_pbs_is_known_only_where_it_keeps_a_history(answers):
    answers("qstat", OPENPBS)
    assert find("PBS") == (("12.server",), True)
    answers("qstat", OPENPBS.replace(TOKEN, "other"))
    assert find("PBS") == ((), False)
    answers("qstat", OPENPBS.replace(TOKEN, "other") + ENDED)
    assert find("PBS") == ((), True)


def test_absence_from_lsf_is_known_for_an_hour(answers):
    answers("bjobs", f"12|logs/7-{TOKEN}\n13|other\n")
    assert find("LSF") == (("12",), True)
    answers("bjobs", "13|other\n")
    assert (find("LSF"), find("LSF", 4000)) == (((), True), ((), False))


def test_moab_cannot_be_asked():
    assert SCHEDULERS["MWM"].find is None


@pytest.mark.parametrize(
    ("name", "variables", "expected"),
    [
        ("SLURM", {"SLURM_JOB_ID": "14"}, "14"),
        ("SLURM", {"SLURM_JOB_ID": "14", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3"}, "12_3"),
        ("SGE", {"JOB_ID": "14", "SGE_TASK_ID": "undefined"}, "14"),
        ("SGE", {"JOB_ID": "14", "SGE_TASK_ID": "3"}, "14.3"),
        ("LSF", {"LSB_JOBID": "14", "LSB_JOBINDEX": "0"}, "14"),
        ("LSF", {"LSB_JOBID": "14", "LSB_JOBINDEX": "3"}, "14[3]"),
        ("OAR", {"OAR_JOB_ID": "14", "OAR_ARRAY_ID": "12", "OAR_ARRAY_INDEX": "3"}, "14"),
        ("PBS", {"PBS_JOBID": "14.server"}, "14.server"),
        ("PBS", {}, None),
    ],
)
def test_job_knows_its_id_as_its_submitter_does(name, variables, expected):
    assert SCHEDULERS[name].own_job_id(variables) == expected


@pytest.mark.parametrize("name", sorted(SCHEDULERS))
def test_token_is_a_part_of_every_name(name):
    for run in ("logs/7", "a long name of a directory é/12345", "logs/1000-2000"):
        assert SCHEDULERS[name].names.adapted(f"{run}-{TOKEN}").endswith(TOKEN)
