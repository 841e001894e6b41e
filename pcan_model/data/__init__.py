"""Clips of frames from data sets, videos and bags, and augmented training pairs."""
