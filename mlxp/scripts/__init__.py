"""Reads a user's shell script, plans it, and rewrites it as the scripts of jobs."""
