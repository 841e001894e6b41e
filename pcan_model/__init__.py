"""PCAN: prototypical cross-attention networks for tracking and segmentation; knows no ROS."""

import os

# OpenCV reads it when it is loaded: without it an image of some kilobytes may unpack to 3 GB.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 28))
