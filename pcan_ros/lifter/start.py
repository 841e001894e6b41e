"""`ros2 run pcan_ros pcan_lifter`: publishes 3D boxes of tracks, by a depth image or lidar points."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from pcan_ros.node.program import run_program

PROGRAM = "pcan_lifter"


def main() -> int:
    """Run the node until it is stopped; returns the exit code."""
    return run_program(_parser(), _make)


def _make() -> Any:
    from pcan_ros.lifter.node import LifterNode

    return LifterNode()


def _parser() -> argparse.ArgumentParser:
    example = f"{PROGRAM} --ros-args -p points:=/velodyne_points -p camera_info:=/camera/camera_info"
    return argparse.ArgumentParser(
        PROGRAM,
        description="Publish 3D boxes of tracks from a depth image or lidar points: a ROS 2 node.",
        epilog=f"Example: {example}. All options are ROS parameters, described in config/lifter.yaml.",
    )


if __name__ == "__main__":
    sys.exit(main())
