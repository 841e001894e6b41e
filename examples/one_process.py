"""The tracker and your own node in one process, with one executor.

    python3 one_process.py --ros-args -r /pcan_tracker/image:=/camera/image_raw

The network runs in a thread of the tracker and releases Python's GIL, so callbacks continue to run. C++
component containers cannot load Python nodes; next to them the tracker needs its own process.
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
    """Start the tracker and spin both nodes until Ctrl-C."""
    executor = SingleThreadedExecutor(context=tracker.context)
    executor.add_node(counter)
    executor.add_node(tracker)
    try:
        if tracker.autostart():  # configured and activated as a lifecycle manager would do it
            executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        tracker.close()  # waits for the image being processed


def main() -> None:
    """Run until Ctrl-C."""
    rclpy.init()
    spin(TrackerNode(), Counter())


if __name__ == "__main__":
    main()
