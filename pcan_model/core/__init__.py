"""What every room shares: the records, the configuration, geometry and masks. NumPy only."""
