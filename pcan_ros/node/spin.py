"""Serving a node's callbacks until the process is told to stop."""

from __future__ import annotations

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from pcan_ros.node.stop_signals import StopSignals


def spin(node: Node, stop: StopSignals) -> None:
    """Serve callbacks until a stop is wanted."""
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    stop.wake_by(node.create_guard_condition(lambda: None).trigger)
    while not stop.wanted:
        executor.spin_once()
    stop.wake_by(None)
