"""What makes two runs the same."""

import math
from pathlib import Path

import pytest
import yaml

from mlxp.run_directory.files import to_yaml
from mlxp.run_directory.identity import Rules, is_same_program, program_names, spelled, values_of, version_of
from mlxp.run_directory.known_runs import KnownRuns

DATA = Path(__file__).parents[2] / "data/mlxp-1.0.5-logs/logs"


def same(one, other, **declared):
    rules = Rules.of(**declared)
    return rules.identity(values_of(one)) == rules.identity(values_of(other))


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        (1, 1.0, True),
        (0, -0.0, True),
        (0.1, 0.1 + 1e-18, True),
        (0.1, 0.1 + 1e-16, False),
        (2**53, 2.0**53, True),
        (2**53 + 1, 2.0**53, False),
        (1, True, False),
        (0, False, False),
        (1, "1", False),
        (1e-3, "1e-3", False),
        ("true", True, False),
        (None, "null", False),
        (None, 0, False),
        (None, "", False),
        (math.nan, math.nan, True),
        (math.inf, math.inf, True),
        (math.nan, "nan", False),
        ([1, 2], [1.0, 2.0], True),
        ([1, 2], (1, 2), True),
        ([1, 2], [2, 1], False),
        ([1, 2], "[1, 2]", False),
        ([[1], []], [[1]], False),
        ([{"a": 1, "b": 2}], [{"b": 2.0, "a": 1}], True),
        ("a", "A", False),
        ("it's", 'it"s', False),
    ],
)
def test_values_are_compared_as_values(one, other, are_same):
    assert (spelled(one) == spelled(other)) is are_same
    assert same({"group": {"key": one}}, {"group": {"key": other}}) is are_same


def test_order_of_keys_and_empty_groups_do_not_matter():
    assert same({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1, "e": {}})


def test_key_that_one_run_lacks_matters_unless_its_value_is_assumed():
    old, new = {"lr": 1}, {"lr": 1, "dropout": 0.0}
    assert not same(old, new)
    assert same(old, new, assume={"dropout": 0})
    assert not same(old, {"lr": 1, "dropout": 0.5}, assume={"dropout": 0})
    assert same({}, {"model": {"depth": 2}}, assume={"model": {"depth": 2}})
    assert same({}, {"model": {"depth": 2}}, assume={"config.model.depth": 2})
    assert not same(old, {"lr": 1, "dropout": None})


@pytest.mark.parametrize(
    ("pattern", "key", "is_excluded"),
    [
        ("out_dir", "out_dir", True),
        ("out_dir", "out_dir_2", False),
        ("data.cache*", "data.cache", True),
        ("data.cache*", "data.cache_dir", True),
        ("data.cache*", "data.cached.size.max", True),
        ("data.cache*", "data.path", False),
        ("data", "data.path", True),
        ("data", "database", False),
        ("*.num_workers", "data.num_workers", True),
        ("*.num_workers", "num_workers", False),
        ("config.out_dir", "out_dir", True),
        ("Out_dir", "out_dir", False),
    ],
)
def test_excluded_keys_do_not_matter(pattern, key, is_excluded):
    def config(value):
        content = value
        for name in reversed(key.split(".")):
            content = {name: content}
        return content

    assert same(config(1), config(2), exclude=[pattern]) is is_excluded
    assert same(config(1), {}, exclude=[pattern]) is is_excluded


def test_literal_names_are_no_patterns():
    rules = Rules.of().without(["a[0]*"])
    assert rules.identity({"a[0]*": "1", "a0b": "2"}) == "a0b=2"


@pytest.mark.parametrize("value", [1e-5, 1.5, "1e-5", "yes", None, [1, None, "x"], "a: b", 10**20, True])
def test_recorded_value_is_the_value(value):
    assert same(yaml.safe_load(to_yaml({"key": value})), {"key": value})


