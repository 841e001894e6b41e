"""Data structures, configuration, geometry and masks shared by all packages; NumPy only."""
