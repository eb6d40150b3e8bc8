"""The version of MLXP, where the build and every module can read it."""

__version__ = "2.0.0.dev0"
