"""Serving a node's callbacks until the process is told to stop."""

from __future__ import annotations

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from pcan_ros.node.stop_signals import StopSignals
from pcan_ros.node.throttle import Throttle


def spin(node: Node, stop: StopSignals) -> None:
    """Serve callbacks until a stop is wanted."""
    throttle = Throttle()
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    stop.wake_by(node.create_guard_condition(lambda: None).trigger)
    while not stop.wanted:
        try:
            executor.spin_once()
        except ValueError as error:  # rclpy's own callbacks raise for what anybody may send: a /clock below 0
            if (text := throttle.admit("refused", f"a message was refused: {error}")) is not None:
                node.get_logger().error(text)
    stop.wake_by(None)
