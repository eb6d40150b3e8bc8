"""ConfigDict under the name that existing code imports it by; it lives in `mlxp.config_dict`."""

from mlxp.config_dict import ConfigDict

__all__ = ["ConfigDict"]
