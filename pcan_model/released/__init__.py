"""PCAN as its authors released it: what differs from the paper's form, and nothing else."""
