"""Values of another kind than their key has: left out where they are read, so that no command ends with a traceback."""

import json

import pytest
import yaml

from mlxp.commands.main import main
from mlxp.run_directory.layout import RunDirectory

GOOD_INFO = {
    "status": "RUNNING", "hostname": "elsewhere", "process_id": 5, "heartbeat": 30.0, "attempt": 1, "exit": None,
    "git": {"commit": "abc", "dirty": False}, "started_at": "2026-01-01T00:00:00+00:00", "duration": None,
}  # fmt: skip
GOOD_SUBMISSION = {"status": "SUBMITTED", "scheduler": "NOWHERE", "scheduler_job_id": "7", "attempt": 1, "error": None}
ILL_TYPED = {
    "heartbeat": [10**400, "soon", float("nan"), -1],
    "exit": ["boom", {"reason": [1]}, {"traceback": 5}, {"code": "x"}],
    "attempt": ["x", 10**400, -1, 0, True],
    "git": ["abc", [1], {"commit": 5}, {"dirty": "no"}],
    "duration": ["abc", 10**400],
    "started_at": [5, "noon"],
    "process_id": [10**400, "me"],
    "hostname": [[1]],
    "status": [["RUNNING"], 5, "BOOM"],
    "overrides": ["seed=1", [1]],
    "rerun_of": [float("inf"), "x", [1]],
    "parents": ["x", [["1"]]],
    "origin": ["x"],
    "reproduces": ["yes"],
    "packages": [{"a": 1}],
    "scheduler": ["SLURM"],
    "logger": [3],
    "current_file_path": [[1]],
    "work_dir": [5],
    "python": [3.12],
    "end_time": [10**400],
}
ILL_TYPED_SUBMISSION = {
    "attempt": ["x", 10**400],
    "error": [[1]],
    "scheduler_job_id": [["7"], "-x; 1"],
    "earlier": ["x", [5]],
    "cancelled_at": [5],
    "stderr": [{}],
    "run": [[1]],
    "number": ["x"],
    "status": ["BOOM"],
    "scheduler": [5],
    "batch": [[1]],
    "shell": [5],
    "command": ["sbatch"],
    "submitted_at": [10**400],
}
CASES = [
    (file, key, value)
    for file, kinds in (("info", ILL_TYPED), ("submission", ILL_TYPED_SUBMISSION))
    for key, values in kinds.items()
    for value in values
]


@pytest.fixture
def runs(tmp_path):
    """Two runs, of which a test damages the first."""
    for log_id in (1, 2):
        directory = RunDirectory(tmp_path / "logs" / str(log_id))
        directory.metadata.mkdir(parents=True)
        directory.info_file.write_text(yaml.safe_dump(GOOD_INFO), encoding="utf-8")
        directory.config_file.write_text("seed: 1\n", encoding="utf-8")
        directory.submission_file.write_text(yaml.safe_dump(GOOD_SUBMISSION), encoding="utf-8")
    return tmp_path / "logs"


@pytest.mark.parametrize(
    ("file", "key", "value"), CASES, ids=[f"{file}.{key}-{n}" for n, (file, key, _) in enumerate(CASES)]
)
def test_ill_typed_value_is_left_out_and_ends_no_command(runs, capsys, file, key, value):
    directory = RunDirectory(runs / "1")
    path = directory.info_file if file == "info" else directory.submission_file
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text(encoding="utf-8")) | {key: value}), encoding="utf-8")
    assert key not in getattr(directory, file)() or isinstance(value, dict)
    for verb in (["status"], ["status", "--json"], ["cancel", "seed == 5"], ["resubmit", "seed == 5"], ["resubmit"]):
        assert main([*verb, "--logs", str(runs)]) == 0
    out = capsys.readouterr().out
    assert "Traceback" not in out
    main(["status", "--json", "--logs", str(runs)])
    first, second = json.loads(capsys.readouterr().out)
    assert second["status"] == "RUNNING"
    assert first["status"] in {"RUNNING", "STARTING", "SUBMITTED", "LOST"}


@pytest.mark.parametrize("text", ["[", "", "5", "- 1", "a: &a [*a]", "[" * 5000, "!!python/object:os.system {}", "\0"])
def test_damaged_file_means_the_same_to_all_nothing(runs, text):
    directory = RunDirectory(runs / "1")
    for path in (directory.info_file, directory.submission_file, directory.config_file):
        path.write_text(text, encoding="utf-8")
    (runs / "3").mkdir()
    for damaged in (directory, RunDirectory(runs / "3")):
        found = damaged.info(), damaged.submission(), damaged.config()
        assert found == ({}, {}, {}) or text.startswith("a:")
