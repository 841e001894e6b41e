"""Evaluation of trackers with the official metrics of the data sets."""
