"""One run from the inside: its settings and configuration, its process, and how it ends."""
