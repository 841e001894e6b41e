"""Intermediate results under their recorded names, to compare with the released code."""
