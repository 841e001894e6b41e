"""Synthetic drives: streets rendered from a seed, with exact masks and persistent ids."""
