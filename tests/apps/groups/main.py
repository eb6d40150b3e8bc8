"""Config groups, a structured schema, instantiate, a resolver of the user's own."""

from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.utils import instantiate
from omegaconf import OmegaConf

import mlxp


@dataclass
class Schema:
    rounds: int = 3


ConfigStore.instance().store(group="schema", name="rounds", node=Schema)
OmegaConf.register_new_resolver("double", lambda x: 2 * x, replace=True)


class Model:
    def __init__(self, units: int, depth: int) -> None:
        self.size = units * depth


@mlxp.launch(config_path="configs")
def main(ctx: mlxp.Context) -> int:
    print(ctx.config)
    return instantiate(ctx.config.model).size


if __name__ == "__main__":
    print("returned", main())
