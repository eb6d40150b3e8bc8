"""The settings of MLXP: where they come from, and what is said about wrong ones."""

from pathlib import Path

import pytest
import yaml

from mlxp.errors import InvalidConfigFileError
from mlxp.running import settings


def checked(**given):
    return settings.checked({**settings.DEFAULTS, **given}, Path("/project"))


def test_paths_are_relative_to_the_file_of_the_task():
    assert checked().logger.parent_log_dir == "/project/logs"
    assert checked().version_manager.parent_work_dir == "/project/.work_dir"


def test_home_and_absolute_paths_are_kept():
    home = checked(logger={"parent_log_dir": "~/logs"})
    assert home.logger.parent_log_dir == str(Path.home() / "logs")
    assert checked(logger={"parent_log_dir": "/a/b/../c"}).logger.parent_log_dir == "/a/c"


def test_missing_settings_of_a_group_have_their_defaults():
    assert checked(logger={"forced_log_id": 3}).logger.name == "DefaultLogger"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"use_loger": True}, "unknown setting mlxp.use_loger; did you mean mlxp.use_logger?"),
        ({"qqq": 1}, "unknown setting mlxp.qqq; the settings are: logger, version_manager, "),
        ({"use_logger": "maybe"}, "mlxp.use_logger must be true or false, not 'maybe'"),
        ({"use_logger": 1}, "mlxp.use_logger must be true or false, not 1"),
        ({"logger": {"forced_log_id": "abc"}}, "mlxp.logger.forced_log_id must be a whole number, not 'abc'"),
        ({"logger": {"forced_log_id": True}}, "mlxp.logger.forced_log_id must be a whole number, not True"),
        ({"logger": 3}, "mlxp.logger must be a group of settings, not 3"),
        (3, "mlxp must be a group of settings, not 3"),
        ({"heartbeat": -1}, "mlxp.heartbeat is a number of seconds, not -1"),
        ({"heartbeat": None}, "mlxp.heartbeat must be a number, not None"),
        (
            {"logger": {"forced_id": 3}},
            "unknown setting mlxp.logger.forced_id; did you mean mlxp.logger.forced_log_id?",
        ),
        ({"logger": {"name": "Nothing"}}, "mlxp.logger.name is 'Nothing', which cannot be imported"),
        ({"logger": {"name": "pathlib.Path"}}, "which is not a subclass of mlxp.Logger"),
        ({"logger": {"name": "no.such.Class"}}, "No module named 'no'"),
    ],
)
def test_wrong_setting_is_named_with_what_is_allowed(given, message):
    with pytest.raises(InvalidConfigFileError) as error:
        settings.checked(given, Path("/project"))
    assert message in str(error.value)


def test_whole_number_is_a_number():
    assert checked(heartbeat=5).heartbeat == 5


@pytest.mark.parametrize("override", ["mlxp.use_logger=false", "+mlxp.use_logger=false", "++mlxp.use_logger=false"])
def test_setting_on_the_command_line_with_and_without_plus(actions, override):
    assert actions.run("action=settings", override).stdout.startswith("False True -1\n")
    assert not (actions.directory / "logs").exists()


def test_command_line_wins_over_configuration_wins_over_file(actions):
    (actions.directory / "configs/mlxp.yaml").write_text(
        "interactive_mode: false\nuse_logger: false\nlogger:\n  forced_log_id: 1\n", encoding="utf-8"
    )
    with (actions.directory / "configs/config.yaml").open("a", encoding="utf-8") as file:
        file.write("mlxp:\n  use_logger: true\n  logger:\n    forced_log_id: 2\n")
    assert actions.run("action=settings", "mlxp.logger.forced_log_id=3").stdout.startswith("True False 3\n")
    assert actions.log_ids() == [3]


def test_settings_are_recorded_and_kept_out_of_the_configuration(actions):
    assert actions.run("action=config").stdout.startswith("ConfigDict ConfigDict False\n")
    recorded = yaml.safe_load((actions.directory / "logs/1/metadata/mlxp.yaml").read_text(encoding="utf-8"))
    assert recorded["logger"]["parent_log_dir"] == str(actions.directory / "logs")
    assert "mlxp" not in actions.config()


def test_typo_on_the_command_line_stops_before_any_run(actions):
    result = actions.run("mlxp.use_loger=false", "number=1,2")
    assert result.returncode == 1
    assert result.stderr.startswith("unknown setting mlxp.use_loger; did you mean mlxp.use_logger?")
    assert not (actions.directory / "logs").exists()


def test_typo_in_the_file_names_the_file(actions):
    file = actions.directory / "configs/mlxp.yaml"
    file.write_text("use_loger: false\n", encoding="utf-8")
    result = actions.run()
    assert result.returncode == 1
    assert f"unknown setting use_loger in {file}; did you mean use_logger?" in result.stderr


