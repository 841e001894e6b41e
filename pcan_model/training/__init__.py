"""Losses, targets, and the training of the paper's form."""
