"""The tracker and a node of your own in one process, served by one executor.

    python3 one_process.py --ros-args -r /pcan_tracker/image:=/camera/image_raw

The network runs in the tracker's own thread and Python's lock is free meanwhile, so callbacks go on. C++
component containers load no Python: beside those the tracker is a process of its own.
"""

from __future__ import annotations

from typing import Any

from pcan_ros.node.node import TrackerNode  # isort: skip  before NumPy: it sets the threads of the libraries below

import rclpy
from pcan_ros.msg import TrackedInstanceArray
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import UInt32


class Counter(Node):
    """Publishes how many objects are in view."""

    def __init__(self, **options: Any) -> None:
        super().__init__("counter", **options)
        self._publisher = self.create_publisher(UInt32, "~/count", 10)
        self.create_subscription(TrackedInstanceArray, "/pcan_tracker/tracks", self.count, 10)

    def count(self, tracks: TrackedInstanceArray) -> None:
        """Publish the number of objects of one image."""
        self._publisher.publish(UInt32(data=len(tracks.instances)))


def spin(tracker: TrackerNode, counter: Counter) -> None:
    """Start the tracker and serve both nodes until Ctrl-C."""
    executor = SingleThreadedExecutor(context=tracker.context)
    executor.add_node(counter)
    executor.add_node(tracker)
    try:
        if tracker.autostart():  # configured and activated as a lifecycle manager would do it
            executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        tracker.close()  # waits for the image at hand


def main() -> None:
    """Run until Ctrl-C."""
    rclpy.init()
    spin(TrackerNode(), Counter())


if __name__ == "__main__":
    main()
