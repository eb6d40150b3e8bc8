"""A user's shell script: it is read, planned, and written again as the scripts of jobs."""
