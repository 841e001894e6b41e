"""PCAN as in its authors' code, where it differs from the paper."""
