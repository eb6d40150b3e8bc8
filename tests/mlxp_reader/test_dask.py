"""Workers of a cluster crawl and read metrics: what goes to them is small, and values go through the shared cache."""

import os
import pickle
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor

import pytest

from mlxp_reader import Reader
from mlxp_reader.records import workers
from mlxp_reader.store import shard_file, shared_reading
from mlxp_reader.store.shards import ShardFolder


@pytest.fixture
def client():
    """A scheduler and two workers, each a process of its own."""
    distributed = pytest.importorskip("distributed", reason="without Dask, crawls on a cluster are NOT tested")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", worker_dashboard_address=None
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


def test_the_workers_of_a_dask_cluster_read_metrics_into_the_cache(client, recorded, tmp_path, much):
    from distributed import get_task_stream

    here = Reader(recorded, dst_dir=tmp_path / "here")
    there = Reader(recorded, dst_dir=tmp_path / "there", executor=client.get_executor())
    with get_task_stream(client) as tasks:
        scanned = there.scan("train.loss").to_arrow().read_all()
    assert {task["typename"] for task in tasks.data} == {"NoneType"}
    assert len({task["worker"] for task in tasks.data}) == 2
    with get_task_stream(client) as tasks:
        assert there.filter()["train.loss"].metric.last().equals(here.filter()["train.loss"].metric.last())
    assert not tasks.data, "what a scan has read is in the cache"
    names = [(name, "ascending") for name in ("log_id", "record")]
    assert scanned.sort_by(names).equals(here.scan("train.loss").to_arrow().read_all().sort_by(names))


@pytest.fixture
def much(monkeypatch):
    """Makes few bytes much."""
    monkeypatch.setattr(shared_reading, "MUCH", 0)
    monkeypatch.setattr(shared_reading, "_AT_ONCE", 1000)


class Recording(ThreadPoolExecutor):
    """Keeps what it is sent, as it would go to another process."""

    def __init__(self):
        super().__init__(1)
        self.sent = []

    def submit(self, function, *arguments):
        self.sent.append(pickle.dumps((function, *arguments)))
        return super().submit(function, *arguments)


def test_what_goes_to_a_worker_is_small(recorded, tmp_path, much):
    with Recording() as executor:
        runs = Reader(recorded, dst_dir=tmp_path, executor=executor).filter()
        assert [len(one) < 1000 for one in executor.sent] == [True]
        runs["train.loss"].metric.last()
    assert len(executor.sent) > 2
    assert max(map(len, executor.sent)) < 2000


@pytest.mark.filterwarnings("ignore:values that the column of a scan cannot hold")
def test_keys_of_which_workers_disagree_on_the_type_have_one_in_the_cache(write_run, logs, much, monkeypatch):
    for number in range(1, 5):
        value = 0.5 * number if number % 2 else f"text {number}"
        write_run(number, metrics={"train": [{"x": value, "filling": "a" * 2000}]})
    monkeypatch.setattr(ShardFolder, "types", lambda _: {})  # none of them sees what the others write
    with ThreadPoolExecutor(2) as executor:
        runs = Reader(logs, executor=executor).filter()
        assert [cell[0] for cell in runs["train.x"]] == [0.5, "text 2", 1.5, "text 4"]
    found = Reader(logs).scan("train.x").to_arrow().read_all()
    assert sorted(found["train.x"].drop_null().to_pylist()) == [0.5, 1.5]
    files = [shard_file.opened(path) for path in (logs / ".mlxp/metrics-train").glob("*.parquet")]
    assert {file.keys["x"].type for file in files} == {"double"}


class Broken(ThreadPoolExecutor):
    """Its workers die."""

    def submit(self, function, *arguments):
        future = Future()
        future.set_exception(BrokenExecutor("the worker was killed"))
        return future


def test_what_dead_workers_leave_this_process_does_and_says_so(recorded, tmp_path, much, caplog):
    runs = Reader(recorded, dst_dir=tmp_path / "there", executor=Broken()).filter()
    last = runs["train.loss"].metric.last()
    assert [record.getMessage() for record in caplog.records] == [
        "a worker of the executor failed, so this process does its work: the worker was killed"
    ] * 2
    assert last.equals(Reader(recorded, dst_dir=tmp_path / "here").filter()["train.loss"].metric.last())


def test_an_executor_that_is_shut_down_is_not_missed(recorded, tmp_path, much, caplog):
    with ThreadPoolExecutor(1) as executor:
        runs = Reader(recorded, dst_dir=tmp_path / "there", executor=executor).filter()
    assert runs["train.loss"].metric.last().notna().any()
    assert not caplog.records


def test_a_worker_that_does_not_see_the_directory_is_told(recorded, tmp_path, much, caplog, monkeypatch):
    monkeypatch.setattr(
        workers.os.path, "isdir", lambda path, real=os.path.isdir: "there" not in str(path) and real(path)
    )
    with ThreadPoolExecutor(1) as executor:
        runs = Reader(recorded, dst_dir=tmp_path / "there", executor=executor).filter()
        assert runs["train.loss"].metric.last().notna().any()
    [said] = [record.getMessage() for record in caplog.records]
    assert "does not see the directory" in said
