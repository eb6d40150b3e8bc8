"""A sweep starts only the runs that are missing."""

import json
import os
import socket
from pathlib import Path

import pytest
import yaml

import mlxp
from mlxp.errors import InvalidConfigFileError, MLXPError, SweepError
from mlxp.run_directory.files import to_yaml
from mlxp.run_directory.liveness import process_start

ONLY = "mlxp.only_missing=true"


def change(app, log_id, **facts):
    file = app.directory / f"logs/{log_id}/metadata/info.yaml"
    info = yaml.safe_load(file.read_text(encoding="utf-8"))
    file.write_text(to_yaml(info | facts), encoding="utf-8")


def test_repeated_command_does_what_is_left(wanted):
    (wanted.directory / "broken").touch()
    first = wanted.run("lr=1,2", ONLY)
    assert first.returncode == 1
    assert "was missing" in first.stdout
    (wanted.directory / "broken").unlink()
    second = wanted.run("lr=2,3", "seed=0,1", ONLY)
    assert second.returncode == 0, second.stderr
    lines = [" ".join(line.split()) for line in second.stdout.splitlines()]
    assert lines[0] == "run overrides status duration why"
    assert [line.split(" s ")[-1] for line in lines[1:5]] == ["run 2 is FAILED", *["was missing"] * 3]
    third = wanted.run("lr=1,2,3", "seed=0", ONLY)
    lines = [" ".join(line.split()) for line in third.stdout.splitlines()]
    assert lines[1].endswith("run 1 is FAILED")
    assert lines[2:4] == [
        "3 lr=2 seed=0 COMPLETE left out: run 3 is COMPLETE",
        "5 lr=3 seed=0 COMPLETE left out: run 5 is COMPLETE",
    ]
    assert wanted.log_ids() == [1, 2, 3, 4, 5, 6, 7]
    last = wanted.run("lr=3.0", "seed=0", ONLY)
    assert (last.returncode, last.stdout) == (0, "nothing is started: run 5 is COMPLETE\n")


def test_sweep_in_python_returns_the_ids_of_what_is_there(task, wanted):
    task.sweep(["lr=1,3"])
    results = task.sweep(["lr=1,2,3,4", ONLY])
    assert (list(results), results.log_ids) == ([None, 2, None, 4], [1, 3, 2, 4])
    again = task.sweep(["lr=1,2", ONLY])
    assert (list(again), again.log_ids) == ([None, None], [1, 3])
    assert task.run(["lr=1", ONLY]) is None
    (wanted.directory / "broken").touch()
    with pytest.raises(SweepError) as failed:
        task.sweep(["lr=1,5", ONLY])
    assert failed.value.log_ids == [1, 5]
    assert str(failed.value).startswith("1 of 1 runs failed")


@pytest.mark.parametrize(
    ("facts", "is_there"),
    [
        ({"status": "COMPLETE"}, True),
        ({"status": "FAILED"}, False),
        ({"status": "KILLED"}, False),
        ({"status": "RUNNING", "process_id": os.getpid(), "process_start": process_start(os.getpid())}, True),
        ({"status": "STARTING", "process_id": os.getpid(), "process_start": process_start(os.getpid())}, True),
        ({"status": "RUNNING", "process_id": os.getpid(), "process_start": "another"}, False),
        ({"status": "RUNNING", "process_id": 2**22 + 1}, False),
        ({"status": "RUNNING", "hostname": "elsewhere"}, True),
    ],
)
def test_what_goes_on_or_is_complete_is_there(task, wanted, facts, is_there):
    task.run(["lr=1"])
    change(wanted, 1, hostname=facts.pop("hostname", socket.gethostname()), **facts)
    task.sweep(["lr=1", ONLY])
    assert wanted.log_ids() == ([1] if is_there else [1, 2])


def test_run_on_another_host_that_gives_no_sign_of_life_is_not_there(task, wanted):
    task.run(["lr=1"])
    for facts, ids in (({"heartbeat": 30.0}, [1, 2]), ({"heartbeat": 0}, [1, 2])):
        for log_id in wanted.log_ids():
            change(wanted, log_id, hostname="elsewhere", status="RUNNING", **facts)
            file = wanted.directory / f"logs/{log_id}/metadata/info.yaml"
            os.utime(file, (0, 0))
        task.sweep(["lr=1", ONLY])
        assert wanted.log_ids() == ids  # without a heartbeat, silence says nothing


def test_what_does_not_matter_is_declared(task, wanted):
    exclude = "mlxp.identity.exclude=[num_workers,'data.cache*']"
    task.run(["lr=1"])
    assert task.sweep(["lr=1", "num_workers=8", "data.cache_dir=/scratch", exclude, ONLY]).log_ids == [1]
    assert task.sweep(["lr=1", "data.path=/other", exclude, ONLY]).log_ids == [2]
    assert task.sweep(["lr=1", "num_workers=8", ONLY]).log_ids == [3]
    # All that is excluded varies: one run.
    assert task.sweep(["lr=2", "num_workers=1,2", exclude, ONLY]).log_ids == [4, None]


