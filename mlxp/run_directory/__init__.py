"""The run directory as both the writer and the reader know it: names, files, status, artifact types."""
