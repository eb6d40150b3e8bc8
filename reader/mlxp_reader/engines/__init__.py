"""Metrics for other engines: files of the cache, and how Polars, DuckDB, Arrow, Dask and pandas take them."""
