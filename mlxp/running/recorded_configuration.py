"""Makes sure that a job runs the configuration that was checked and recorded when it was submitted.

The program composes its configuration again when the job starts, which may be days later. Values that only the job
knows may differ: those from the clock, from Hydra itself, and from the scheduler's variables.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from mlxp.errors import MLXPError
from mlxp.run_directory.files import to_yaml
from mlxp.run_directory.layout import RunDirectory
from mlxp.running.secrets import MASK

CHANGED = "CONFIGURATION_CHANGED"
"""The recorded reason when a run is refused at its start."""

_SHOWN = 5
"""The largest number of changed keys that is shown."""

_OF_THE_PROCESS = re.compile(
    r"\$\{\s*(now|hydra)\s*:|\$\{\s*oc\.env\s*:\s*(SLURM|SGE_|PBS_|OAR_|LSB_|MOAB|JOB_ID|NSLOTS|CUDA_|TMP|HOST|PWD|OMP_)"
)
"""Interpolations whose values belong to one process."""


_LONGEST = 60
"""The number of characters of a value, and of a key, that are shown."""


class ChangedConfigurationError(MLXPError, ValueError):
    """The configuration of a submitted run is not the one that was recorded.

    Attributes
    ----------
    changes
        The keys that differ, with their values; cut off if there are many.
    """

    def __init__(self, message: str, changes: str) -> None:
        super().__init__(message)
        self.changes = changes


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values in a configuration with their full names.

    Examples
    --------
    >>> dict(flat({"lr": 1, "data": {"sizes": [2, 3], "more": {}}}))
    {'lr': 1, 'data.sizes.0': 2, 'data.sizes.1': 3, 'data.more': {}}
    """
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if prefix and not items:
        yield prefix.removesuffix("."), value
    for key, inner in items:
        yield from flat(inner, f"{prefix}{key}.") if isinstance(inner, dict | list) else [(f"{prefix}{key}", inner)]


def keys_of_the_process(raw: Mapping[str, Any]) -> set[str]:
    """Return the keys whose values belong to one process, from a configuration with its interpolations.

    Examples
    --------
    >>> raw = {"day": "${now:%d}", "name": "a-${day}", "lr": "${base.lr}", "base": {"lr": 1}}
    >>> sorted(keys_of_the_process(raw))
    ['day', 'name']
    """
    texts = {key: value for key, value in flat(raw) if isinstance(value, str) and "${" in value}
    found = {key for key, text in texts.items() if _OF_THE_PROCESS.search(text)}
    while new := {key for key, text in texts.items() if key not in found and _mentions(text, found)}:
        found |= new
    return found


def _mentions(text: str, keys: set[str]) -> bool:
    names = re.findall(r"\$\{\s*\.*([\w.]+)\s*\}", text)
    return any(
        name == key.rpartition(".")[2] or name == key or key.startswith(f"{name}.") for name in names for key in keys
    )


def fixed_values(config: Any, late: Iterable[str]) -> dict[str, str]:
    """Return what must not change: the values as text, by their full names, without those of the `late` keys."""
    free = tuple(late)
    return {
        key: repr(value)
        for key, value in flat(config)
        if not any(key == one or key.startswith(f"{one}.") for one in free)
    }


def identity(config: str, late: Iterable[str]) -> str:
    """Return a text that is the same for all configurations, given as YAML, that differ only in the `late` keys."""
    return repr(sorted(fixed_values(yaml.safe_load(config), late).items()))


def check_unchanged(directory: RunDirectory, config: Any) -> None:
    """Check that the configuration of a submitted run is the recorded one; do nothing for other runs.

    Raises
    ------
    ChangedConfigurationError
        If it differs, and the change was not accepted when the run was submitted again.
    """
    submission = directory.submission()
    if not submission or submission.get("accept_changes") or not directory.config_file.exists():
        return
    late = [str(key) for key in submission.get("late") or []]
    changes = changes_in(directory.config(), yaml.safe_load(to_yaml(config)), late)
    if changes:
        raise ChangedConfigurationError(
            f"the configuration of run {directory.log_id} has changed since it was submitted: {changes}. It was not "
            "run. Change it back and resubmit the run, or take the new values with `mlxp resubmit --accept-changes`; "
            "with mlxpsub --frozen, or mlxp.use_version_manager=true, jobs use a copy of the code that nobody changes",
            changes,
        )


def changes_in(recorded: Any, now: Any, late: Iterable[str]) -> str:
    """Return which values of a configuration differ from the recorded ones, as a text; empty if none does.

    Examples
    --------
    >>> changes_in({"lr": 1, "day": 3}, {"lr": 2, "day": 4}, late=["day"])
    'lr was 1, is 2'
    """
    late = tuple(late)
    then, current = fixed_values(recorded, late), fixed_values(now, late)
    both = {key: (then.get(key), current.get(key)) for key in {*then, *current}}
    # Which values are secret depends on the variables of the process; what is masked cannot be compared.
    changed = sorted(key for key, values in both.items() if values[0] != values[1] and MASK not in f"{values}")
    return _shown(changed, then, current)


def _shown(keys: list[str], recorded: dict[str, str], now: dict[str, str]) -> str:
    shown = ", ".join(
        f"{_cut(key)} was {_cut(recorded.get(key, 'not there'))}, is {_cut(now.get(key, 'not there'))}"
        for key in keys[:_SHOWN]
    )
    return shown + (f", and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else "")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
