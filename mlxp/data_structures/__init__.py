"""The data structures under the names that existing code, and checkpoints of MLXP 1, import them by."""

import importlib
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    if name not in {"artifacts", "config_dict", "dataframe", "schemas"}:
        raise AttributeError(f"module 'mlxp.data_structures' has no attribute '{name}'")
    return importlib.import_module(f"mlxp.data_structures.{name}")
