"""The ROS 2 node `pcan_lifter`: 3D boxes of tracks from a depth image or lidar points."""
