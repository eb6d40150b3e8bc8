"""The schedulers that come with MLXP, a file for each: its row of the table, and how it tells a job's state."""
