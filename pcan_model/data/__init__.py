"""Clips of frames from data sets, videos and bags, and the augmented pairs that training sees."""
