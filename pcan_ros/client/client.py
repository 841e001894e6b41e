"""The other side of the node: sends it images over DDS and waits for what it answers."""

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

SETTLE = 0.2  # seconds after discovery that the other side may need to know of us
ANSWERS = QoSProfile(depth=100, reliability=QoSReliabilityPolicy.RELIABLE)


class ClientError(UserError, RuntimeError):
    """The node is not there, or went away."""


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    """What came back for one image."""

    message: TrackedInstanceArray
    raw: bytes  # the message as it came over the wire
    time: float  # monotonic time of arrival, seconds


class Client:
    """Sends images to one camera of a node and collects tracks and status; spins in the caller's thread."""

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
        self.answers: list[Reply] = []
        self.statuses: list[TrackerStatus] = []
        policy = QoSReliabilityPolicy.RELIABLE if reliable else QoSReliabilityPolicy.BEST_EFFORT
        kind, topic = (CompressedImage, f"{image_topic}/compressed") if compressed else (Image, image_topic)
        self._images = self.node.create_publisher(kind, topic, QoSProfile(depth=5, reliability=policy))
        self._tracks_topic = f"{outputs}/tracks"
        self.node.create_subscription(
            TrackedInstanceArray, self._tracks_topic, self._on_tracks, ANSWERS, raw=True
        )
        self.node.create_subscription(TrackerStatus, f"{outputs}/status", self.statuses.append, ANSWERS)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()

    def wait(self, done: Callable[[], Any], timeout: float, alive: Callable[[], bool] = lambda: True) -> bool:
        """Spin until `done`; False after the timeout, ClientError when the node is not alive any more."""
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
        """Wait until the node listens to the images and offers tracks; ClientError when it does not."""
        if not self.wait(self._connected, timeout, alive):
            raise ClientError(
                f"after {timeout:.0f} s nobody subscribes to {self._images.topic_name}: is the node active?"
            )
        self.idle(SETTLE)

    def idle(self, duration: float) -> None:
        """Spin for a while."""
        self.wait(lambda: False, duration)

    def send(self, message: Any) -> float:
        """Publish an image, as a message or as its serialised bytes; return the monotonic time."""
        now = time.monotonic()
        self._images.publish(message)
        return now

    def exchange(
        self, message: Any, timeout: float, alive: Callable[[], bool] = lambda: True
    ) -> Reply | None:
        """Publish an image and wait for its tracks; None after the timeout."""
        before = len(self.answers)
        self.send(message)
        self.wait(lambda: len(self.answers) > before, timeout, alive)
        return self.answers[before] if len(self.answers) > before else None

    def _connected(self) -> bool:
        return bool(self._images.get_subscription_count() and self.node.count_publishers(self._tracks_topic))

    def _on_tracks(self, raw: bytes) -> None:
        now = time.monotonic()
        self.answers.append(Reply(deserialize_message(raw, TrackedInstanceArray), raw, now))
