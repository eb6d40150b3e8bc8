"""Says all that a run can see of what Hydra has made for it."""

import dataclasses
import enum
import logging
import os
import pathlib
import re
import sys

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import MISSING, DictConfig, ListConfig, Node, OmegaConf

import mlxp

IS_NEXT = hasattr(OmegaConf, "structural_equality")  # OmegaConf 2.4, which comes with Hydra 1.4
AGAIN = {"replace": True} if IS_NEXT else {}  # a test may import this file after another one

calls = {"counted": 0}


def counted(*_):
    calls["counted"] += 1
    return calls["counted"]


register = OmegaConf.register_resolver if IS_NEXT else OmegaConf.register_new_resolver
register("twice", lambda x: 2 * x, replace=True)
register("counted", counted, replace=True)
register("counted_once", counted, use_cache=True, replace=True)
register("from_root", lambda *, _root_: sorted(map(str, _root_)), replace=True)
register("pair", lambda: (0.9, 0.999), replace=True)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclasses.dataclass
class Inner:
    size: int = 1
    maybe: int | None = None


@dataclasses.dataclass
class Schema:
    colour: Colour = Colour.RED
    either: int | str = 3
    inner: Inner = dataclasses.field(default_factory=Inner)
    many: list[Inner] = dataclasses.field(default_factory=lambda: [Inner(1), Inner(2)])
    named: dict[str, int] = dataclasses.field(default_factory=lambda: {"a": 1})
    path: pathlib.Path = pathlib.Path("/data")
    raw: bytes = b"\x00\xff"
    needed: int = MISSING


@dataclasses.dataclass(frozen=True)
class Frozen:
    size: int = 1


ConfigStore.instance().store(group="schema", name="typed", node=Schema, **AGAIN)
ConfigStore.instance().store(group="schema", name="frozen", node=Frozen, **AGAIN)


def store_local_schema():
    @dataclasses.dataclass
    class Local:
        size: int = 1

    ConfigStore.instance().store(group="schema", name="local", node=Local, **AGAIN)


store_local_schema()


def described(node):
    """Return all that is known about a node of a configuration, before anything is resolved."""
    if not isinstance(node, Node):
        return repr(node)
    about = node._metadata
    flags = {name: value for name, value in (about.flags or {}).items() if value is not None}
    flags.pop("no_deepcopy_set_nodes", None)
    types = [getattr(about, name, None) for name in ("ref_type", "object_type", "optional", "key_type", "element_type")]
    content = node._content if isinstance(node, DictConfig | ListConfig) else node._value()
    if isinstance(content, dict):
        content = [(repr(key), described(child)) for key, child in content.items()]
    elif isinstance(content, list):
        content = [described(child) for child in content]
    else:
        content = repr(content)
    return [type(node).__name__, *map(str, types), flags, content]


class Note(Callback):
    """Notes what Hydra gives to callbacks."""

    def on_job_start(self, config, **_):
        notes.append(described(config))

    def on_job_end(self, config, job_return, **_):
        notes.append([described(config), described(job_return.cfg), job_return.overrides, str(job_return.status)])


notes = []


def seen(ctx):
    """Return what the run sees, without what differs between two launches that are to be the same."""
    node = HydraConfig.get()
    whole = node._get_parent()
    output = pathlib.Path(node.runtime.output_dir)
    facts = {
        "config": repr(ctx.config),
        "types": described(ctx.config) if isinstance(ctx.config, DictConfig) else repr(vars(ctx.config)),
        "raw": described(whole),
        "hydra": OmegaConf.to_container(node, resolve=True),
        "read-only": OmegaConf.is_readonly(node),
        "keys": list(whole),
        "cwd": os.getcwd(),
        "environment": {name: value for name, value in os.environ.items() if name.startswith("SEEN")},
        "files": sorted(str(path.relative_to(output)) for path in output.rglob("*")),
        "argv": sys.argv[1:],
        "notes": notes,
        "level": logging.getLogger().level,
        "overrides": list(ctx.info.overrides),
    }
    return re.sub(r"(launches|\.launch)/[^/' \\]+", "<launch>", repr(facts))


@mlxp.launch(config_path="./configs")
def task(ctx):
    action = ctx.config.get("action")
    said = seen(ctx) if action != "tell" else f"{ctx.config.model} {ctx.config.seed}"
    if action == "fail":
        raise ZeroDivisionError("divided")
    if action == "move":
        os.chdir(os.environ["SEEN_ELSEWHERE"])
    if action == "change":
        ctx.config["seed"] = "changed"
        os.environ["SEEN"] = os.environ.get("SEEN", "") + "x"
    if action == "sweep":
        said += repr(task.sweep(["action=none", "seed=7,8,9"]))
    return said


if __name__ == "__main__":
    print(task())
