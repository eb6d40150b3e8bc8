"""A structured primary configuration, with values that YAML does not know."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from hydra.core.config_store import ConfigStore

import mlxp


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclass
class Config:
    colour: Colour = Colour.RED
    path: Path = Path("/data")
    lr: float = 1e-5
    text: str = "1e-3"


ConfigStore.instance().store(name="config", node=Config)


@mlxp.launch()
def main(ctx: mlxp.Context) -> None:
    print(ctx.config)


if __name__ == "__main__":
    main()
