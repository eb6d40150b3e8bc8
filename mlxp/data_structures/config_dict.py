"""ConfigDict under the name that existing code imports it by; it lives in `mlxp.config_dict`."""

from mlxp.config_dict import ConfigDict
from mlxp.earlier_names import removed

__all__ = ["ConfigDict"]

__getattr__ = removed(convert_dict="write mlxp.ConfigDict(values), and to_dict() for the way back")
