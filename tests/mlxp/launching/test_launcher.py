"""Everything that Hydra's command line can do, through a task."""

import functools
import os
import subprocess
from pathlib import Path

import pytest

import mlxp


def test_single_value_is_returned(actions):
    assert actions.run("number=3").stdout == "returned 3\n"


def test_values_of_a_sweep_are_returned_in_order(actions):
    assert actions.run("number=3,1,2").stdout.endswith("returned [3, 1, 2]\n")


def test_flag_m_is_accepted_and_not_needed(actions):
    assert actions.run("-m", "number=3,1").stdout.endswith("returned [3, 1]\n")


def test_plain_mode_of_hydra_is_one_run(actions):
    assert actions.run("--run", "number=4").stdout == "returned 4\n"


def test_overrides_may_stand_on_both_sides_of_flags(actions):
    assert actions.run("number=4", "--config-name", "config", "seed=1").stdout == "returned 4\n"


def test_unknown_flag_is_hydras_error(actions):
    result = actions.run("--nonsense")
    assert result.returncode == 2
    assert "unrecognized arguments: --nonsense" in result.stderr


def test_help_and_cfg_show_the_configuration_and_run_nothing(actions):
    assert "action: value" in actions.run("--help").stdout
    assert "number: 7" in actions.run("--cfg", "job", "number=7").stdout
    assert not (actions.directory / "logs").exists()


def test_info_shows_the_search_path(actions):
    result = actions.run("--info", "searchpath")
    assert result.returncode == 0
    assert str(actions.directory / "configs") in result.stdout


def test_wrong_key_fails_before_anything_runs(actions):
    result = actions.run("nubmer=1")
    assert result.returncode == 1
    assert "nubmer" in result.stderr
    assert not (actions.directory / "logs").exists()


def test_wrong_value_in_the_middle_of_a_sweep_fails_before_anything_runs(app):
    groups = app("groups")
    result = groups.run("model=small,missing")
    assert result.returncode == 1
    assert "missing" in result.stderr
    assert not (groups.directory / "logs").exists()


def test_command_line_is_the_users_inside_the_task(actions):
    assert "['action=argv', '+mlxp.use_logger=false']" in actions.run("action=argv", "+mlxp.use_logger=false").stdout


def test_config_groups_structured_schema_resolver_and_instantiate(app):
    groups = app("groups")
    result = groups.run("model=large")
    assert "twice: 2000" in result.stdout
    assert result.stdout.endswith("returned 3000\n")
    assert groups.config()["trainer"] == {"rounds": 3}


def test_structured_schema_refuses_a_wrong_type(app):
    result = app("groups").run("trainer.rounds=many")
    assert result.returncode == 1
    assert "many" in result.stderr


def test_experiment_file_may_hold_settings(app):
    groups = app("groups")
    assert groups.run("+experiment=deep").stdout.endswith("returned 50000\n")
    assert groups.log_ids("deep_logs") == [1]
    assert "mlxp" not in groups.config(1, "deep_logs")


def test_config_name_chooses_another_file(app):
    groups = app("groups")
    assert groups.run("--config-name", "other").stdout.endswith("returned 3000\n")


def test_config_dir_adds_options(app, tmp_path):
    groups = app("groups")
    (tmp_path / "more/model").mkdir(parents=True)
    (tmp_path / "more/model/tiny.yaml").write_text("_target_: __main__.Model\nunits: 1\ndepth: 1\n", encoding="utf-8")
    assert groups.run("--config-dir", str(tmp_path / "more"), "model=tiny").stdout.endswith("returned 1\n")


def test_module_of_a_package_is_run_with_python_m(app):
    package = app("package")
    result = package.run("x=1,2", program=("-m", "experiment.main"))
    assert result.stdout.endswith("returned [1, 2]\n")
    assert package.log_ids("experiment/logs") == [1, 2]


def test_imported_task_can_be_called(app):
    package = app("package")
    code = "import sys; sys.argv = ['prog', 'x=8']; from experiment.main import main; print(main())"
    assert package.run(program=("-c", code)).stdout == "8\n"


