"""The frames under the name that existing code imports them by; they live in `mlxp_reader`."""

from mlxp_reader.frames.frame import DataFrame
from mlxp_reader.frames.groups import GroupedDataFrame

__all__ = ["DataFrame", "GroupedDataFrame"]
