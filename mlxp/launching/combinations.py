"""Expands overrides into runs: every combination of the swept values, in Hydra's order, the last key fastest.

Keys that vary together count as one, in the place of the first of them.
"""

import itertools
from collections.abc import Mapping, Sequence

from hydra.core.override_parser.types import ChoiceSweep, Override, OverrideType
from hydra.errors import CompactHydraException

from mlxp.errors import InvalidConfigFileError
from mlxp.launching.spelling import spelled_values

_ASSIGN = {OverrideType.CHANGE: "", OverrideType.ADD: "+", OverrideType.FORCE_ADD: "++"}


def combinations(
    own: Sequence[Override], given: Sequence[Override], together: Sequence[Sequence[str]] = ()
) -> list[list[str]]:
    """Return the overrides of each run.

    Parameters
    ----------
    own
        Those in the settings of the sweeper, which count unless the same key is given.
    given
        Those on the command line; if several have the same key, the last one counts.
    together
        Groups of keys whose values vary together: the first value of each, then the second of each.

    Raises
    ------
    InvalidConfigFileError
        If keys that vary together have different numbers of values.
    """
    keys = {override.key_or_group for override in given}
    effective = [("", override) for override in own if override.key_or_group not in keys] + _effective(given)
    choices = [_choices(prefix, override) for prefix, override in effective]
    axes = _axes([_name(override) for _, override in effective], choices, together)
    return [_in_order(axes, numbers) for numbers in itertools.product(*(range(len(axis[0][1])) for axis in axes))]


_Axis = list[tuple[int, list[str]]]
"""The places of some overrides among all of them, and the texts of each: as many as of any other."""


def _in_order(axes: Sequence[_Axis], numbers: Sequence[int]) -> list[str]:
    texts = {place: texts[number] for axis, number in zip(axes, numbers, strict=True) for place, texts in axis}
    return [texts[place] for place in sorted(texts)]


def _name(override: Override) -> str:
    return str(override.get_key_element()).lstrip("+~")


def _axes(names: Sequence[str], choices: Sequence[list[str]], together: Sequence[Sequence[str]]) -> list[_Axis]:
    of_place: dict[int, _Axis] = {}
    for group in together:
        places = {name: [place for place, known in enumerate(names) if known == name] for name in group}
        counts = {name: max((len(choices[place]) for place in found), default=0) for name, found in places.items()}
        if max(counts.values(), default=0) <= 1:
            continue  # none of them varies
        if len(set(counts.values())) > 1:
            raise InvalidConfigFileError(_unequal(counts))
        axis = [(place, choices[place]) for place in sorted(itertools.chain(*places.values()))]
        for place, _ in axis:
            if place in of_place:
                raise InvalidConfigFileError(
                    f"mlxp.zip names {names[place]} twice; a key varies with one list of others"
                )
            of_place[place] = axis
    axes = [of_place.get(place, [(place, texts)]) for place, texts in enumerate(choices)]
    return [axis for place, axis in enumerate(axes) if axis[0][0] == place]


def _unequal(counts: Mapping[str, int]) -> str:
    said = [f"{name} has {count or 'none'}" for name, count in counts.items()]
    return (
        f"mlxp.zip=[{','.join(counts)}] lets these keys vary together, so each needs as many values as the "
        f"others, but {', '.join(said[:-1])} and {said[-1]}"
    )


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
            f"{override.input_line}: a range of real numbers has infinitely many values; "
            "give choices, or select a sweeper that samples, such as hydra/sweeper=optuna"
        )
    return [f"{prefix}{override.get_key_element()}={value}" for value in spelled_values(override)]
