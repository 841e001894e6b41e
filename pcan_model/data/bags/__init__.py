"""Reading and writing of rosbag2 without ROS."""
