"""Planned configurations are those that Hydra composes."""

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf, open_dict

from mlxp.launching.hydra_app import VERSION_BASE
from mlxp.launching.value_composer import ValueComposer

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
    composer = ValueComposer(loader, master)
    composer.compose(["seed=99"])
    own = composer.compose(overrides)
    hydras = loader.load_sweep_config(master, list(overrides))
    with open_dict(hydras):
        hydras.pop("hydra")
    assert OmegaConf.to_yaml(own) == OmegaConf.to_yaml(hydras)
    assert OmegaConf.is_struct(own) == OmegaConf.is_struct(hydras)
