"""Metrics on disk: JSON lines are parsed, and cached as Parquet."""
