"""The quick start: one command, one run directory of the documented form, nothing else."""

import yaml

TREE = """\
configs/config.yaml
logs/.ids/1
logs/1/metadata/config.yaml
logs/1/metadata/info.yaml
logs/1/metadata/mlxp.yaml
logs/1/metrics/.keys/metrics.yaml
logs/1/metrics/.times/Quickstart.txt
logs/1/metrics/Quickstart.json
main.py
"""


def test_a_run_leaves_the_documented_files_and_nothing_else(app):
    quickstart = app("quickstart")
    assert quickstart.run().returncode == 0
    store = [name for name in quickstart.files() if name.startswith("logs/.store/")]
    assert [name for name in quickstart.files() if name not in store] == TREE.splitlines()
    assert {name.split("/")[2] for name in store} == {"objects", "trees", "environments"}
    assert (quickstart.directory / "logs/1/artifacts").is_dir()


def test_the_configuration_is_printed_as_yaml_in_the_order_of_the_file(app):
    printed = app("quickstart").run().stdout
    assert printed == "seed: 0\nnum_epoch: 2\nmodel:\n  num_units: 100\n  name: mlp\noptimizer:\n  lr: 10.0\n"


def test_config_yaml_is_what_was_printed(app):
    quickstart = app("quickstart")
    printed = quickstart.run("optimizer.lr=0.1").stdout
    assert (quickstart.directory / "logs/1/metadata/config.yaml").read_text(encoding="utf-8") == printed
    assert quickstart.config()["optimizer"] == {"lr": 0.1}


def test_metrics_are_json_lines_and_their_keys_are_listed(app):
    quickstart = app("quickstart")
    quickstart.run()
    assert quickstart.records("Quickstart") == [{"epoch": 0}, {"epoch": 1}]
    keys = quickstart.directory / "logs/1/metrics/.keys/metrics.yaml"
    assert yaml.safe_load(keys.read_text(encoding="utf-8")) == {"Quickstart": ["epoch"]}


def test_lists_of_values_make_one_run_per_combination_in_hydras_order(app):
    quickstart = app("quickstart")
    assert quickstart.run("optimizer.lr=10.,1.", "seed=1,2").returncode == 0
    combinations = [(quickstart.config(i)["optimizer"]["lr"], quickstart.config(i)["seed"]) for i in (1, 2, 3, 4)]
    assert combinations == [(10.0, 1), (10.0, 2), (1.0, 1), (1.0, 2)]


def test_a_sweep_ends_with_one_line_per_run_and_the_place_of_the_logs(app):
    quickstart = app("quickstart")
    *lines, place = quickstart.run("seed=1,2", "num_epoch=0").stdout.splitlines()[-4:]
    assert [line.split()[:3] for line in lines[1:]] == [["1", "seed=1", "num_epoch=0"], ["2", "seed=2", "num_epoch=0"]]
    assert all("COMPLETE" in line and line.endswith(" s") for line in lines[1:])
    assert place == f"logs: {quickstart.directory}/logs"


def test_a_missing_configuration_is_created_empty_and_the_task_runs(tmp_path, app):
    quickstart = app("quickstart")
    (quickstart.directory / "configs/config.yaml").unlink()
    (quickstart.directory / "configs").rmdir()
    assert quickstart.run("+num_epoch=1").stdout == "num_epoch: 1\n"
    assert (quickstart.directory / "configs/config.yaml").read_text(encoding="utf-8") == ""


def test_logs_and_configuration_lie_beside_the_file_wherever_it_is_started(tmp_path, app):
    quickstart = app("quickstart")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    quickstart.run(cwd=elsewhere, program=(str(quickstart.directory / "main.py"),))
    assert quickstart.log_ids() == [1]
    assert list(elsewhere.iterdir()) == []


def test_many_commands_may_start_in_the_same_directory_at_once(app):
    quickstart = app("quickstart")
    started = [quickstart.start("seed=1,2") for _ in range(4)]
    assert [process.wait(timeout=120) for process in started] == [0] * 4
    for process in started:
        process.communicate()
    assert quickstart.log_ids() == list(range(1, 9))
    assert not [name for name in quickstart.files() if not name.startswith(("logs/", "configs/config.yaml", "main.py"))]
