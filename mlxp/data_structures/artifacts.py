"""What a reader returns for an artifact, under the name that existing code imports it by; it lives in `mlxp_reader`."""

from mlxp_reader.columns.artifacts import Artifact

__all__ = ["Artifact"]
