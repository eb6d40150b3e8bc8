"""What is known about each run apart from its metrics: run directories are crawled into an index."""
