"""Lifting of tracks to 3D boxes by depth images or lidar points; NumPy and OpenCV only."""
