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
