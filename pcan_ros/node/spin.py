"""Runs a node's callbacks until the process is stopped."""

from __future__ import annotations

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from pcan_ros.node.stop_signals import StopSignals
from pcan_ros.node.throttle import Throttle


def spin(node: Node, stop: StopSignals) -> None:
    """Run callbacks until a stop signal."""
    throttle = Throttle()
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    stop.on_request(node.create_guard_condition(lambda: None).trigger)
    while not stop.requested:
        try:
            executor.spin_once()
        except ValueError as error:  # rclpy's own callbacks raise for some messages: a negative /clock
            if (text := throttle.admit("refused", f"a message was rejected: {error}")) is not None:
                node.get_logger().error(text)
    stop.on_request(None)