def test_invalid_yaml_in_the_file_names_the_file(actions):
    file = actions.directory / "configs/mlxp.yaml"
    file.write_text("use_logger: [\n", encoding="utf-8")
    result = actions.run()
    assert result.returncode == 1
    assert f"{file} is not valid YAML" in result.stderr


def test_settings_and_configuration_may_refer_to_each_other(actions):
    (actions.directory / "configs/mlxp.yaml").write_text(
        "logger:\n  parent_log_dir: ./logs-of-${action}\n", encoding="utf-8"
    )
    assert actions.run("+where=${mlxp.logger.parent_log_dir}").returncode == 0
    assert actions.config(1, "logs-of-value")["where"] == "./logs-of-value"


def test_settings_can_be_swept(actions):
    actions.run("mlxp.logger.parent_log_dir=a,b")
    assert actions.log_ids("a") == actions.log_ids("b") == [1]


def test_config_dict_can_be_turned_off(actions):
    assert actions.run("action=config", "mlxp.as_ConfigDict=false").stdout.startswith("DictConfig DictConfig False\n")


def test_unresolved_configuration_is_recorded_resolved(actions):
    actions.run("mlxp.resolve=false", "mlxp.as_ConfigDict=false", "+twice=${number}", "number=4")
    assert actions.config()["twice"] == 4


@pytest.mark.parametrize("name", ["main.MyLogger", "__main__.MyLogger"])
def test_own_logger_gets_its_own_options(actions, name):
    result = actions.run("action=logger", f"mlxp.logger.name={name}", "mlxp.logger.colour=blue")
    assert result.stdout.startswith("MyLogger blue\n"), result.stderr


def test_option_that_the_own_logger_does_not_take_is_named(actions):
    result = actions.run("mlxp.logger.name=main.MyLogger", "mlxp.logger.color=blue")
    assert "unknown setting mlxp.logger.color; did you mean mlxp.logger.colour?" in result.stderr


def test_default_logger_may_be_named_with_its_package(actions):
    assert actions.run("action=logger", "mlxp.logger.name=mlxp.DefaultLogger").stdout.startswith("DefaultLogger None\n")


def test_seeding_function_is_called_with_the_seed(actions):
    first, second = (actions.run("action=random", "seed=3").stdout for _ in range(2))
    assert first == second != actions.run("action=random", "seed=4").stdout


def test_seeding_function_without_a_seed_is_an_error_before_the_task(actions):
    result = actions.run("~seed")
    assert result.returncode == 1
    assert "the configuration has no key 'seed'" in result.stderr
    assert not (actions.directory / "logs").exists()


@pytest.mark.parametrize(
    ("overrides", "checks"),
    [
        ([], 1),
        (["seed=1,2,3,4"], 1),
        (["mlxp.logger.parent_log_dir=a,b", "seed=1,2"], 2),
        (["mlxp.use_logger=false", "+x=${seed}"], 1),
        # What an interpolation stands for is known, and checked, when the run starts.
        (["mlxp.logger.parent_log_dir=logs-${seed}", "seed=1,2"], 3),
    ],
)
def test_the_same_settings_are_checked_once(actions, overrides, checks):
    code = (
        "import sys; from main import task; from mlxp.running import settings\n"
        f"task.sweep({overrides}); print(settings._check.cache_info().misses)"
    )
    assert actions.run(program=("-c", code)).stdout.splitlines()[-1] == str(checks)


def test_settings_do_not_change():
    with pytest.raises(AttributeError, match="cannot assign to field"):
        checked().use_logger = False


def test_options_of_the_users_own_class_are_recorded_with_the_others(actions):
    given = checked(logger={"name": "mlxp.DefaultLogger", "parent_log_dir": "/logs"})
    assert given.logger.to_dict() == {
        **settings.DEFAULTS["logger"],
        "name": "mlxp.DefaultLogger",
        "parent_log_dir": "/logs",
    }
    assert actions.run("mlxp.logger.name=main.MyLogger", "mlxp.logger.colour=blue", "action=logger").stdout.startswith(
        "MyLogger blue"
    )
    recorded = yaml.safe_load((actions.directory / "logs/1/metadata/mlxp.yaml").read_text(encoding="utf-8"))
    assert recorded["logger"]["colour"] == "blue"


def test_missing_value_may_be_what_a_sweep_gives(actions):
    with (actions.directory / "configs/config.yaml").open("a", encoding="utf-8") as file:
        file.write("path: ???\n")
    assert actions.run("path=a,b").returncode == 0
    assert [actions.config(log_id)["path"] for log_id in (1, 2)] == ["a", "b"]
    assert actions.run("++hydra.sweeper.params.path=c").returncode == 0
    assert actions.config(3)["path"] == "c"
