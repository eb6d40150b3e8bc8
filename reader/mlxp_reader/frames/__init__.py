"""The pandas classes that users hold: frames of runs and groups of them, with MLXP's verbs."""
