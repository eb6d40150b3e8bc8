"""Where the configuration of a task lies; what is missing there is created, and wrong names in mlxp.yaml are named."""

import contextlib
import os
from pathlib import Path
from typing import Any

from mlxp.errors import InvalidConfigFileError
from mlxp.launching.arguments import Arguments
from mlxp.running.configuration import Program


class ConfigDirectory:
    """Where a task's configuration lies: a directory, relative to the task's file, or ``pkg://`` and a package."""

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
        """The place as Hydra takes it: an absolute path, or ``pkg://`` and a package."""
        # Absolute, since Hydra takes a relative one as a package's when the task is defined in an imported module.
        return self.path if self.package is not None else os.path.normpath(self.program.directory / self.path)

    def directories(self, arguments: Arguments | None) -> list[Path]:
        """Return the directories that configurations come from, after creating what is missing of the task's own."""
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

    # Where nothing may be written, Hydra says what it misses.
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
