"""What one camera's images become: a table of topics, and the publishers of those that can be offered.

Whatever is not `always` is made only while somebody subscribes; a topic whose message package is not
installed is left out.
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
    """One processed image with all that messages are made of; what several of them need is made once."""

    result: FrameResult
    classes: tuple[str, ...]
    settings: Settings

    @property
    def header(self) -> Any:
        """Return the image's header."""
        return self.result.header

    @cached_property
    def overlay(self) -> NDArray[np.uint8]:
        """Return the image with its tracks, (H, W, 3) BGR."""
        return bgr(draw(self.result.image, self.result.tracks, self.classes))


@dataclass(frozen=True, slots=True)
class Output:
    """One topic of a camera."""

    topic: str  # below the camera's name
    kind: str  # of its messages: package/name
    make: Callable[[Scene], Any]  # None: nothing to publish
    depth: int = 5  # of the publisher's queue
    always: bool = False  # published without subscribers too


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
    """Return the class of a message by package/name, or None where the package is not installed."""
    package, name = kind.split("/")
    try:
        return getattr(import_module(f"{package}.msg"), name)
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] == package:
            return None
        raise


def missing_packages() -> dict[str, list[str]]:
    """Return the packages of messages that are not installed, with the topics that are left out for it."""
    missing: dict[str, list[str]] = {}
    for topic, kind in KINDS.items():
        if message_type(kind) is None:
            missing.setdefault(kind.split("/")[0], []).append(topic)
    return missing


class Outputs:
    """Publishes what one camera's images become, of all its tracks or of those that were chosen."""

    def __init__(
        self,
        node: Node,
        prefix: str,
        classes: tuple[str, ...],
        throttle: Throttle,
        taken: Container[str] = (),
    ) -> None:
        """Offer the topics below a prefix, but for those that are `taken`: the node's own inputs."""
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
        """Publish the tracks of one image; return what its other messages are made of."""
        chosen = replace(result, tracks=self._choice.narrow(result.tracks))
        scene = Scene(chosen, self._classes, settings)
        self._publish(self._tracks, TRACKS.make(scene))
        return scene

    def publish_status(self, status: TrackerStatus) -> None:
        """Publish how well the tracker keeps up."""
        self._publish(self._status, status)

    def publish_others(self, scene: Scene) -> None:
        """Publish whatever else somebody subscribes to."""
        for output, publisher in self._others:
            if publisher.get_subscription_count():
                self._try(output, publisher, scene)

    def publish_labels(self, threshold: float) -> None:
        """Publish the classes' names, for those as well who subscribe later."""
        if self._labels is not None:
            header = Header(stamp=self._node.get_clock().now().to_msg())
            self._publish(self._labels, to_label_info(self._classes, threshold, header))

    def destroy(self) -> None:
        """Take the topics and the service back."""
        self._node.destroy_service(self._track_only)
        others = (publisher for _, publisher in self._others)
        for publisher in (self._tracks, self._status, self._labels, *others):
            if publisher is not None:
                self._node.destroy_publisher(publisher)

    def _offer(self, topic: str, kind: str, *, depth: int, latched: bool = False) -> Any:
        """Return a publisher, reliable unless a `qos_overrides` says otherwise; None without its messages."""
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
        """Publish one of the others; what is wrong with it costs this message only."""
        try:
            message = output.make(scene)
        except Exception as error:  # such as fields that another version of the package does not have
            self._warn(publisher, f"not made: {error!r}")
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
