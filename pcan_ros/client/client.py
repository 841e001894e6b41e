"""A client of the node: sends images over DDS and waits for the tracks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image

from pcan_model.core.errors import UserError
from pcan_ros.msg import TrackedInstanceArray, TrackerStatus

DISCOVERY_DELAY = 0.2  # seconds until the node has discovered the client, too
OUTPUT_QOS = QoSProfile(depth=100, reliability=QoSReliabilityPolicy.RELIABLE)


class ClientError(UserError, RuntimeError):
    """The node was not found, or has ended."""


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    """The tracks received for one image."""

    message: TrackedInstanceArray
    raw: bytes  # the serialised message
    time: float  # monotonic time of arrival, seconds


class Client:
    """Sends images of one camera to a node, collects tracks and status; spins in the caller's thread."""

    def __init__(
        self,
        *,
        image_topic: str = "/pcan_tracker/image",
        outputs: str = "/pcan_tracker",
        compressed: bool = False,
        reliable: bool = True,
        domain: int | None = None,
    ) -> None:
        self._context = Context()
        self._context.init(domain_id=domain)
        self.node = Node("pcan_client", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.replies: list[Reply] = []
        self.statuses: list[TrackerStatus] = []
        policy = QoSReliabilityPolicy.RELIABLE if reliable else QoSReliabilityPolicy.BEST_EFFORT
        kind, topic = (CompressedImage, f"{image_topic}/compressed") if compressed else (Image, image_topic)
        self._images = self.node.create_publisher(kind, topic, QoSProfile(depth=5, reliability=policy))
        self._tracks_topic = f"{outputs}/tracks"
        self.node.create_subscription(
            TrackedInstanceArray, self._tracks_topic, self._on_tracks, OUTPUT_QOS, raw=True
        )
        self.node.create_subscription(TrackerStatus, f"{outputs}/status", self.statuses.append, OUTPUT_QOS)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()

    def wait(self, done: Callable[[], Any], timeout: float, alive: Callable[[], bool] = lambda: True) -> bool:
        """Spin until `done`; returns False after the timeout, raises ClientError if the node has ended."""
        end = time.monotonic() + timeout
        while not done():
            if not alive():
                raise ClientError("the node has ended")
            left = end - time.monotonic()
            if left < 0:
                return False
            self._executor.spin_once(timeout_sec=min(0.05, left))
        return True

    def find_node(self, timeout: float, alive: Callable[[], bool] = lambda: True) -> None:
        """Wait until the node subscribes to the images and offers tracks; ClientError after the timeout."""
        if not self.wait(self._connected, timeout, alive):
            raise ClientError(
                f"no subscriber to {self._images.topic_name} after {timeout:.0f} s: is the node active?"
            )
        self.idle(DISCOVERY_DELAY)

    def idle(self, duration: float) -> None:
        """Spin for a duration in seconds."""
        self.wait(lambda: False, duration)

    def send(self, message: Any) -> float:
        """Publish an image, as a message or serialised; returns the monotonic time in seconds."""
        now = time.monotonic()
        self._images.publish(message)
        return now

    def exchange(
        self, message: Any, timeout: float, alive: Callable[[], bool] = lambda: True
    ) -> Reply | None:
        """Publish an image and wait for its tracks; returns None after the timeout."""
        before = len(self.replies)
        self.send(message)
        self.wait(lambda: len(self.replies) > before, timeout, alive)
        return self.replies[before] if len(self.replies) > before else None

    def _connected(self) -> bool:
        return bool(self._images.get_subscription_count() and self.node.count_publishers(self._tracks_topic))

    def _on_tracks(self, raw: bytes) -> None:
        now = time.monotonic()
        self.replies.append(Reply(deserialize_message(raw, TrackedInstanceArray), raw, now))
