"""ConfigDict: a dict with attributes."""

import argparse
import copy
import pickle
from enum import Enum
from pathlib import Path

import pytest

from mlxp import ConfigDict, Context


@pytest.fixture
def config():
    return ConfigDict({"seed": 1, "model": {"name": "mlp", "layers": [{"units": 10}, {"units": 20}]}})


def test_nested_keys_are_attributes(config):
    assert config.model.layers[1].units == config["model"]["layers"][1]["units"] == 20


def test_attributes_can_be_set_and_deleted(config):
    config.model.depth = {"min": 1}
    del config.seed
    assert (config["model"]["depth"].min, "seed" in config) == (1, False)


def test_missing_attribute_names_the_keys(config):
    with pytest.raises(AttributeError, match="there is no key 'modle' here; the keys are: seed, model"):
        _ = config.modle
    with pytest.raises(AttributeError, match="there is no key 'modle' here"):
        del config.modle


def test_it_is_a_dict(config):
    assert config == {"seed": 1, "model": {"name": "mlp", "layers": [{"units": 10}, {"units": 20}]}}
    assert {**config} == config
    assert config.get("nothing", 3) == 3


def test_it_prints_as_yaml_in_its_order(config):
    assert str(config) == "seed: 1\nmodel:\n  name: mlp\n  layers:\n  - units: 10\n  - units: 20"


def test_what_yaml_does_not_know_still_prints():
    class Colour(Enum):
        RED = 1

    assert str(ConfigDict(colour=Colour.RED, path=Path("a/b"))) == "colour: RED\npath: a/b"
    assert "object" in str(ConfigDict(x=object()))


def test_update_merges_mappings(config):
    config.update({"model": {"name": "cnn"}, "new": {"a": 1}}, seed=2)
    assert (config.model.name, len(config.model.layers), config.new.a, config.seed) == ("cnn", 2, 1, 2)


def test_union_and_setdefault_convert(config):
    assert (config | {"a": {"b": 1}}).a.b == 1
    config |= {"c": {"d": 2}}
    assert config.c.d == 2
    assert config.setdefault("e", {"f": 3}).f == 3


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c)), ConfigDict.copy])
def test_copies_are_equal_and_of_its_kind(config, copied):
    assert copied(config) == config
    assert type(copied(config)) is type(copied(config).model) is ConfigDict


def test_pickle_of_mlxp_1_is_loaded():
    stored = (
        b"\x80\x04\x95]\x00\x00\x00\x00\x00\x00\x00\x8c mlxp.data_structures.config_dict\x94\x8c\nConfigDict\x94\x93"
        b"\x94)\x81\x94\x8c\toptimizer\x94h\x02)\x81\x94\x8c\x02lr\x94G?\xb9\x99\x99\x99\x99\x99\x9ash\x05bsh\x03b."
    )
    config = pickle.loads(stored)
    assert config == ConfigDict({"optimizer": {"lr": 0.1}})
    config.optimizer.lr = 0.2
    assert config.optimizer.lr == 0.2


def test_deep_copy_is_independent(config):
    other = copy.deepcopy(config)
    other.model.name = "changed"
    assert config.model.name == "mlp"


def test_to_dict_is_plain_all_the_way(config):
    plain = config.to_dict()
    assert type(plain) is type(plain["model"]) is type(plain["model"]["layers"][0]) is dict


def test_keys_that_are_no_names_are_kept():
    assert ConfigDict({1: "a", "b c": 2})["b c"] == 2


def test_keys_are_completed(config):
    assert {"seed", "model", "update"} <= set(dir(config))


def test_it_is_taken_apart_as_any_mapping_or_namespace(config):
    def keywords(**given):
        return given

    assert vars(config) == dict(config) == keywords(**config) == config.to_dict()
    config.new = 5
    assert vars(config)["new"] == 5
    assert argparse.Namespace(**vars(config)).new == 5
    vars(config)["seed"] = 7
    assert config.seed == 7


def test_context_for_a_test_is_made_of_what_the_task_needs():
    empty = Context()
    assert (empty.config, empty.mlxp, empty.info, empty.logger) == ({}, {}, {}, None)
    empty.config.seed = 1
    assert (empty.config, Context().config) == ({"seed": 1}, {})
    assert Context(config=ConfigDict(seed=3)).config.seed == 3
