"""The frames under the name that existing code imports them by; they live in `mlxp_reader`."""

from mlxp.earlier_names import removed
from mlxp_reader.frames.frame import DataFrame
from mlxp_reader.frames.groups import GroupedDataFrame

__all__ = ["DataFrame", "GroupedDataFrame"]

__getattr__ = removed(DataDict="a run is a pandas.Series, which runs[0] returns; dict(runs[0]) makes a dict of it")
