"""Read what runs left behind: a directory of runs is a lazily loaded pandas DataFrame.

Each public name is loaded on first use, since a worker that only crawls directories needs no pandas.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlxp_reader.frames.frame import DataFrame
    from mlxp_reader.frames.groups import GroupedDataFrame
    from mlxp_reader.presentation.running_text import numbers
    from mlxp_reader.query.statistics import statistic
    from mlxp_reader.reader import Reader

__all__ = ["DataFrame", "GroupedDataFrame", "Reader", "numbers", "statistic"]

_HOMES = {
    "DataFrame": "mlxp_reader.frames.frame",
    "GroupedDataFrame": "mlxp_reader.frames.groups",
    "Reader": "mlxp_reader.reader",
    "numbers": "mlxp_reader.presentation.running_text",
    "statistic": "mlxp_reader.query.statistics",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mlxp_reader' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
