"""The reader under the name that existing code imports it by; it lives in `mlxp_reader`."""

from mlxp_reader.frames.frame import DataFrame
from mlxp_reader.frames.groups import GroupedDataFrame
from mlxp_reader.reader import Reader

__all__ = ["DataFrame", "GroupedDataFrame", "Reader"]
