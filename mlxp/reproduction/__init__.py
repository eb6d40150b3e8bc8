"""Reruns: copies of the code as it was, and proof that a second run gave the same results."""
