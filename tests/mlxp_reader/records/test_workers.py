"""What is kept after many runs have been read."""

from mlxp.run_directory import yaml_lines
from mlxp_reader.records import workers


def test_what_was_learned_of_many_runs_is_not_kept(logs, write_run, monkeypatch):
    monkeypatch.setattr(workers, "_MANY", 1)
    for log_id in (1, 2):
        write_run(log_id, {"lr": log_id})
    (table,) = workers.crawl_all(str(logs), [1, 2])
    assert table["config.lr"].to_pylist() == [1, 2]
    assert not yaml_lines._remembered


def test_the_processes_that_are_started_do_the_work(recorded, monkeypatch):
    monkeypatch.setattr(workers, "_PATIENCE", -1.0)
    monkeypatch.setattr(workers, "_AT_ONCE", 3)
    here = [workers.crawled(str(recorded), chunk) for chunk in ([1, 2, 3], [4, 5])]
    monkeypatch.delattr(workers, "crawled")  # which this process would do instead of one that fails
    elsewhere = list(workers.crawl_all(str(recorded), [1, 2, 3, 4, 5]))
    assert [table.drop_columns(["stamp", "settled"]) for table in elsewhere] == [
        table.drop_columns(["stamp", "settled"]) for table in here
    ]


def test_a_process_that_dies_costs_no_run(recorded, monkeypatch):
    monkeypatch.setattr(workers, "_PATIENCE", -1.0)
    monkeypatch.setattr(workers.sys, "executable", "false")
    (table,) = workers.crawl_all(str(recorded), [1, 2, 3])
    assert table["log_id"].to_pylist() == [1, 2, 3]
