"""Run many machine-learning experiments from plain files, and understand what came out.

Each public name is loaded on first use: importing the package loads neither Hydra nor pandas.
"""

import importlib
from typing import TYPE_CHECKING, Any

from mlxp.version import __version__ as __version__

if TYPE_CHECKING:
    from mlxp import errors
    from mlxp.config_dict import ConfigDict
    from mlxp.launcher import Context, launch
    from mlxp.logger import DefaultLogger, Logger
    from mlxp.version_manager import GitVM, VersionManager
    from mlxp_reader import DataFrame, GroupedDataFrame, Reader, numbers, statistic

__all__ = [
    "ConfigDict",
    "Context",
    "DataFrame",
    "DefaultLogger",
    "GitVM",
    "GroupedDataFrame",
    "Logger",
    "Reader",
    "VersionManager",
    "errors",
    "launch",
    "numbers",
    "statistic",
]

_HOMES = {
    "ConfigDict": "mlxp.config_dict",
    "Context": "mlxp.launcher",
    "DataFrame": "mlxp_reader.frames.frame",
    "DefaultLogger": "mlxp.logger",
    "GitVM": "mlxp.version_manager",
    "GroupedDataFrame": "mlxp_reader.frames.groups",
    "Logger": "mlxp.logger",
    "Reader": "mlxp_reader.reader",
    "VersionManager": "mlxp.version_manager",
    "launch": "mlxp.launcher",
    "numbers": "mlxp_reader.presentation.running_text",
    "statistic": "mlxp_reader.query.statistics",
}


_MODULES = {
    "config_dict",
    "data_structures",
    "enumerations",
    "errors",
    "job_state",
    "launcher",
    "logger",
    "parser",
    "reader",
    "scheduler",
    "version_manager",
}
"""The modules that need no import of their own: MLXP 1 documented ``import mlxp; mlxp.logger.Logger``."""


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"mlxp.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'mlxp' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
