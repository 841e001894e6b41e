#!/bin/bash
# Runs a command with ROS and the package sourced; signals reach the command itself.
set -e
source "/opt/ros/${ROS_DISTRO}/setup.bash"
source /opt/pcan/install/setup.bash
exec "$@"
