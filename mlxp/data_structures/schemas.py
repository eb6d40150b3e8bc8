"""The schemas of MLXP 1: settings are plain dicts now, and each name says so."""

from mlxp.earlier_names import removed

__all__: list[str] = []

_NAMES = "ConfigVersionManager", "ConfigGitVM", "ConfigLogger", "Info", "MLXPConfig", "Metadata"

__getattr__ = removed(**dict.fromkeys(_NAMES, "read the plain dicts ctx.mlxp and ctx.info"))
