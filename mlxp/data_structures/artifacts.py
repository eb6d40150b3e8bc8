"""Artifacts under the names that existing code, and what MLXP 1 has pickled, import them by; they live elsewhere."""

from mlxp.earlier_names import removed
from mlxp.run_directory.artifact_types import ARTIFACT_TYPES
from mlxp_reader.columns.artifacts import Artifact

__all__ = ["Artifact"]

# A logger of MLXP 1 holds these functions, and so does every checkpoint that holds the logger.
_save_pickle, _load_pickle = ARTIFACT_TYPES["pickle"].save, ARTIFACT_TYPES["pickle"].load
_save_numpy, _load_numpy = ARTIFACT_TYPES["numpy"].save, ARTIFACT_TYPES["numpy"].load
_save_torch, _load_torch = ARTIFACT_TYPES["torch"].save, ARTIFACT_TYPES["torch"].load
_save_image, _load_image = ARTIFACT_TYPES["image"].save, ARTIFACT_TYPES["image"].load

__getattr__ = removed(Artifact_types="write ctx.logger.register_artifact_type(name, save, load)")
