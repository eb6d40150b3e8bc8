"""Composes the configurations of many runs that differ only in values, in a fraction of the time that Hydra takes.

Hydra composes files first and then applies the values from the command line. The first step is the same for all runs
that choose the same files, and is done once for them. Hydra's own function does the second step. The result is
compared, node by node, with what Hydra composes for the first of these runs. Where they differ, or where composing
depends on more than files and values, Hydra composes each run.
"""

import copy
import functools
import inspect
import pickle
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from mlxp.launching.same_node import is_same

_KEPT = 1000
"""The largest number of configurations that are kept between the check and the start of the runs."""

_WORTH_IT = 3
"""Two runs of a kind are composed as fast by Hydra, since it composes twice to compare."""

Shape = tuple[tuple[str, ...], tuple[tuple[OverrideType, str, bool], ...]]
"""The files that a run chooses, and for each value its operator, its key, and whether it is a list or a dict."""


@dataclass(frozen=True)
class _Base:
    """What the configurations of all runs of one shape have in common.

    Attributes
    ----------
    whole, task
        The configuration with and without the key ``hydra``, pickled: a copy is made in a third of the time that a
        deep copy takes.
    is_plain
        Whether Hydra does nothing for the run but to make a directory and to call the task.
    asks_hydra
        Whether the user's configuration uses values of Hydra's.
    """

    whole: bytes
    task: bytes
    is_plain: bool
    asks_hydra: bool


class RunComposer:
    """Composes the runs of one sweep; to launchers it is Hydra's loader, and a copy in another process is that loader.

    Parameters
    ----------
    loader
        Hydra's loader.
    master
        The configuration that Hydra composed for the whole sweep.
    """

    def __init__(self, loader: Any, master: DictConfig) -> None:
        self._loader = loader
        self._master = master
        self._knows_files = _knows_files(loader, master)
        self._parsed = functools.lru_cache(_KEPT)(OverridesParser.create().parse_override)
        self._groups: dict[str, bool] = {}
        self._expected: Counter[Shape | None] = Counter()
        self._bases: dict[Shape, _Base | None] = {}
        self._kept: dict[tuple[str, ...], DictConfig] = {}

    def expect(self, runs: Sequence[Sequence[str]]) -> None:
        """Note the overrides of the runs that are to be composed."""
        self._expected = Counter(self._shape(run) for run in runs)

    def compose_ahead(self, overrides: Sequence[str]) -> DictConfig:
        """Return the configuration of a run, which the caller may change; it has ``hydra`` only if it uses that."""
        base = self._base(overrides)
        if base is None:
            return copy.deepcopy(self._kept_ahead(overrides))
        if base.asks_hydra or any("${hydra" in text for text in overrides):
            return self._whole(base, overrides)
        return self._with_values(base.task, overrides)

    def forced(self, overrides: Sequence[str]) -> DictConfig:
        """Return the configuration of a run, to which the keys are added that its files lack; only to look at it."""
        texts = zip(overrides, map(self._parsed, overrides), strict=True)
        return self._by_hydra([f"++{text}" if self._may_lack_key(one) else text for text, one in texts])

    def choices(self, overrides: Sequence[str]) -> dict[str, str]:
        """Return which file a run chooses for each group."""
        chosen: Any = OmegaConf.to_container(self._master.hydra.runtime.choices)
        given = {one.key_or_group: one.value() for one in map(self._parsed, overrides) if self._chooses_file(one)}
        return {group: file for group, file in {**chosen, **given}.items() if not str(group).startswith("hydra/")}

    def _may_lack_key(self, override: Override) -> bool:
        return override.type is OverrideType.CHANGE and not self._chooses_file(override)

    def to_start(self, overrides: Sequence[str]) -> tuple[DictConfig, DictConfig] | None:
        """Return the configuration of a run with and without ``hydra``; None if Hydra does more than to call it."""
        base = self._base(overrides)
        if base is None or not base.is_plain:
            return None
        return self._whole(base, overrides), self._with_values(base.task, overrides)

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: Sequence[str]) -> DictConfig:
        """Return the configuration of a run; called by launchers."""
        kept = self._kept.pop(tuple(sweep_overrides), None)
        base = self._base(sweep_overrides) if kept is None and master_config is self._master else None
        if base is not None:
            return self._whole(base, sweep_overrides)
        if kept is None:
            return self._by_hydra(sweep_overrides, master_config)
        kept.hydra.runtime.cwd = str(Path.cwd())
        OmegaConf.copy_cache(master_config, kept)  # what Hydra has resolved since, such as a time in a directory's name
        return kept

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._loader, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return _itself, (self._loader,)

    def _by_hydra(self, overrides: Sequence[str], master: DictConfig | None = None) -> DictConfig:
        config: DictConfig = self._loader.load_sweep_config(master or self._master, list(overrides))
        return config

    def _kept_ahead(self, overrides: Sequence[str]) -> DictConfig:
        """Let Hydra compose a run, and keep the result for its start unless the environment has a part in it."""
        key = tuple(overrides)
        if key in self._kept:
            return self._kept[key]
        config = self._by_hydra(overrides)
        if len(self._kept) < _KEPT and not config.hydra.job.env_copy:
            self._kept[key] = config
        return config

    def _shape(self, overrides: Sequence[str]) -> Shape | None:
        """Return what decides by which way a run is composed; None if only Hydra can do it."""
        if not self._knows_files:
            return None
        files, values = [], []
        for text in overrides:
            try:
                override = self._parsed(text)
            except HydraException:
                return None
            value = override.value()
            key = override.key_or_group
            if override.is_hydra_override() or key == "hydra":
                return None
            if override.package is None and not self._is_group(key):
                values.append((override.type, key, isinstance(value, list | dict)))
            elif isinstance(value, dict):
                return None
            else:
                files.append(text)
        return (tuple(files), tuple(values)) if values else None

    def _is_group(self, key: str) -> bool:
        if key not in self._groups:
            self._groups[key] = self._loader.repository.group_exists(key)
        return self._groups[key]

    def _base(self, overrides: Sequence[str]) -> _Base | None:
        shape = self._shape(overrides)
        if shape is None or self._expected[shape] < _WORTH_IT:
            return None
        if shape not in self._bases:
            self._bases[shape] = self._compared_base(shape, overrides)
        return self._bases[shape]

    def _compared_base(self, shape: Shape, overrides: Sequence[str]) -> _Base | None:
        """Return what the runs of a shape have in common if that and values make what Hydra composes for this run."""
        hydras = self._kept_ahead(overrides)
        try:
            base = _base_of(self._by_hydra(shape[0]), shape)
            if base is None or not self._is_as_hydras(base, overrides, hydras):
                return None
        except Exception:  # noqa: BLE001 - files that need values, or what cannot be pickled or compared: Hydra's way
            return None
        self._kept.pop(tuple(overrides), None)
        return base

    def _is_as_hydras(self, base: _Base, overrides: Sequence[str], hydras: DictConfig) -> bool:
        return is_same(self._whole(base, overrides), hydras) and is_same(
            self._with_values(base.task, overrides), _without_hydra(copy.deepcopy(hydras))
        )

    def _with_values(self, base: bytes, overrides: Sequence[str]) -> DictConfig:
        config: DictConfig = pickle.loads(base)  # noqa: S301 - our own
        values = [override for override in map(self._parsed, overrides) if not self._chooses_file(override)]
        self._loader._apply_overrides_to_config(values, config)  # noqa: SLF001 - looked for in _knows_files
        return config

    def _chooses_file(self, override: Override) -> bool:
        return override.package is not None or self._is_group(override.key_or_group)

    def _whole(self, base: _Base, overrides: Sequence[str]) -> DictConfig:
        """Return the configuration of a run with what Hydra writes into it after it has applied the values."""
        config = self._with_values(base.whole, overrides)
        node = config.hydra
        node.overrides.task.extend(overrides)
        dirname = getattr(inspect.getmodule(type(self._loader)), "get_overrides_dirname", None)
        if dirname is not None:  # Hydra 1.4 has an interpolation instead
            options: Any = OmegaConf.to_container(node.job.config.override_dirname)
            node.job.override_dirname = dirname(overrides=list(map(self._parsed, overrides)), **options)
        node.runtime.cwd = str(Path.cwd())
        OmegaConf.copy_cache(self._master, config)
        return config


