"""Jobs of a real scheduler are workers of Dask, which crawl and read metrics; the script `run` starts this."""

import os
import sys

import pytest

from mlxp import Logger
from mlxp_reader import Reader
from mlxp_reader.records import workers
from mlxp_reader.store import shared_reading

pytestmark = pytest.mark.skipif(
    os.environ.get("REAL_SCHEDULER") != "SLURM", reason="needs a real Slurm: tests/schedulers/run starts one"
)


@pytest.fixture
def client(tmp_path):
    """A client whose two workers are jobs."""
    from dask_jobqueue import SLURMCluster
    from distributed import Client

    cluster = SLURMCluster(
        cores=1,
        memory="400MB",
        walltime="00:05:00",
        python=sys.executable,
        job_script_prologue=[f'export PYTHONPATH="{os.environ.get("PYTHONPATH", "")}"'],
        log_directory=str(tmp_path / "jobs"),
        local_directory=str(tmp_path / "scratch"),
        worker_extra_args=["--no-dashboard"],
        scheduler_options={"dashboard_address": ":0"},
    )
    with cluster, Client(cluster) as client:
        cluster.scale(jobs=2)
        client.wait_for_workers(2, timeout=120)
        yield client


@pytest.mark.filterwarnings("ignore")  # those of Dask's packages are theirs
def test_jobs_crawl_and_read_metrics(client, tmp_path, monkeypatch):
    from distributed import get_task_stream

    logs = tmp_path / "logs"
    for _ in range(20):
        with Logger(logs) as logger:
            for step in range(50):
                logger.log_metrics({"step": step, "loss": 1 / (1 + step)}, "train")
    monkeypatch.setattr(workers, "_AT_ONCE", 3)
    monkeypatch.setattr(shared_reading, "MUCH", 0)
    monkeypatch.setattr(shared_reading, "_AT_ONCE", 5000)
    with get_task_stream(client) as tasks:
        reader = Reader(logs, executor=client.get_executor())
        scanned = reader.scan("train.loss").to_arrow().read_all()
    jobs = client.run(lambda: os.environ["SLURM_JOB_ID"])
    assert len(set(jobs.values())) == 2
    assert {task["worker"] for task in tasks.data} == set(jobs)
    assert sorted({task["typename"] for task in tasks.data}) == ["NoneType", "pyarrow.lib.Table"]
    assert (len(reader), scanned.num_rows) == (20, 1000)
    here = Reader(logs, dst_dir=tmp_path / "here")
    assert here.filter()["train.loss"].metric.mean().equals(reader.filter()["train.loss"].metric.mean())
