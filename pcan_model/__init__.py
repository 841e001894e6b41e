"""PCAN: prototypical cross-attention networks for tracking and segmentation; knows no ROS."""
