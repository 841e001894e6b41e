"""The publishers of one camera; debug images are drawn only while there are subscribers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import Image

from pcan_model.visualization.overlay import draw
from pcan_model.visualization.render import bgr
from pcan_ros.messages import label_image, to_image, to_tracks
from pcan_ros.msg import TrackedInstanceArray, TrackerStatus
from pcan_ros.node.parameters import Settings
from pcan_ros.node.pipeline import FrameResult
from pcan_ros.node.throttle import Throttle


class Outputs:
    """Publishes what one camera's images become."""

    def __init__(self, node: Node, prefix: str, classes: tuple[str, ...], throttle: Throttle) -> None:
        self._node, self._classes, self._throttle = node, classes, throttle
        self._tracks = self._offer(TrackedInstanceArray, f"{prefix}/tracks", depth=5)
        self._status = self._offer(TrackerStatus, f"{prefix}/status", depth=5)
        self._overlay = self._offer(Image, f"{prefix}/overlay", depth=1)
        self._labels = self._offer(Image, f"{prefix}/label_image", depth=1)

    def publish_tracks(self, result: FrameResult, settings: Settings) -> None:
        """Publish the tracks of one image."""
        message = to_tracks(
            result.tracks,
            result.header,
            self._classes,
            encoding=settings.encoding,
            lost=settings.publish_lost,
        )
        self._publish(self._tracks, lambda: message)

    def publish_status(self, status: TrackerStatus) -> None:
        """Publish how well the tracker keeps up."""
        self._publish(self._status, lambda: status)

    def publish_images(self, result: FrameResult) -> None:
        """Publish overlay and label image, each only while there are subscribers."""
        if self._overlay.get_subscription_count():
            self._publish(self._overlay, lambda: self._draw(result))
        if self._labels.get_subscription_count():
            self._publish(self._labels, lambda: to_image(label_image(result.tracks), "16UC1", result.header))

    def destroy(self) -> None:
        """Take the topics back."""
        for publisher in (self._tracks, self._status, self._overlay, self._labels):
            self._node.destroy_publisher(publisher)

    def _offer(self, kind: Any, topic: str, *, depth: int) -> Any:
        """Return a publisher, reliable unless a `qos_overrides` parameter says otherwise."""
        return self._node.create_publisher(
            kind,
            topic,
            QoSProfile(depth=depth, reliability=QoSReliabilityPolicy.RELIABLE),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )

    def _draw(self, result: FrameResult) -> Image:
        image = draw(result.image, result.tracks, self._classes)
        return to_image(bgr(image), "bgr8", result.header)

    def _publish(self, publisher: Any, make: Callable[[], Any]) -> None:
        try:
            publisher.publish(make())
        except RuntimeError as error:  # rcl's: an overloaded reliable transport, or a context that shuts down
            text = self._throttle.admit(
                publisher.topic_name, f"{publisher.topic_name}: not published: {error}"
            )
            if text is not None:
                self._node.get_logger().warning(text)
