"""Which combinations a sweep has: keys that vary together, combinations left out, and runs that are only listed."""

import pytest

from mlxp.errors import MLXPError
from mlxp.launching.left_out import Condition


@pytest.fixture
def listed(task, capsys):
    """A function that lists the runs of a sweep, which starts none."""

    def listed(*overrides):
        assert list(task.sweep([*overrides, "mlxp.dry_run=true"])) == []
        lines = capsys.readouterr().out.splitlines()
        return [line.strip().partition(": ")[2] for line in lines[1:]]

    return listed


def test_runs_are_listed_and_none_is_started(wanted):
    result = wanted.run("lr=1,2", "seed=0", "mlxp.dry_run=true")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "2 runs:\n  run 1: lr=1 seed=0\n  run 2: lr=2 seed=0\n"
    assert not (wanted.directory / "logs").exists()
    wanted.run("lr=1")
    result = wanted.run("lr=1,2", "mlxp.dry_run=true", "mlxp.only_missing=true")
    assert result.stdout == "1 run:\n  run 2: lr=2\n  left out, since run 1 is COMPLETE: lr=1\n"
    result = wanted.run("--run", "mlxp.dry_run=true")
    assert result.returncode == 1
    assert "hydra.mode=RUN" in result.stderr
    assert wanted.log_ids() == [1]


def test_single_run_and_wrong_ones_are_checked_when_listed(listed, task):
    assert listed("lr=7") == ["lr=7"]
    with pytest.raises(MLXPError, match="unknown setting"):
        task.sweep(["lr=1,2", "mlxp.use_loger=false", "mlxp.dry_run=true"])


def test_keys_vary_together(listed):
    runs = listed("mlxp.zip=[model.name,model.units]", "model.name=small,large", "model.units=16,64", "seed=1,2")
    assert runs == [
        "model.name=small model.units=16 seed=1",
        "model.name=small model.units=16 seed=2",
        "model.name=large model.units=64 seed=1",
        "model.name=large model.units=64 seed=2",
    ]
    assert listed("mlxp.zip=[[lr,seed],[model,sleep]]", "lr=1,2", "seed=3,4", "model=a,b", "sleep=0,1") == [
        "lr=1 seed=3 model=a sleep=0",
        "lr=1 seed=3 model=b sleep=1",
        "lr=2 seed=4 model=a sleep=0",
        "lr=2 seed=4 model=b sleep=1",
    ]


def test_combinations_are_left_out_by_a_query(listed):
    assert listed("lr=0.1,1", "model=a,b", "mlxp.skip=\"model.name == 'b' & lr > 0.5\"") == [
        "lr=0.1 model=a",
        "lr=0.1 model=b",
        "lr=1 model=a",
    ]
    # The name of a group is the file that is chosen for it, given or not.
    assert listed("lr=0.1,1", "mlxp.skip=\"model == 'a' & config.lr >= 1\"") == ["lr=0.1"]
    # A run without the key matches no comparison.
    assert listed("model=a,b", "mlxp.skip='model.dropout > 0'") == ["model=b"]
    assert listed("lr=1,2", "seed=0,1", "mlxp.skip='lr == 1 & seed in [1, 2] | ~(lr == 1) & seed == 0'") == [
        "lr=1 seed=0",
        "lr=2 seed=1",
    ]
    # What Hydra resolves is resolved.
    assert listed("lr=1,2", "seed=${lr}", "mlxp.skip='seed == 2'") == ["lr=1 seed=${lr}"]


def test_key_that_a_model_lacks_is_left_out_or_told(listed, task):
    sweep = ("model=a,b", "model.dropout=0.1,0.2", "lr=1")
    left = ["model=a model.dropout=0.1 lr=1", "model=a model.dropout=0.2 lr=1"]
    assert listed(*sweep, "mlxp.skip=\"model.name == 'b'\"") == left
    assert listed(*sweep, "mlxp.skip=\"model == 'b' & model.dropout > 0\"") == left
    for skip in ((), ("mlxp.skip=\"model.name == 'b' & model.dropout > 0.1\"",)):
        with pytest.raises(MLXPError) as told:
            task.sweep([*sweep, *skip])
        assert str(told.value).startswith(
            "model=b model.dropout=0.1 lr=1: with these files, the configuration has no key model.dropout, which other"
        )
        assert "\n" not in str(told.value)


def test_key_that_no_run_has_is_told_as_hydra_does(wanted):
    result = wanted.run("sede=1,2")
    assert result.returncode == 1
    assert result.stderr.startswith("Could not override 'sede'.")


@pytest.mark.parametrize(
    ("skip", "said"),
    [
        ("modl.name == 'b'", r"mlxp\.skip: there is no field 'modl\.name'; did you mean config\.model\.name"),
        ("not config.nothing == 1", r"mlxp\.skip: no run here has the key config\.nothing"),
        ("lr >", r"mlxp\.skip: cannot read the query: expected a value"),
        ("lr > 0", r"there is nothing to run: mlxp\.skip='lr > 0' is true of every run"),
    ],
)
def test_wrong_condition_is_told(task, skip, said):
    with pytest.raises(MLXPError, match=said):
        task.sweep(["lr=1,2", f'mlxp.skip="{skip}"'])


def test_settings_of_a_sweep_may_be_in_the_configuration(wanted):
    config = wanted.directory / "configs/config.yaml"
    settings = "mlxp:\n  zip: [lr, seed]\n  skip: lr == 2\n"
    config.write_text(config.read_text(encoding="utf-8") + settings, encoding="utf-8")
    result = wanted.run("lr=1,2,3", "seed=4,5,6")
    assert result.returncode == 0, result.stderr
    assert [(wanted.config(log_id)["lr"], wanted.config(log_id)["seed"]) for log_id in wanted.log_ids()] == [
        (1, 4),
        (3, 6),
    ]
    result = wanted.run("lr=1,2,3", "seed=4,5")
    assert result.returncode == 1
    assert "but lr has 3 and seed has 2" in result.stderr
    result = wanted.run("lr=2")
    assert "there is nothing to run" in result.stderr


@pytest.mark.parametrize("setting", ["mlxp.zip=lr,seed", "mlxp.skip='a == 1','b == 2'", "mlxp.dry_run=true,false"])
def test_setting_of_a_sweep_has_one_value(task, setting):
    with pytest.raises(MLXPError, match="has one value for the whole sweep"):
        task.sweep(["lr=1,2", setting])


@pytest.mark.parametrize("zipped", ["lr", "[[lr,seed],sleep]", "[1,2]"])
def test_wrong_lists_of_keys_are_told(task, zipped):
    with pytest.raises(MLXPError, match=r"the setting mlxp\.zip must be a list of keys"):
        task.sweep(["lr=1,2", f"mlxp.zip={zipped}"])


def test_condition_keeps_only_what_it_asks_for():
    from omegaconf import OmegaConf

    condition = Condition("lr > 1 & config.model.name == 'a'")
    condition.look_at(OmegaConf.create({"lr": 2, "model": {"name": "a", "weights": list(range(100))}}), {"db": "x"})
    assert condition._runs == [{"lr": 2, "model.name": "a"}]
    assert condition.matches() == [True]
