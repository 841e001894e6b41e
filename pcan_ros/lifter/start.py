"""`ros2 run pcan_ros pcan_lifter`: publishes 3D boxes of tracks, by a depth image or lidar points."""

from __future__ import annotations

import argparse
import sys

from pcan_model.cli.run import run
from pcan_ros.node.stop_signals import StopSignals

PROGRAM = "pcan_lifter"


def main() -> int:
    """Run the node until it is stopped; returns the exit code."""
    stop = StopSignals()
    return run(PROGRAM, lambda _: _run(stop))


def _run(stop: StopSignals) -> int:
    import rclpy
    from rclpy.signals import SignalHandlerOptions
    from rclpy.utilities import remove_ros_args

    from pcan_ros.lifter.node import LifterNode
    from pcan_ros.node.spin import spin

    _parser().parse_args(remove_ros_args()[1:])
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        spin(LifterNode(), stop)
    finally:
        rclpy.try_shutdown()
    return 0


def _parser() -> argparse.ArgumentParser:
    example = f"{PROGRAM} --ros-args -p points:=/velodyne_points -p camera_info:=/camera/camera_info"
    return argparse.ArgumentParser(
        PROGRAM,
        description="Publish 3D boxes of tracks from a depth image or lidar points: a ROS 2 node.",
        epilog=f"Example: {example}. All options are ROS parameters, described in config/lifter.yaml.",
    )


if __name__ == "__main__":
    sys.exit(main())