def test_older_runs_count_by_what_is_assumed(task, wanted):
    task.run(["lr=1", "~model.dropout"])
    new = ["lr=1", "model.dropout=0", ONLY]
    assert task.sweep([*new, "mlxp.identity.assume={model:{dropout:0}}"]).log_ids == [1]
    assert task.sweep([*new, "mlxp.identity.assume={model.dropout:0.5}"]).log_ids == [2]


def test_version_of_the_code_counts_if_it_is_declared(task, wanted):
    task.run(["lr=1"])
    assert task.sweep(["lr=1", "mlxp.identity.version=3", ONLY]).log_ids == [2]
    assert task.sweep(["lr=1", "mlxp.identity.version=3", ONLY]).log_ids == [2]
    assert task.sweep(["lr=1", "mlxp.identity.version=4", ONLY]).log_ids == [3]
    assert mlxp.Reader("logs").filter("info.identity.version == 3")["info.logger.log_id"].tolist() == [2]


def test_another_program_is_another_run(task, wanted):
    task.run(["lr=1"])
    (wanted.directory / "other.py").write_text((wanted.directory / "main.py").read_text(encoding="utf-8"))
    result = wanted.run("lr=1", ONLY, program=("other.py",))
    assert result.returncode == 0, result.stderr
    assert wanted.log_ids() == [1, 2]


def test_directories_of_mlxp_1_count(task, wanted):
    task.run(["lr=1"])
    keys = ("status", "current_file_path", "hostname", "process_id", "logger")
    info = {key: value for key, value in wanted.info().items() if key in keys}
    (wanted.directory / "logs/1/metadata/info.yaml").write_text(to_yaml(info), encoding="utf-8")
    (wanted.directory / "logs/1/metadata/mlxp.yaml").unlink()
    assert task.sweep(["lr=1", ONLY]).log_ids == [1]


def test_rules_and_the_wish_may_be_in_the_configuration(wanted):
    (wanted.directory / "configs/mlxp.yaml").write_text(
        "only_missing: true\nidentity:\n  exclude: num_workers\n", encoding="utf-8"
    )
    for workers in (1, 2):
        assert wanted.run("lr=1", f"num_workers={workers}").returncode == 0
    assert wanted.log_ids() == [1]
    # A single run without the sweeper is asked, too.
    result = wanted.run("--run", "lr=1")
    assert (result.returncode, result.stdout) == (0, "nothing is started: run 1 is COMPLETE\n")
    assert "mlxp.only_missing" not in " ".join(wanted.info()["overrides"])


def test_wrong_wishes_are_told(task):
    with pytest.raises(InvalidConfigFileError, match=r"set mlxp\.use_logger to true"):
        task.sweep(["lr=1,2", ONLY, "mlxp.use_logger=false"])
    with pytest.raises(MLXPError, match=r"mlxp\.only_missing has one value for the whole sweep"):
        task.sweep(["lr=1,2", "mlxp.only_missing=true,false"])
    with pytest.raises(MLXPError, match=r"mlxp\.identity\.exclud; did you mean mlxp\.identity\.exclude\?"):
        task.sweep(["lr=1,2", "mlxp.identity.exclud=[a]"])
    with pytest.raises(MLXPError, match="must be a number or a text"):
        task.sweep(["lr=1,2", "mlxp.identity.version=[3]"])


def test_of_sixteen_processes_at_once_one_does_each_run(wanted):
    sweep = ["lr=1,2,3,4", "seed=0,1", "sleep=0.2", ONLY]
    result = wanted.run("together", "16", *sweep)
    assert result.returncode == 0, result.stderr
    found = [(wanted.config(log_id)["lr"], wanted.config(log_id)["seed"]) for log_id in wanted.log_ids()[1:]]
    assert sorted(found) == [(lr, seed) for lr in (1, 2, 3, 4) for seed in (0, 1)]
    assert set(wanted.statuses()) == {"COMPLETE"}
    assert not list((wanted.directory / "logs/.claims").glob("*.lock*"))


def test_lock_of_a_dead_process_is_no_claim(task, wanted):
    task.sweep(["lr=1", ONLY])
    (claim,) = (wanted.directory / "logs/.claims").glob("*.yaml")
    change(wanted, 1, status="KILLED")
    owner = {
        "hostname": socket.gethostname(),
        "process_id": 2**22 + 1,
        "process_start": None,
        "token": "a",
        "does": "x",
    }
    claim.with_suffix(".lock").write_text(json.dumps(owner), encoding="utf-8")
    assert task.sweep(["lr=1", ONLY]).log_ids == [2]
    assert yaml.safe_load(claim.read_text(encoding="utf-8")) == {"log_id": 2}


def test_claim_of_a_run_that_was_removed_is_none(task, wanted):
    task.sweep(["lr=1", ONLY])
    for path in sorted(Path("logs/1").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    Path("logs/1").rmdir()
    assert task.sweep(["lr=1", ONLY]).log_ids == [2]