def test_hydras_settings_of_the_user_win(actions):
    actions.run(
        "number=1,2", "hydra.sweep.dir=mine", "hydra.sweep.subdir=${hydra.job.num}", "hydra.output_subdir=.hydra"
    )
    assert {"mine/0/.hydra/config.yaml", "mine/1/.hydra/hydra.yaml"} <= set(actions.files())


def test_what_hydra_writes_on_request_is_kept_beside_the_runs(actions):
    actions.run("number=1,2", "hydra/job_logging=default", "hydra.output_subdir=.hydra")
    kept = [name.split("/", 3)[3] for name in actions.files() if name.startswith("logs/.launch/")]
    files = (".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml", "main.log")
    assert kept == [f"{number}/{name}" for number in (0, 1) for name in files]


def test_what_the_task_says_through_logging_is_shown(actions):
    assert actions.run("action=warn").stderr == "mind the gap\n"


def test_files_of_a_task_that_changes_directory_are_kept(actions):
    assert actions.run("action=say", "hydra.job.chdir=true", "number=1,2").returncode == 0
    assert sorted(path.name for path in (actions.directory / "logs/.launch").glob("*/*")) == ["0", "1"]


def test_what_a_task_puts_into_hydras_output_directory_is_kept(actions):
    path = actions.run("action=output-directory").stdout.splitlines()[0]
    assert Path(path, "mine.txt").read_text(encoding="utf-8") == "precious"


def test_launch_leaves_nothing_in_the_cache(actions):
    assert actions.run("number=1,2").returncode == 0
    assert list(Path(os.environ["XDG_CACHE_HOME"], "mlxp/launches").iterdir()) == []


def test_wrong_override_of_a_sweep_is_named(actions):
    assert actions.run("number=1,2", "nubmer=3").stderr.startswith("Could not override 'nubmer'.\n")


def test_hydras_settings_in_the_configuration_win(actions):
    with (actions.directory / "configs/config.yaml").open("a", encoding="utf-8") as file:
        file.write("hydra:\n  sweeper:\n    params:\n      number: 5,6\n")
    assert actions.run().stdout.endswith("returned [5, 6]\n")
    assert actions.run("number=9").stdout == "returned 9\n"


def test_deleted_key_and_new_key(actions):
    assert actions.run("~model", "+extra.depth=3", "number=1,2").returncode == 0
    assert "model" not in actions.config()
    assert actions.config()["extra"] == {"depth": 3}


