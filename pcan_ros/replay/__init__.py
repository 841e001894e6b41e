"""Recorded drives: clips, bags, and playing them to a node."""
