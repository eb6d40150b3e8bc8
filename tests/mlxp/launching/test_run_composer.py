"""Configurations of runs are those that Hydra composes."""

import copy
import math
from dataclasses import dataclass

import hydra.core.utils
import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf, open_dict

from mlxp.launching import run_loop
from mlxp.launching.hydra_app import VERSION_BASE
from mlxp.launching.run_composer import RunComposer
from mlxp.launching.same_node import is_same


@dataclass
class Inner:
    size: int = 1


FILES = {
    "config.yaml": "defaults:\n  - model: small\n  - _self_\nseed: 0\nlayers: ${model.units}\n",
    "model/small.yaml": "units: 10\n",
    "model/large.yaml": "units: 1000\ndepth: 9\n",
    "experiment/deep.yaml": "# @package _global_\ndefaults:\n  - override /model: large\nseed: 7\n",
}


@pytest.fixture
def loader(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    with initialize_config_dir(str(tmp_path), **VERSION_BASE):
        yield GlobalHydra.instance().hydra.config_loader


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["model=large"],
        ["seed=3", "model=large"],
        ["+experiment=deep", "seed=1"],
        ["+experiment=deep"],
        ["+new={a: 1, b: [1, 2]}", "seed=${model.units}"],
        ["~seed"],
        ["++seed=5", "+other.deep.key=null"],
    ],
)
def test_configuration_is_the_one_that_hydra_composes(loader, overrides):
    master = loader.load_configuration("config", [], run_mode=RunMode.MULTIRUN)
    composer = RunComposer(loader, master)
    composer.expect(3 * [overrides])
    own, hydras = composer.compose_ahead(overrides), loader.load_sweep_config(master, list(overrides))
    for config in own, hydras:
        with open_dict(config):
            config.pop("hydra", None)
    assert OmegaConf.to_yaml(own) == OmegaConf.to_yaml(hydras)
    assert OmegaConf.is_struct(own) == OmegaConf.is_struct(hydras)


class Renamed:
    """Hydra's loader in a version that calls its own functions otherwise."""

    def __init__(self, loader):
        self.load_sweep_config = loader.load_sweep_config


class Differing:
    """Hydra's loader in a version that applies values in another way when it composes."""

    def __init__(self, loader):
        self.repository, self.hydras = loader.repository, loader
        self._apply_overrides_to_config = loader._apply_overrides_to_config

    def load_sweep_config(self, master, overrides):
        config = self.hydras.load_sweep_config(master, overrides)
        if "seed=1" in overrides:
            config.seed = "one"
        return config


@pytest.mark.parametrize("other", [Renamed, Differing])
def test_hydra_composes_all_runs_where_its_ways_are_unknown(loader, other):
    master = loader.load_configuration("config", [], run_mode=RunMode.MULTIRUN)
    runs = [["seed=1"], ["seed=2"], ["seed=3"]]
    loader = other(loader)
    composer = RunComposer(loader, master)
    composer.expect(runs)
    assert [composer.to_start(run) for run in runs] == [None] * 3
    seeds = [composer.load_sweep_config(master, run).seed for run in runs]
    assert seeds == [loader.load_sweep_config(master, run).seed for run in runs]


def test_plain_jobs_need_names_of_hydra(monkeypatch):
    assert run_loop._can_share()
    monkeypatch.delattr(hydra.core.utils, "_flush_loggers")
    assert not run_loop._can_share()


def test_in_another_process_the_composer_is_hydras_loader(loader):
    master = loader.load_configuration("config", [], run_mode=RunMode.MULTIRUN)
    rebuild, arguments = RunComposer(loader, master).__reduce__()
    assert rebuild(*arguments) is loader


CHANGES = {
    "flag of a part": lambda config: OmegaConf.set_struct(config.inner, True),
    "flag": lambda config: OmegaConf.set_readonly(config, True),
    "float for int": lambda config: config.update(a=1.0),
    "bool for int": lambda config: config.update(a=True),
    "longer list": lambda config: config.items_.append(3),
    "interpolation": lambda config: config.update(x="${a} "),
    "class": lambda config: config.update(inner=OmegaConf.structured(Inner)),
    "order": lambda config: config.update(a=config.pop("a")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_configurations_are_the_same_only_if_nothing_differs(change):
    one = OmegaConf.create({"a": 1, "x": "${a}", "nan": math.nan, "items_": [1, 2], "inner": {"size": 1}})
    other = copy.deepcopy(one)
    assert is_same(one, other)
    CHANGES[change](other)
    assert not is_same(one, other)
