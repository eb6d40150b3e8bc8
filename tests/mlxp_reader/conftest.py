import json
import os
import shutil
from pathlib import Path

import hypothesis
import pytest

from mlxp.run_directory.files import write_yaml
from mlxp.run_directory.layout import RunDirectory
from mlxp_reader import Reader
from mlxp_reader.records import crawl

hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")

RECORDED = Path(__file__).parents[1] / "data" / "mlxp-1.0.5-logs" / "logs"


@pytest.fixture
def recorded(tmp_path):
    """A copy of the twelve runs recorded with MLXP 1.0.5."""
    return Path(shutil.copytree(RECORDED, tmp_path / "recorded"))


@pytest.fixture
def log_runs(tmp_path):
    """A function that writes runs, each a configuration, its metrics files and a status, and reads them."""

    def write(*runs, name="logs"):
        for log_id, (config, metrics, *status) in enumerate(runs, start=1):
            run = RunDirectory(tmp_path / name / str(log_id))
            run.metadata.mkdir(parents=True)
            run.metrics.mkdir()
            write_yaml(run.config_file, config)
            write_yaml(run.info_file, {"status": status[0] if status else "COMPLETE", "logger": {"log_id": log_id}})
            for log_name, records in metrics.items():
                lines = [json.dumps(record) + "\n" for record in records]
                run.metrics_file(log_name).write_text("".join(lines), encoding="utf-8")
        return Reader(tmp_path / name).filter()

    return write


@pytest.fixture
def logs(tmp_path):
    """A directory for runs."""
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def write_run(logs):
    """Writes a run's directory in today's layout and returns its path."""

    def write(log_id=1, config=None, status="COMPLETE", metrics=None, artifacts=None, info=None):
        run = RunDirectory(logs / str(log_id))
        for folder in (run.metadata, run.metrics_keys_file.parent, run.artifacts_keys_file.parent):
            folder.mkdir(parents=True, exist_ok=True)
        write_yaml(run.config_file, config or {})
        write_yaml(run.info_file, {"status": status, "layout": 2, "logger": {"log_id": log_id}, **(info or {})})
        for log_name, records in (metrics or {}).items():
            lines = (f"{json.dumps(record)}\n" for record in records)
            run.metrics_file(log_name).write_text("".join(lines), encoding="utf-8")
        keys = {name: list(dict.fromkeys(key for row in rows for key in row)) for name, rows in (metrics or {}).items()}
        write_yaml(run.metrics_keys_file, keys)
        write_yaml(run.artifacts_keys_file, artifacts or {})
        return run.path

    return write


@pytest.fixture
def settle(monkeypatch):
    """Makes the files of runs old enough for their times to be trusted."""

    def age(folder, seconds=60):
        monkeypatch.setattr(crawl, "_RACY", 0.0)  # nobody can set the time of a file's last change
        for path in [folder, *folder.rglob("*")]:
            status = path.stat()
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - seconds * 10**9))

    return age
