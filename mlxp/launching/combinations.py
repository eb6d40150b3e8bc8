"""Expands overrides into runs: every combination of the swept values, in Hydra's order, the last key fastest."""

import itertools
from collections.abc import Sequence

from hydra.core.override_parser.types import ChoiceSweep, Override, OverrideType
from hydra.errors import CompactHydraException

from mlxp.launching.spelling import spelled_values

_ASSIGN = {OverrideType.CHANGE: "", OverrideType.ADD: "+", OverrideType.FORCE_ADD: "++"}


def combinations(own: Sequence[Override], given: Sequence[Override]) -> list[list[str]]:
    """Return the overrides of each run.

    Parameters
    ----------
    own
        Those in the settings of the sweeper, which count unless the same key is given.
    given
        Those on the command line; if several have the same key, the last one counts.
    """
    keys = {override.key_or_group for override in given}
    effective = [("", override) for override in own if override.key_or_group not in keys] + _effective(given)
    return [list(run) for run in itertools.product(*(_choices(prefix, override) for prefix, override in effective))]


def _effective(given: Sequence[Override]) -> list[tuple[str, Override]]:
    """Return the overrides without those that a later one makes pointless, which would only produce equal runs.

    Each comes with the plus signs that it needs if it replaces an earlier one that added the key.
    """
    kept: list[tuple[str, Override]] = []
    for override in given:
        replaced = [pair for pair in kept if _replaces(override, pair[1])]
        kept = [pair for pair in kept if pair not in replaced]
        added = [prefix or _ASSIGN[earlier.type] for prefix, earlier in replaced]
        if not (override.is_delete() and any(added)):  # what was added and is deleted was never there
            kept.append((max(added, default="") if override.type is OverrideType.CHANGE else "", override))
    return kept


def _replaces(later: Override, earlier: Override) -> bool:
    """Whether a later override leaves nothing of an earlier one; if neither is a sweep, Hydra handles that."""
    is_same = (later.key_or_group, later.package) == (earlier.key_or_group, earlier.package)
    is_sweep = later.is_sweep_override() or earlier.is_sweep_override()
    if not (is_same and is_sweep) or earlier.type not in _ASSIGN:
        return False
    if later.is_delete():
        return later.value_type is None
    # Adding what already exists is an error; a mapping is merged into what exists.
    return later.type in {OverrideType.CHANGE, OverrideType.FORCE_ADD} and not _has_mappings(later)


def _has_mappings(override: Override) -> bool:
    value = override.value()
    return any(isinstance(one, dict) for one in (value.list if isinstance(value, ChoiceSweep) else [value]))


def _choices(prefix: str, override: Override) -> list[str]:
    if not override.is_sweep_override():
        # Taken literally: printed anew, '~seed' would become '~seed=null', which Hydra 1.4 refuses.
        return [f"{prefix}{override.input_line}"]
    if not override.is_discrete_sweep():
        raise CompactHydraException(
            f"{override.input_line}: a range of real numbers has endlessly many values; "
            "give choices, or select a sweeper that samples, such as hydra/sweeper=optuna"
        )
    return [f"{prefix}{override.get_key_element()}={value}" for value in spelled_values(override)]
