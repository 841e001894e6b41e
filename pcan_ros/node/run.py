"""Main program of the tracker node."""

from __future__ import annotations

import pcan_model.inference.blas  # noqa: F401  before NumPy is loaded

# isort: split
import argparse
import sys

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from pcan_ros.node.node import TrackerNode
from pcan_ros.node.parameter_file import check_assignments
from pcan_ros.node.spin import spin
from pcan_ros.node.stop_signals import StopSignals


def run_node(stop: StopSignals) -> int:
    """Run the node until it is stopped; returns the exit code, 1 if it cannot start."""
    try:
        check_assignments(sys.argv)
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        _parser().parse_args(remove_ros_args()[1:])
        node = TrackerNode()
    except (
        ValueError,
        ParameterException,
        RuntimeError,
    ) as error:  # RuntimeError: rcl's, for invalid --ros-args
        rclpy.try_shutdown()
        print(f"pcan_tracker: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    try:
        node.stopped = lambda: stop.requested
        started = not node.parameters.settings.autostart or node.autostart() or stop.requested
        if started:
            spin(node, stop)
    finally:
        node.close()
        rclpy.try_shutdown()
    return 0 if started else 1


def _parser() -> argparse.ArgumentParser:
    example = "pcan_tracker --ros-args -p cameras:=\"['/camera/image_raw']\" -p tracker.init_score:=0.6"
    return argparse.ArgumentParser(
        "pcan_tracker",
        description="Track and segment objects in camera images: a ROS 2 lifecycle node.",
        epilog=f"Example: {example}. All options are ROS parameters, described in config/tracker.yaml.",
    )
