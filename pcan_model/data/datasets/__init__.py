"""Data sets on disk, opened as clips."""
