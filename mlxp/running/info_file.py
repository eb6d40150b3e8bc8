"""info.yaml: what MLXP knows about a run, which no task can corrupt, and what the task adds to it."""

import contextlib
from pathlib import Path
from typing import Any

from mlxp.config_dict import ConfigDict
from mlxp.errors import LogDirectoryError
from mlxp.run_directory.files import overwrite, to_yaml, write_yaml
from mlxp.running.secrets import without_secrets
from mlxp.running.storable import storable

_LONG = ("packages", "environment", "code", "overrides", "logger", "git", "version_manager")
"""The keys that are left out, one after another, when the file must not grow."""


class InfoFile:
    """The content of the info.yaml of one run.

    Parameters
    ----------
    facts
        What MLXP knows.
    file
        Where to write it; None to write nothing.

    Attributes
    ----------
    shown
        The same as ``ctx.info``. What a task adds there is written, too; its changes to the facts, and deletions, are
        ignored.
    """

    def __init__(self, facts: dict[str, Any], file: Path | None) -> None:
        self.facts: dict[str, Any] = storable(facts)
        self.shown = ConfigDict(facts)
        self.file = file

    def update(self, **facts: Any) -> None:
        """Accept new facts, without writing them."""
        self.facts |= storable(facts)
        with contextlib.suppress(Exception):  # the task may have made anything of it
            for name, value in facts.items():
                self.shown[name] = value

    def write(self) -> None:
        """Write the file anew.

        Raises
        ------
        LogDirectoryError
            If it cannot be written, not even in a shorter form in its place.
        """
        if self.file is None:
            return
        try:
            write_yaml(self.file, without_secrets({**self.facts, **self._added()}))
        except LogDirectoryError:
            if not self._write_in_place(self.file):
                raise

    def _added(self) -> dict[Any, Any]:
        try:
            added = {key: value for key, value in dict.items(self.shown) if key not in self.facts}
        except Exception:  # noqa: BLE001 - another thread may be changing it
            return {}
        copy: dict[Any, Any] = storable(added)
        return {key: value for key, value in copy.items() if key not in self.facts}

    def _write_in_place(self, file: Path) -> bool:
        """Write as much as fits where the file was, since a full disk has no room for another file."""
        end = self.facts.get("exit") or {}
        short = without_secrets(self.facts) | {"exit": without_secrets({**end, "traceback": None})}
        if overwrite(file, to_yaml(short)):
            return True
        for name in _LONG:
            short.pop(name, None)
            if overwrite(file, to_yaml(short)):
                return True
        words = short["exit"] | {"reason": str(short["exit"].get("reason"))[:80]}
        return any(overwrite(file, to_yaml({**short, "exit": said})) for said in (words, None))
