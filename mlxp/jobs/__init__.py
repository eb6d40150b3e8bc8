"""Runs and their jobs: run directories are submitted, asked after, cancelled and submitted again."""
