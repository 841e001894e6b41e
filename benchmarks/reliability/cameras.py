"""Cameras that send images to a node over DDS, and the counts of the node."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from builtin_interfaces.msg import Time
from pcan_ros.msg import TrackerStatus
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from support.squares import COLOURS, pixels

from pcan_ros.client.process import NodeProcess
from pcan_ros.messages import to_image

DEEP = QoSProfile(depth=1000, reliability=QoSReliabilityPolicy.RELIABLE)
IMAGES = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.RELIABLE)
TIMEOUT = 30.0  # seconds to wait for events that should be immediate
_domains = itertools.count(os.getpid() % 90 + 10)


class Cameras:
    """Publishers of images, one for each topic, and the newest status of each camera."""

    def __init__(self, topics: list[str], outputs: list[str], domain: int) -> None:
        self._context = Context()
        self._context.init(domain_id=domain)
        self.node = Node("cameras", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.topics = topics
        self.publishers = [self.node.create_publisher(Image, topic, IMAGES) for topic in topics]
        self.statuses: list[TrackerStatus | None] = [None] * len(topics)
        self.latencies: list[float] = []  # from stamp to published tracks, seconds
        for camera, output in enumerate(outputs):
            self.node.create_subscription(TrackerStatus, f"{output}/status", self._note(camera), DEEP)

    def __enter__(self) -> Cameras:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()

    def send(self, camera: int, message: Image) -> None:
        """Publish an image, stamped now."""
        seconds = time.time()
        message.header.stamp = Time(sec=int(seconds), nanosec=int(seconds % 1 * 1e9))
        self.publishers[camera].publish(message)

    def connected(self) -> bool:
        """Return whether the node subscribes to every camera."""
        return all(publisher.get_subscription_count() for publisher in self.publishers)

    def vanish(self, camera: int) -> None:
        """Remove a camera, as when its driver ends."""
        self.node.destroy_publisher(self.publishers[camera])

    def come_back(self, camera: int) -> None:
        """Add a removed camera again."""
        self.publishers[camera] = self.node.create_publisher(Image, self.topics[camera], IMAGES)

    def listen(self, seconds: float = 0.0) -> None:
        """Process received messages, and those that arrive for a duration."""
        end = time.monotonic() + seconds
        self._executor.spin_once(timeout_sec=seconds)
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=end - time.monotonic())

    def until(self, done: Callable[[], Any], patience: float = TIMEOUT) -> bool:
        """Spin until a condition holds; returns False after the timeout."""
        end = time.monotonic() + patience
        while not done() and time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.02)
        return bool(done())

    def total(self, field: str) -> int:
        """Return the sum of one count over all cameras."""
        return sum(getattr(status, field) for status in self.statuses if status is not None)

    def _note(self, camera: int) -> Callable[[TrackerStatus], None]:
        def note(status: TrackerStatus) -> None:
            self.statuses[camera] = status
            self.latencies.append(status.pipeline_latency)

        return note


@contextmanager
def running(model: Path, count: int = 1, **parameters: Any) -> Iterator[tuple[NodeProcess, Cameras]]:
    """Start the node and some cameras in their own DDS domain; yields both, connected."""
    domain = next(_domains) % 100 + 1
    topics = [f"/camera{number}/image" for number in range(count)]
    outputs = ["/pcan_tracker"] if count == 1 else [f"/pcan_tracker/camera{k}" for k in range(count)]
    given = {"model": str(model), "cameras": topics, "reliability": "reliable", "threads": 1} | parameters
    with (
        NodeProcess(given, {"ROS_DOMAIN_ID": str(domain)}) as process,
        Cameras(topics, outputs, domain) as cameras,
    ):
        if not cameras.until(lambda: cameras.connected() or not process.alive()) or not process.alive():
            raise RuntimeError(f"the node does not listen:\n{process.log()}")
        cameras.listen(0.3)
        yield process, cameras


def pictures(count: int = 24, height: int = 64, width: int = 96, encoding: str = "rgb8") -> list[Image]:
    """Return images in which a car and a person move."""
    labels = list(COLOURS)[:2]
    places = ({labels[0]: (2 + 2 * k, 10), labels[1]: (60, 5 + k)} for k in range(count))
    header = Header(frame_id="camera")
    return [to_image(pixels(place, height=height, width=width), encoding, header) for place in places]
