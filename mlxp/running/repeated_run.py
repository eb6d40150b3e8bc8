"""What a rerun knows about the run that it repeats: which it is, and which configuration it had.

The program composes its configuration again. The environment and the user's resolvers take part in that, so it may come
out differently. A rerun takes the values that they gave to the run, and is refused if the configuration differs all the
same. Values that belong to one process, such as the time, are new.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from mlxp.run_directory.files import to_yaml
from mlxp.run_directory.layout import RunDirectory
from mlxp.running.copies import current_copy
from mlxp.running.recorded_configuration import ChangedConfigurationError, changes_in, keys_of_the_process
from mlxp.running.secrets import MASK

if TYPE_CHECKING:
    from omegaconf import DictConfig

RERUN_OF: Final = "MLXP_RERUN_OF"
"""Environment variable that holds the directory of the run that is repeated; the new run is beside it."""

_RESOLVER: Final = re.compile(r"(?<!\\)\$\{\s*[\w.]+\s*:")
_VARIABLE: Final = re.compile(r"\$\{\s*oc\.env\s*:[^${}]*\}")
_EXPORTED: Final = re.compile(r"/|<\w+>")
"""What an export may have put in the place of something else."""


class RepeatedRun:
    """The run that this process repeats.

    Parameters
    ----------
    directory
        Its directory.
    overrides
        The overrides of the rerun; those that the run did not have are meant to change the configuration.

    Attributes
    ----------
    code
        What the rerun cannot find out about the code in a copy: its commit, its state, and which files that lacks.
    """

    def __init__(self, directory: RunDirectory, overrides: Sequence[str]) -> None:
        info = directory.info()
        given = info.get("overrides") or []
        self.directory = directory
        code = info.get("code") or {}
        self.code = {**(info.get("git") or {}), "state": code.get("state"), "left_out": code.get("left_out") or []}
        self._new = {_key(one) for one in overrides if one not in given and not _key(one).startswith("mlxp.")}
        self._is_exported = not os.path.isabs(str(code.get("top") or "/"))  # noqa: PTH117

    def composed(self, composed: "DictConfig") -> "DictConfig":
        """Return a composed configuration with the recorded values where resolvers might give others."""
        from omegaconf import OmegaConf, flag_override
        from omegaconf.errors import OmegaConfBaseException

        config: Any = composed.copy()
        written: Any = OmegaConf.to_container(config)
        written = {key: value for key, value in written.items() if key not in ("mlxp", "hydra")}
        late = keys_of_the_process(written)
        with flag_override(config, ["readonly", "struct"], [False, False]):
            for node, key, name, value in self._recorded(config, written, self.directory.config()):
                if name not in late:
                    with contextlib.suppress(OmegaConfBaseException):  # of another type: `check_same` tells of it
                        node[key] = value
        return config  # type: ignore[no-any-return]

    def _recorded(
        self, node: Any, written: Any, recorded: Any, prefix: str = ""
    ) -> Iterator[tuple[Any, Any, str, Any]]:
        """Yield the values to take: the node and the key that they belong to, their full name, and the value."""
        for key, text in written.items() if isinstance(written, dict) else enumerate(written):
            name = f"{prefix}{key}"
            value = _item(recorded, key)
            if isinstance(text, dict | list):
                yield from self._recorded(node[key], text, value, f"{name}.")
            elif value is not None and self._depends(name, text) and self._is_told(value):
                copy = current_copy()
                yield node, key, name, copy.moved(value) if copy is not None and isinstance(value, str) else value

    def _depends(self, name: str, text: Any) -> bool:
        """Tell whether a value may come out differently, though nothing that it depends on is meant to change."""
        if not isinstance(text, str) or not _RESOLVER.search(text):
            return False
        # With other overrides, most resolvers may be meant to give another value.
        is_new = any(name == one or name.startswith(f"{one}.") for one in self._new)
        return not self._new or not (is_new or "${" in _VARIABLE.sub("", text))

    def _is_told(self, value: Any) -> bool:
        """Tell whether a recorded value is what the run had: it is no secret, and no export has changed it."""
        text = f"{value}"
        return MASK not in text and "${" not in text and not (self._is_exported and _EXPORTED.search(text))

    def check_same(self, config: Any, written: Any) -> None:
        """Check that a rerun without other overrides has the configuration of the run.

        Parameters
        ----------
        config, written
            The configuration of the rerun as it is recorded, and with its interpolations.

        Raises
        ------
        ChangedConfigurationError
            If it has another one.
        """
        if self._new or not self.directory.config_file.is_file():
            return
        recorded, now = (self._comparable(one) for one in (self.directory.config(), yaml.safe_load(to_yaml(config))))
        changes = changes_in(recorded, now, keys_of_the_process(written))
        if changes:
            log_id = self.directory.log_id
            raise ChangedConfigurationError(
                f"the configuration is not that of run {log_id}: {changes}. Nothing was run. To rerun it with another "
                f"configuration, say which values to change, as in mlxp rerun {log_id} seed=1",
                changes,
            )

    def _comparable(self, value: Any) -> Any:
        """Return a configuration in which the code and its copy are one place, and which masks what is unknown."""
        if isinstance(value, dict):
            return {key: self._comparable(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._comparable(one) for one in value]
        if not isinstance(value, str):
            return value
        copy = current_copy()
        if not self._is_told(value):
            return MASK
        return value.replace(str(copy.path), str(copy.of)) if copy is not None else value


def repeated_run(overrides: Sequence[str]) -> RepeatedRun | None:
    """Return the run that this process repeats, which started with these overrides; None if it repeats none."""
    path = Path(os.environ.get(RERUN_OF, ""))
    return RepeatedRun(RunDirectory(path), overrides) if path.name.isdigit() and path.is_dir() else None


def taken_rerun_of() -> int | None:
    """Return the id of the run that this one reruns, but only once: what the program starts in turn is not a rerun."""
    name = Path(os.environ.pop(RERUN_OF, "")).name
    return int(name) if name.isdigit() else None


def _key(override: str) -> str:
    """Return the full name of what an override changes; of a group, that of the part which it puts in.

    Examples
    --------
    >>> _key("+lr=1"), _key("db/server=mine"), _key("db/server@backup=mine"), _key("~lr")
    ('lr', 'db.server', 'backup', 'lr')
    """
    group, _, package = override.lstrip("+~").partition("=")[0].partition("@")
    return package or group.replace("/", ".")


def _item(node: Any, key: Any) -> Any:
    if isinstance(node, dict):
        return node.get(key)
    return node[key] if isinstance(node, list) and isinstance(key, int) and key < len(node) else None
