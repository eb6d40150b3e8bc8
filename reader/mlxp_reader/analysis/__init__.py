"""What is computed from runs: curves, history, groups over seeds, and their statistics."""
