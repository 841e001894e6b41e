"""One-stage PCAN: the paper's modules on a detector that needs no proposals."""
