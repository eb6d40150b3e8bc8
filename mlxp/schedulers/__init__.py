"""The schedulers that come with MLXP, one file each: its row of the table, and how to read a job's state."""
