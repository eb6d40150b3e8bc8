"""What is known of each run without its metrics: directories are crawled into an index."""
