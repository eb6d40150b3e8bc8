"""What a person looks at: plots, tables, and how a frame is shown."""