def _itself(loader: Any) -> Any:
    return loader


def _knows_files(loader: Any, master: DictConfig) -> bool:
    """Whether we can tell which overrides choose files, and have Hydra's own function for the others."""
    # Groups on Hydra's further search path are known only while it composes, and what the environment holds as well.
    has_names = hasattr(loader, "_apply_overrides_to_config") and hasattr(
        getattr(loader, "repository", None), "group_exists"
    )
    node: Any = OmegaConf.to_container(master.hydra)
    return has_names and not node["searchpath"] and not node["job"]["env_copy"]


def _base_of(config: DictConfig, shape: Shape) -> _Base | None:
    """Return a configuration of files as the base of runs; None if composing a run resolves something."""
    content: Any = OmegaConf.to_container(config)
    node = content.pop("hydra")
    job = node["job"]
    resolved = "${" in f"{job['name']}{job['config']}{job['env_copy']}"
    if job["env_copy"] or resolved or any(_looks_at_interpolation(content, *value) for value in shape[1]):
        return None
    config.hydra.overrides.task.clear()
    OmegaConf.clear_cache(config)
    whole = pickle.dumps(config)
    return _Base(whole, pickle.dumps(_without_hydra(config)), _is_plain(node), "${hydra" in f"{content}")


def sets_up_logging(node: Any) -> bool:
    """Return whether one of Hydra's two settings of logging, as dicts, changes anything."""
    return not isinstance(node, dict) or node.get("root", "") is not None or "${" in f"{node}"


def _is_plain(node: dict[str, Any]) -> bool:
    """Whether Hydra's settings ask for nothing but a directory and a call of the task."""
    job = {name: value for name, value in node["job"].items() if name != "override_dirname"}
    asks = (job["chdir"], job["env_set"], node["verbose"], sets_up_logging(node["job_logging"]), "${" in f"{job}")
    return not any(asks) and node["output_subdir"] is None


def _looks_at_interpolation(content: Any, kind: OverrideType, key: str, is_container: bool) -> bool:
    """Whether an override makes Hydra resolve something that is already there."""
    for name in re.split(r"[.\[\]]+", key):
        if isinstance(content, str) and "${" in content:
            return True
        items = content if isinstance(content, dict) else dict(enumerate(content)) if isinstance(content, list) else {}
        content = next((value for known, value in items.items() if str(known) == name), None)
    # Hydra looks at what it is to delete or must not be there yet; a list or a dict is merged into what is there.
    looks = is_container or kind not in {OverrideType.CHANGE, OverrideType.FORCE_ADD}
    return looks and "${" in f"{content}"


def as_in_a_run(composed: DictConfig) -> DictConfig:
    """Return a configuration without the key ``hydra``, whose values it finds through ``HydraConfig`` from now on."""
    if "hydra" not in composed:
        return composed
    config = _without_hydra(copy.deepcopy(composed))
    HydraConfig.instance().set_config(composed)
    return config


def _without_hydra(config: DictConfig) -> DictConfig:
    with read_write(config), open_dict(config):
        del config["hydra"]
    return config
