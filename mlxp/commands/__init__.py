"""What a person types: the commands ``mlxp`` and ``mlxpsub``, their output, and completion in a shell."""
