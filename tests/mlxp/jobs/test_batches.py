"""Batches: the runs of one call of mlxpsub, or of one sweep, have a name by which commands know them."""

import json
import re
from datetime import datetime

import pytest

import mlxp
from mlxp.commands.mlxpsub import main
from mlxp.launching.launch_record import LaunchRecord

SCRIPT = "#!/bin/bash\n#SBATCH --time=1\npython main.py seed=1,2\n"


def today():
    return f"{datetime.now().astimezone():%Y-%m-%d}"


def ids(desk, *words):
    result = desk.mlxp("status", "--json", *words)
    assert result.returncode == 0, result.stderr
    return [one["log_id"] for one in json.loads(result.stdout)]


def test_batches_are_named_recorded_and_chosen_by_every_command(desk):
    date = today()
    desk.submit(SCRIPT)
    desk.mlxpsub("script.sh", "--name", "lr-search", FAKE_REFUSED="3")
    assert date == today(), "midnight"
    assert [desk.submission(one)["batch"] for one in (1, 2, 3, 4)] == [f"{date}-1"] * 2 + ["lr-search"] * 2
    assert (ids(desk, "--batch", f"{date}-1"), ids(desk, "--batch", "last")) == ([1, 2], [3, 4])
    assert ids(desk, "--batch", "last", "seed == 2") == [4]
    desk.run_job(1)
    frame = mlxp.Reader(desk.directory / "logs").filter("info.batch == 'lr-search'")  # nothing of it has started
    assert frame["info.logger.log_id"].tolist() == [3, 4]
    assert desk.app.info(1)["batch"] == f"{date}-1"
    table = desk.mlxp("table", "--batch", "last", "-q", "seed < 2", "-c", "log_id,info.batch", "-f", "csv").stdout
    assert table.splitlines()[1:] == ["3,lr-search"]
    again = desk.mlxp("resubmit", "--batch", "last")
    assert re.findall(r"^run (\d+): job", again.stdout, re.MULTILINE) == ["3"], again.stdout + again.stderr
    assert desk.submission(3)["batch"] == "lr-search"
    queue = desk.home / "queue"
    queue.write_text("104|PENDING|Priority\n105|PENDING|Priority\n102|PENDING|Priority\n", encoding="utf-8")
    assert desk.mlxp("cancel", "--batch", "last").stdout == "cancelled the jobs of 2 runs: 3 4\n"
    for words in (["status"], ["cancel"], ["resubmit"], ["table"]):
        wrong = desk.mlxp(*words, "--batch", "lr")
        assert (wrong.returncode, "there is no batch 'lr' in logs" in wrong.stderr) == (1, True), wrong.stderr
    assert desk.mlxp("cancel").returncode == 2


def test_sweep_is_a_batch_and_a_single_run_is_none(desk):
    desk.app.run("seed=1,2")
    desk.app.run("seed=3")
    desk.app.run("seed=4,5")
    desk.app.run("seed=6,7", "mlxp.batch=tried")
    wrong = desk.app.run("mlxp.batch=last")
    assert (wrong.returncode, "mlxp.batch must be letters, digits and" in wrong.stderr) == (1, True), wrong.stderr
    assert [desk.app.info(one)["batch"] for one in (6, 7)] == ["tried", "tried"]
    assert ids(desk, "--batch", "last") == [6, 7]
    desk.submit(SCRIPT.replace("seed=1,2", "seed=1,2 mlxp.batch=sent"))
    assert [desk.submission(one)["batch"] for one in (8, 9)] == ["sent", "sent"]
    assert [desk.app.info(one)["batch"] for one in range(1, 6)] == [
        *[f"{today()}-1"] * 2,
        None,
        *[f"{today()}-4"] * 2,
    ]


def test_first_of_several_processes_names_the_batch():
    with LaunchRecord.created() as record:
        assert len({record.batch(7), record.batch(5), LaunchRecord(record.directory).batch(6)}) == 1
        assert record.batch(9) == f"{today()}-7"


@pytest.mark.parametrize("name", ["last", "two words", "", "-x", "a'b", "x" * 101])
def test_name_that_could_be_misread_is_refused(capsys, name):
    with pytest.raises(SystemExit, match="2"):
        main(["script.sh", f"--name={name}"])
    assert "must be letters, digits and" in capsys.readouterr().err
