"""The outputs of one camera: a table of topics, and their publishers.

Outputs that are not `always` are computed only while there is a subscriber; a topic whose message
package is not installed is not published.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from std_msgs.msg import Header

from pcan_model.visualization.overlay import draw
from pcan_model.visualization.render import bgr
from pcan_ros.messages import label_image, to_image, to_tracks
from pcan_ros.msg import TrackerStatus
from pcan_ros.node.node_services import add_track_only
from pcan_ros.node.outputs_foxglove import to_annotations
from pcan_ros.node.outputs_images import to_jpeg
from pcan_ros.node.outputs_markers import to_image_marker
from pcan_ros.node.outputs_vision import to_detections, to_label_info
from pcan_ros.node.parameters import Settings
from pcan_ros.node.pipeline import FrameResult
from pcan_ros.node.throttle import Throttle
from pcan_ros.node.track_choice import TrackChoice


@dataclass(frozen=True)
class Scene:
    """One processed image and its tracks; what several messages share is computed once."""

    result: FrameResult
    classes: tuple[str, ...]
    settings: Settings

    @property
    def header(self) -> Any:
        """Return the image's header."""
        return self.result.header

    @cached_property
    def overlay(self) -> NDArray[np.uint8]:
        """Return the image with its tracks drawn, (H, W, 3) BGR."""
        return bgr(draw(self.result.image, self.result.tracks, self.classes))


@dataclass(frozen=True, slots=True)
class Output:
    """One topic of a camera."""

    topic: str  # relative to the camera's prefix
    kind: str  # message type: package/name
    make: Callable[[Scene], Any]  # None: nothing to publish
    depth: int = 5  # of the publisher's queue
    always: bool = False  # also published without subscribers


def _tracks(s: Scene) -> Any:
    encoding, lost = s.settings.encoding, s.settings.publish_lost
    return to_tracks(s.result.tracks, s.header, s.classes, encoding=encoding, lost=lost)


TRACKS = Output("tracks", "pcan_ros/TrackedInstanceArray", _tracks, always=True)
OUTPUTS = (
    Output("detections", "vision_msgs/Detection2DArray", lambda s: to_detections(s.result.tracks, s.header)),
    Output(
        "annotations",
        "foxglove_msgs/ImageAnnotations",
        lambda s: to_annotations(s.result.tracks, s.header, s.classes),
    ),
    Output(
        "outlines", "visualization_msgs/ImageMarker", lambda s: to_image_marker(s.result.tracks, s.header)
    ),
    Output("overlay", "sensor_msgs/Image", lambda s: to_image(s.overlay, "bgr8", s.header), depth=1),
    Output(
        "overlay/compressed",
        "sensor_msgs/CompressedImage",
        lambda s: to_jpeg(s.overlay, s.settings.jpeg_quality, s.header),
        depth=1,
    ),
    Output(
        "label_image",
        "sensor_msgs/Image",
        lambda s: to_image(label_image(s.result.tracks), "16UC1", s.header),
        depth=1,
    ),
    Output("camera_info", "sensor_msgs/CameraInfo", lambda s: s.result.info),
)
STATUS, LABELS = ("status", "pcan_ros/TrackerStatus"), ("label_info", "vision_msgs/LabelInfo")
KINDS = {each.topic: each.kind for each in (TRACKS, *OUTPUTS)} | dict((STATUS, LABELS))


def message_type(kind: str) -> Any:
    """Return the message class of package/name, or None if the package is not installed."""
    package, name = kind.split("/")
    try:
        return getattr(import_module(f"{package}.msg"), name)
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] == package:
            return None
        raise


def missing_packages() -> dict[str, list[str]]:
    """Return the message packages that are not installed, with the topics that require them."""
    missing: dict[str, list[str]] = {}
    for topic, kind in KINDS.items():
        if message_type(kind) is None:
            missing.setdefault(kind.split("/")[0], []).append(topic)
    return missing


class Outputs:
    """Publishes the outputs of one camera, of all tracks or of the selected ones."""

    def __init__(
        self,
        node: Node,
        prefix: str,
        classes: tuple[str, ...],
        throttle: Throttle,
        taken: Container[str] = (),
    ) -> None:
        """Create the publishers below a prefix, except for `taken` topics, which are inputs of the node."""
        self._node, self._prefix, self._classes, self._throttle = node, prefix, classes, throttle
        self._choice = TrackChoice()
        self._track_only = add_track_only(node, prefix, self._choice.choose)
        self._tracks = self._offer(TRACKS.topic, TRACKS.kind, depth=TRACKS.depth)
        self._status = self._offer(*STATUS, depth=5)
        self._labels = self._offer(*LABELS, depth=1, latched=True)
        free = (each for each in OUTPUTS if node.resolve_topic_name(f"{prefix}/{each.topic}") not in taken)
        offered = ((each, self._offer(each.topic, each.kind, depth=each.depth)) for each in free)
        self._others = [(each, publisher) for each, publisher in offered if publisher is not None]

    def publish_tracks(self, result: FrameResult, settings: Settings) -> Scene:
        """Publish the tracks of one image; returns the scene for its other messages."""
        chosen = replace(result, tracks=self._choice.narrow(result.tracks))
        scene = Scene(chosen, self._classes, settings)
        self._publish(self._tracks, TRACKS.make(scene))
        return scene

    def publish_status(self, status: TrackerStatus) -> None:
        """Publish the counters and latencies after one image."""
        self._publish(self._status, status)

    def publish_others(self, scene: Scene) -> None:
        """Publish the other outputs that have subscribers."""
        for output, publisher in self._others:
            if publisher.get_subscription_count():
                self._try(output, publisher, scene)

    def publish_labels(self, threshold: float) -> None:
        """Publish the class names, latched for late subscribers."""
        if self._labels is not None:
            header = Header(stamp=self._node.get_clock().now().to_msg())
            self._publish(self._labels, to_label_info(self._classes, threshold, header))

    def destroy(self) -> None:
        """Destroy the publishers and the service."""
        self._node.destroy_service(self._track_only)
        others = (publisher for _, publisher in self._others)
        for publisher in (self._tracks, self._status, self._labels, *others):
            if publisher is not None:
                self._node.destroy_publisher(publisher)

    def _offer(self, topic: str, kind: str, *, depth: int, latched: bool = False) -> Any:
        """Return a publisher, reliable unless `qos_overrides` change it; None without its package."""
        message = message_type(kind)
        if message is None:
            return None
        durability = QoSDurabilityPolicy.TRANSIENT_LOCAL if latched else QoSDurabilityPolicy.VOLATILE
        return self._node.create_publisher(
            message,
            f"{self._prefix}/{topic}",
            QoSProfile(depth=depth, reliability=QoSReliabilityPolicy.RELIABLE, durability=durability),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )

    def _try(self, output: Output, publisher: Any, scene: Scene) -> None:
        """Publish one of the other outputs; an error affects this message only."""
        try:
            message = output.make(scene)
        except Exception as error:  # such as fields that another version of the package does not have
            self._warn(publisher, f"not created: {error!r}")
        else:
            if message is not None:
                self._publish(publisher, message)

    def _publish(self, publisher: Any, message: Any) -> None:
        try:
            publisher.publish(message)
        except RuntimeError as error:  # rcl's: an overloaded reliable transport, or a context that shuts down
            self._warn(publisher, f"not published: {error}")

    def _warn(self, publisher: Any, what: str) -> None:
        text = self._throttle.admit(publisher.topic_name, f"{publisher.topic_name}: {what}")
        if text is not None:
            self._node.get_logger().warning(text)
