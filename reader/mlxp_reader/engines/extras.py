"""Engines are extras, imported when they are called."""

import importlib
from typing import Any

from mlxp.errors import MLXPError


def imported(module: str, extra: str | None = None) -> Any:
    """Return the module of an engine.

    Raises
    ------
    MLXPError
        If it is not installed; the message says how to do that.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = extra or module
        raise MLXPError(f"{name} is not installed: pip install 'mlxp[{name}]'") from error
