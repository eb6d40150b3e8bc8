"""Runs and their jobs: submits run directories, asks for their status, cancels them and submits them again."""