@pytest.mark.parametrize(
    ("info", "are_same"),
    [
        ({"current_file_path": "/p/main.py", "logger": {"log_dir": "/p/logs/1"}}, True),
        ({"current_file_path": "/p/main.py"}, True),
        ({"current_file_path": "/p/other.py", "logger": {"log_dir": "/p/logs/1"}}, False),
        ({"current_file_path": "/old/p/main.py", "logger": {"log_dir": "/old/p/logs/1"}}, True),
        ({"current_file_path": "/q/main.py", "logger": {"log_dir": "/p/logs/1"}}, False),
        ({"current_file_path": "/c/p/main.py", "code": {"copy": "/c/p", "top": "/p"}}, True),
        (
            {
                "current_file_path": "/p/.work_dir/p/abc/main.py",
                "version_manager": {"repo_path": "/p", "commit_hash": "abc"},
            },
            True,
        ),
        ({}, True),  # unknown
        ({"current_file_path": 5, "logger": [], "code": 3}, True),
    ],
)
def test_program_is_the_file_that_defines_the_task_wherever_it_has_moved(info, are_same):
    own = program_names({"current_file_path": "/p/main.py", "logger": {"log_dir": "/p/logs/7"}}, {})
    assert is_same_program(own, program_names(info, {})) is are_same


def test_waiting_run_is_known_by_its_submission():
    own = program_names({"current_file_path": "/p/main.py", "logger": {"log_dir": "/p/logs/7"}}, {})
    assert is_same_program(own, program_names({}, {"program": "../main.py"}))
    assert not is_same_program(own, program_names({}, {"program": "../other.py"}))
    assert version_of({}, {"identity": {"version": 3}}) == version_of({"identity": {"version": 3.0}}, {}) == "3"
    assert version_of({}, {}) != version_of({}, {"identity": {"version": 0}})


def known_in(parent, config, rules=None):
    rules = rules or Rules()
    known = KnownRuns(parent)
    known.refresh()
    return known.with_identity(rules, rules.identity(values_of(config)))


def write(parent, log_id, config):
    folder = parent / str(log_id) / "metadata"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(config if isinstance(config, str) else to_yaml(config), encoding="utf-8")


def test_runs_of_mlxp_1_are_found_by_their_configuration():
    for log_id in range(1, 13):
        config = yaml.safe_load((DATA / str(log_id) / "metadata/config.yaml").read_text(encoding="utf-8"))
        assert log_id in known_in(DATA, config)


def test_what_is_no_configuration_is_no_run_that_is_known(tmp_path):
    write(tmp_path, 1, {})
    write(tmp_path, 2, "seed: [")
    write(tmp_path, 3, "- 1\n")
    write(tmp_path, 4, "")
    (tmp_path / "5").mkdir()
    write(tmp_path, 6, b"\xff".decode("latin-1"))
    assert known_in(tmp_path, {}) == [1]
    assert known_in(tmp_path / "none", {}) == []


def test_new_runs_are_seen_and_a_cache_is_used_only_for_files_that_are_as_they_were(tmp_path, monkeypatch):
    monkeypatch.setattr("mlxp.run_directory.known_runs._MANY", 1)
    monkeypatch.setattr("mlxp.run_directory.known_runs._RACY", 0)
    for seed in (1, 2):
        write(tmp_path, seed, {"seed": seed})
    known = KnownRuns(tmp_path)
    known.refresh()
    assert known.with_identity(Rules(), "seed=3") == []
    write(tmp_path, 3, {"seed": 3})
    known.refresh()
    assert known.with_identity(Rules(), "seed=3") == [3]
    assert (tmp_path / ".mlxp/configurations.json").exists()
    write(tmp_path, 1, {"seed": 22})
    assert known_in(tmp_path, {"seed": 1}) == []
    assert known_in(tmp_path, {"seed": 22}) == [1]
    file = tmp_path / ".mlxp/configurations.json"
    for damaged in (b"", b"1\n[]", file.read_bytes().replace(b'"seed":"2"', b'"seed":"9"'), b"x\n"):
        file.write_bytes(damaged)
        assert known_in(tmp_path, {"seed": 2}) == [2]
        assert known_in(tmp_path, {"seed": 9}) == []
