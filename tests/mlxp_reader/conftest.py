import json
import shutil
from pathlib import Path

import hypothesis
import pytest

from mlxp.layout import RunDirectory, write_yaml
from mlxp_reader import Reader

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
