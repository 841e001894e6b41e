"""Tracking from Python in a few lines: `pcan_model.load("street").track("drive.mp4")`."""
