"""Publishers on a camera's topic, from the ROS graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rclpy.node import Node
from rclpy.qos import QoSReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
SUFFIX = "/compressed"


@dataclass(frozen=True, slots=True)
class Offers:
    """The publishers on the topic of one camera."""

    publishers: int = 0  # of the subscribed type
    unreliable: int = 0  # of them, best effort while the node requests reliable
    remedy: str = ""  # what to set if images are published in another form; empty if none are


def offers_on(node: Node, topic: str, *, compressed: bool) -> Offers:
    """Return the publishers on a camera's topic.

    topic       subscribed topic, including /compressed for compressed images
    compressed  whether the subscription is for compressed images
    """
    wanted = COMPRESSED if compressed else RAW
    found = node.get_publishers_info_by_topic(topic)
    offered = [publisher.qos_profile.reliability for publisher in found if publisher.topic_type == wanted]
    unreliable = offered.count(QoSReliabilityPolicy.BEST_EFFORT) if _reliable(node, topic) else 0
    remedy = "" if offered else _remedy(node, topic, found, compressed=compressed)
    return Offers(len(offered), unreliable, remedy)


def _reliable(node: Node, topic: str) -> bool:
    """Return whether the node requests reliable images, by its parameter or by `qos_overrides`."""
    name = node.get_name(), node.get_namespace()
    found = node.get_subscriptions_info_by_topic(topic)
    own = [each.qos_profile for each in found if (each.node_name, each.node_namespace) == name]
    return any(quality.reliability == QoSReliabilityPolicy.RELIABLE for quality in own)


def _remedy(node: Node, topic: str, found: Sequence[TopicEndpointInfo], *, compressed: bool) -> str:
    """Return what to set if the images are published in the other form, or as another type."""
    base = topic.removesuffix(SUFFIX)
    other = base if compressed else topic + SUFFIX
    kind, setting = (RAW, "compressed:=false") if compressed else (COMPRESSED, "compressed:=true")
    if any(publisher.topic_type == kind for publisher in node.get_publishers_info_by_topic(other)):
        return f"{other} is published: set {setting}"
    types = {publisher.topic_type for publisher in found}
    if COMPRESSED in types and topic.endswith(SUFFIX):
        return f"{topic} is published as {COMPRESSED}: set cameras to {base} and compressed:=true"
    expected = COMPRESSED if compressed else RAW
    return f"{topic} is published as {', '.join(sorted(types))}, expected {expected}" if types else ""
