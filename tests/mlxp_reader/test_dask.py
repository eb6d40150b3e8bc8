"""A crawl on a cluster of several processes: what goes to them is small, and what comes back is a table."""

import pickle

import pytest

from mlxp_reader import Reader
from mlxp_reader.records import workers


@pytest.fixture
def client():
    """A scheduler and two workers, each a process of its own."""
    distributed = pytest.importorskip("distributed", reason="without Dask, crawls on a cluster are NOT tested")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, worker_dashboard_address=None
    )
    with cluster, distributed.Client(cluster) as client:
        yield client


def test_the_workers_of_a_dask_cluster_crawl(client, recorded, tmp_path, monkeypatch):
    from distributed import get_task_stream

    monkeypatch.setattr(workers, "_AT_ONCE", 3)
    here = Reader(recorded, dst_dir=tmp_path / "here").filter()
    with get_task_stream(client) as tasks:
        there = Reader(recorded, dst_dir=tmp_path / "there", executor=client.get_executor()).filter()
    assert there.equals(here)
    assert there["train.loss"].metric.last().equals(here["train.loss"].metric.last())
    assert len({task["worker"] for task in tasks.data}) == 2
    assert {task["typename"] for task in tasks.data} == {"pyarrow.lib.Table"}


def test_what_goes_to_a_worker_is_small(recorded, tmp_path):
    sent = []

    class Recording(workers.ThreadPoolExecutor):
        def map(self, function, *arguments):
            sent.extend(pickle.dumps((function, *one)) for one in zip(*arguments, strict=True))
            return super().map(function, *arguments)

    with Recording(1) as executor:
        Reader(recorded, dst_dir=tmp_path, executor=executor)
    assert [len(one) < 1000 for one in sent] == [True]
