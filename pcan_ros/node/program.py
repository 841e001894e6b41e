"""Runs a program of one node, from its command line to a stop signal."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from pcan_model.cli.run import run
from pcan_ros.node.stop_signals import StopSignals


def run_program(parser: ArgumentParser, make: Callable[[], Any]) -> int:
    """Run a node until it is stopped; returns the exit code. Missing packages are one line.

    parser  of the arguments that are not ROS's; its `prog` names the program
    make    returns the node, after rclpy was started
    """
    stop = StopSignals()  # before the imports, so that a signal is never lost
    return run(parser.prog, lambda _: _run(parser, make, stop))


def _run(parser: ArgumentParser, make: Callable[[], Any], stop: StopSignals) -> int:
    import rclpy
    from rclpy.signals import SignalHandlerOptions
    from rclpy.utilities import remove_ros_args

    from pcan_ros.node.spin import spin

    parser.parse_args(remove_ros_args()[1:])
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        spin(make(), stop)
    finally:
        rclpy.try_shutdown()
    return 0
