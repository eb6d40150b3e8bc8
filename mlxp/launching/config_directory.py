"""Finds the configuration of a task, creates what is missing there, and reports wrong names in mlxp.yaml."""

import contextlib
import os
from pathlib import Path
from typing import Any

from mlxp.errors import InvalidConfigFileError
from mlxp.launching.arguments import Arguments
from mlxp.running.configuration import Program
from mlxp.running.copies import current_copy


class ConfigDirectory:
    """The place of a task's configuration: a directory, relative to the task's file, or ``pkg://`` and a package."""

    def __init__(self, program: Program, config_path: str) -> None:
        self.program = program
        self.path = os.path.expanduser(config_path)  # noqa: PTH111 - it may be pkg://package, which is no path

    @property
    def package(self) -> str | None:
        """The Python package that holds the configuration; None if a directory does."""
        prefix = "pkg://"
        return self.path.removeprefix(prefix).replace("/", ".") if self.path.startswith(prefix) else None

    @property
    def hydra_path(self) -> str:
        """The place in the form that Hydra takes: an absolute path, or ``pkg://`` and a package."""
        # Absolute, since Hydra looks for a relative path in a package when the task is defined in an imported module.
        if self.package is not None:
            return self.path
        path, copy = os.path.normpath(self.program.directory / self.path), current_copy()
        return copy.moved(path) if copy is not None else path

    def directories(self, arguments: Arguments | None) -> list[Path]:
        """Return the directories of configurations, after creating what is missing in the task's own."""
        from mlxp.running.settings import check_names

        options = arguments.option if arguments is not None else lambda _: None
        others = [Path(path).absolute() for name in ("config_path", "config_dir") if (path := options(name))]
        own = [Path(self.hydra_path)] if self.package is None and not options("config_path") else []
        for directory in own:
            needs_file = not options("config_name") and not any((other / "config.yaml").exists() for other in others)
            _create_config(directory, with_file=needs_file)
        for directory in own + others:
            if (directory / "mlxp.yaml").is_file():
                check_names(_unresolved(directory / "mlxp.yaml"), where=str(directory / "mlxp.yaml"))
        return own + others


def _create_config(directory: Path, *, with_file: bool) -> None:
    from hydra.core.config_store import ConfigStore

    # If nothing may be written there, Hydra says what is missing.
    with contextlib.suppress(OSError):
        directory.mkdir(parents=True, exist_ok=True)
        if with_file and "config.yaml" not in ConfigStore.instance().repo:
            (directory / "config.yaml").touch()


def _unresolved(file: Path) -> Any:
    from omegaconf import OmegaConf
    from yaml import YAMLError

    try:
        return OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    except YAMLError as error:
        raise InvalidConfigFileError(f"{file} is not valid YAML: {error}") from error
