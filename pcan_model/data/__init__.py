"""Clips of labelled frames (read or generated), and the augmented pairs that training sees."""
