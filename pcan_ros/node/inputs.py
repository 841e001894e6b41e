"""The subscriptions of an active node: the images of each camera and, on request, its calibration."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from pcan_ros.node.lens import Lens
from pcan_ros.node.mailbox import Mailbox
from pcan_ros.node.parameters import Settings
from pcan_ros.node.synchronizer import QUEUE, ImageSynchronizer

RELIABILITY = {
    "best_effort": QoSReliabilityPolicy.BEST_EFFORT,
    "reliable": QoSReliabilityPolicy.RELIABLE,
}


class Inputs:
    """Puts images into the mailbox, matching images of several cameras together if `sync` is set."""

    def __init__(
        self, node: Node, topics: Sequence[str], settings: Settings, mailbox: Mailbox, lenses: Sequence[Lens]
    ) -> None:
        self.enabled = True  # else images are ignored
        self._node, self._settings, self._mailbox = node, settings, mailbox
        self._synchronizer = None if settings.sync == "none" else self._synchronized(len(topics))
        self.images = [self._subscribe_images(camera, topic) for camera, topic in enumerate(topics)]
        self._infos = [self._subscribe_info(topic, lens) for topic, lens in zip(topics, lenses, strict=False)]

    def clear(self) -> None:
        """Discard the images that wait for those of the other cameras."""
        if self._synchronizer is not None:
            self._synchronizer.clear()

    def destroy(self) -> None:
        """Unsubscribe."""
        for subscription in (*self.images, *self._infos):
            self._node.destroy_subscription(subscription)

    def _subscribe_images(self, camera: int, topic: str) -> Any:
        compressed = self._settings.compressed
        depth = 1 if self._synchronizer is None else QUEUE
        return self._node.create_subscription(
            CompressedImage if compressed else Image,
            f"{topic}/compressed" if compressed else topic,
            partial(self._on_image, camera),
            QoSProfile(depth=depth, reliability=RELIABILITY[self._settings.reliability]),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )

    def _subscribe_info(self, topic: str, lens: Lens) -> Any:
        quality = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
        return self._node.create_subscription(CameraInfo, info_topic(topic), lens.take, quality)

    def _on_image(self, camera: int, message: Any) -> None:
        """Keep the newest image, or the newest matching images, until the worker is free."""
        if not self.enabled:
            return
        if self._synchronizer is None:
            self._mailbox.put(camera, message, time.monotonic())
        else:
            self._mailbox.arrived(camera)
            self._synchronizer.put(camera, message)

    def _synchronized(self, cameras: int) -> ImageSynchronizer:
        return ImageSynchronizer(
            cameras,
            self._settings.sync,
            self._settings.sync_slop,
            deliver=lambda messages: self._mailbox.put_together(messages, time.monotonic()),
            count_unmatched=self._mailbox.count_unmatched,
            back=self._settings.time_jump_tolerance,
        )


def info_topic(images: str) -> str:
    """Return the camera_info topic of an image topic, in the same namespace as image_transport expects."""
    return f"{images.rpartition('/')[0]}/camera_info"
