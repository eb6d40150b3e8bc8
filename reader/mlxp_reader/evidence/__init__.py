"""Notes beside tables and figures that say which runs they were made from, so that each number can be verified."""
