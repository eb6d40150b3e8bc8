"""The data structures under the names that existing code, and checkpoints of MLXP 1, import them by."""
