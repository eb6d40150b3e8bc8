"""The columns of a frame: metrics and artifacts that load when touched, and values of mixed types."""