def test_joblib_runs_in_parallel_processes(actions):
    result = actions.run("action=pid", "number=1,2,3", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert result.returncode == 0, result.stderr
    assert actions.statuses() == ["COMPLETE"] * 3
    assert len({actions.info(log_id)["process_id"] for log_id in (1, 2, 3)}) == 2
    assert "logs: " in result.stdout


def test_joblib_returns_the_values(actions):
    result = actions.run("number=4,5", "hydra/launcher=joblib")
    assert result.stdout.endswith("returned [4, 5]\n")


def test_submitit_on_this_machine(actions):
    result = actions.run("number=4,5", "hydra/launcher=submitit_local")
    assert result.stdout.endswith("returned [4, 5]\n"), result.stderr
    assert actions.statuses() == ["COMPLETE"] * 2
    assert all(name.startswith(("logs/", "configs/", "main.py")) for name in actions.files())


def test_optuna_gets_the_value_as_its_objective(actions):
    overrides = ["hydra/sweeper=optuna", "number=choice(3,1,2)", "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=1"]
    result = actions.run(*overrides)
    assert result.returncode == 0, result.stderr
    assert actions.log_ids() == [1, 2, 3]
    assert len(list((actions.directory / "logs/.launch").glob("*/optimization_results.yaml"))) == 1


def test_shell_completion_knows_the_settings(actions, monkeypatch):
    monkeypatch.setenv("COMP_LINE", "python main.py mlxp.use_l")
    assert actions.run("-sc", "query=bash").stdout.split()[0] == "mlxp.use_logger="


def test_read_only_configuration_is_no_obstacle(actions, without_privileges):
    (actions.directory / "configs").chmod(0o555)
    (actions.directory / "configs/config.yaml").chmod(0o444)
    assert actions.run("number=2", prefix=without_privileges).stdout == "returned 2\n"


def test_configuration_may_ask_hydra_for_the_run(actions):
    with (actions.directory / "configs/config.yaml").open("a", encoding="utf-8") as file:
        file.write("name: ${hydra:job.name}\nnum: ${hydra:job.num}\n")
    assert actions.run("seed=1,2").returncode == 0
    assert [(actions.config(log_id)["name"], actions.config(log_id)["num"]) for log_id in (1, 2)] == [
        ("main", 0),
        ("main", 1),
    ]


def test_missing_value_is_named_before_anything_runs(actions):
    with (actions.directory / "configs/config.yaml").open("a", encoding="utf-8") as file:
        file.write("data:\n  path: ???\n")
    result = actions.run("seed=1,2")
    assert result.returncode == 1
    assert "the configuration has no value for data.path; give one, as in data.path=..." in result.stderr
    assert actions.run("data.path=x").returncode == 0


def test_value_that_only_a_sweep_gives_is_not_missing(actions):
    with (actions.directory / "configs/config.yaml").open("a", encoding="utf-8") as file:
        file.write("needed: ???\nhydra:\n  sweeper:\n    params:\n      data.path: a\ndata:\n  path: ???\n")
    assert actions.run("needed=1,2").returncode == 0
    assert [(actions.config(log_id)["needed"], actions.config(log_id)["data"]["path"]) for log_id in (1, 2)] == [
        (1, "a"),
        (2, "a"),
    ]


def test_interpolation_of_nothing_is_one_clear_error(actions):
    result = actions.run("+x=${nothing}")
    assert result.returncode == 1
    assert result.stderr.startswith("the configuration cannot be resolved: Interpolation key 'nothing' not found")
    assert not (actions.directory / "logs").exists()


def test_empty_settings_are_the_defaults(actions):
    with (actions.directory / "configs/config.yaml").open("a", encoding="utf-8") as file:
        file.write("mlxp:\n")
    assert actions.run("number=3").stdout == "returned 3\n"


def test_sweep_without_values_says_so(actions):
    result = actions.run("model=glob(nothing*)")
    assert result.returncode == 1
    assert "there is nothing to run" in result.stderr


def test_recorded_configuration_is_plain_yaml(app):
    structured = app("structured")
    result = structured.run("colour=BLUE", "mlxp.as_ConfigDict=false")
    assert result.returncode == 0, result.stderr
    assert structured.config() == {"colour": "BLUE", "path": "/data", "lr": 1e-05, "text": "1e-3"}
    assert not (structured.directory / "configs/config.yaml").exists()


def test_decorator_without_parentheses_is_refused():
    with pytest.raises(TypeError, match=r"write @mlxp.launch\(\), with parentheses"):
        mlxp.launch(print)


def test_what_cannot_be_a_task_is_refused_when_it_is_decorated():
    with pytest.raises(
        TypeError, match=r"mlxp.launch decorates a function that takes the context, not functools.partial"
    ):
        mlxp.launch()(functools.partial(print))


def test_run_in_a_copy_of_the_code_may_ask_hydra_for_its_name(app):
    quickstart = app("quickstart")
    with (quickstart.directory / "configs/config.yaml").open("a", encoding="utf-8") as file:
        file.write("name: ${hydra:job.name}-${hydra:job.num}\n")
    for command in ("init -q", "add -A", "-c user.name=me -c user.email=me@here commit -qm first"):
        subprocess.run(["git", *command.split()], cwd=quickstart.directory, check=True)
    result = quickstart.run("seed=1,2,3", "mlxp.use_version_manager=true", "mlxp.interactive_mode=false")
    assert result.returncode == 0, result.stderr
    assert [quickstart.config(log_id)["name"] for log_id in (1, 2, 3)] == ["main-0", "main-1", "main-2"]
