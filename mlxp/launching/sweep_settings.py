"""The settings that concern a sweep as a whole: which combinations there are, and which of them start."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mlxp.errors import InvalidConfigFileError
from mlxp.running.repeated_run import RERUN_OF
from mlxp.running.settings import DEFAULTS, check

_NAMES = ("only_missing", "dry_run", "zip", "skip")


@dataclass(frozen=True)
class SweepSettings:
    """What a command line, or the configuration, asks of a sweep.

    Attributes
    ----------
    only_missing
        Whether to leave out the runs that are there.
    dry_run
        Whether to list the runs instead of starting them.
    zip
        Groups of keys that vary together.
    skip
        The condition on the runs to leave out; empty for none.
    """

    only_missing: bool = False
    dry_run: bool = False
    zip: tuple[tuple[str, ...], ...] = ()
    skip: str = ""

    @classmethod
    def of(cls, composed: DictConfig) -> "SweepSettings":
        """Return the settings in the configuration that Hydra composed for the whole sweep.

        Raises
        ------
        InvalidConfigFileError
            If one of them is of the wrong kind.
        """
        given = given_in(composed)
        if given == {name: DEFAULTS[name] for name in _NAMES}:
            return cls()
        check(given)
        groups = given["zip"] if all(isinstance(group, list) for group in given["zip"]) else [given["zip"]]
        # A rerun is done though the run is there.
        only_missing = given["only_missing"] and RERUN_OF not in os.environ
        return cls(only_missing, given["dry_run"], tuple(map(tuple, groups)), given["skip"])


def given_in(composed: DictConfig) -> dict[str, Any]:
    """Return the settings that concern a sweep, with their interpolations resolved."""
    node = composed.get("mlxp") or {}
    try:
        values = {name: OmegaConf.create({"value": node.get(name, DEFAULTS[name])}).value for name in _NAMES}
    except OmegaConfBaseException as error:
        raise InvalidConfigFileError(f"the settings of the sweep cannot be resolved: {error}") from error
    return {name: OmegaConf.to_container(one) if OmegaConf.is_config(one) else one for name, one in values.items()}


def without_sweep_settings(overrides: Sequence[Override]) -> list[Override]:
    """Return overrides without those that concern the sweep as a whole, and so are none of any run's.

    Raises
    ------
    InvalidConfigFileError
        If one of those has several values.
    """
    kept = []
    for override in overrides:
        name = override.key_or_group.removeprefix("mlxp.")
        if override.key_or_group != f"mlxp.{name}" or name not in _NAMES:
            kept.append(override)
        elif override.is_sweep_override():
            example = "=[model.name,model.units]" if name == "zip" else ""
            raise InvalidConfigFileError(
                f"{override.input_line}: the setting mlxp.{name} has one value for the whole sweep"
                + (f"; a list is put in brackets, as in mlxp.{name}{example}" if example else "")
            )
    return kept
