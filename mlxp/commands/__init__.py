"""The commands that a person types, ``mlxp`` and ``mlxpsub``, with their output and shell completion."""
