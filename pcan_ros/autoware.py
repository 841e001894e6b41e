"""`ros2 run pcan_ros pcan_autoware`: publishes tracks as regions of interest for Autoware's lidar fusion.

Publishes `rois0`, `rois1`, …, one for each topic of tracks, with the stamps of the images. Requires
tier4_perception_msgs and autoware_perception_msgs, which are part of Autoware.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from math import ceil
from typing import Any

from pcan_model.cli.run import run
from pcan_model.core.errors import UserError
from pcan_ros.node.stop_signals import StopSignals

PROGRAM = "pcan_autoware"
LABELS = {  # class of the model: label of autoware_perception_msgs/ObjectClassification; others are UNKNOWN
    "car": "CAR",
    "truck": "TRUCK",
    "bus": "BUS",
    "trailer": "TRAILER",
    "motorcycle": "MOTORCYCLE",
    "bicycle": "BICYCLE",
    "pedestrian": "PEDESTRIAN",
    "person": "PEDESTRIAN",
    "rider": "PEDESTRIAN",
}
UNKNOWN = "UNKNOWN"
EXAMPLE = "topics such as /pcan_tracker/tracks, or several separated by commas"
FOUND = (0, 1)  # states of the tracks detected in this image: NEW, TRACKED


class LabelError(UserError, ValueError):
    """An invalid mapping of classes to labels."""


def labels_from(changes: Sequence[str]) -> dict[str, str]:
    """Return LABELS updated with changes such as `train=TRUCK`."""
    from autoware_perception_msgs.msg import ObjectClassification

    labels = dict(LABELS)
    for change in filter(None, changes):
        name, _, label = change.partition("=")
        if not name or not isinstance(getattr(ObjectClassification, label, None), int):
            raise LabelError(f"labels: expected CLASS=LABEL such as train=TRUCK, got {change!r}")
        labels[name] = label
    return labels


def to_objects(message: Any, labels: dict[str, str]) -> Any:
    """Return a TrackedInstanceArray as a tier4_perception_msgs/DetectedObjectsWithFeature.

    labels  class name to Autoware's label
    """
    from tier4_perception_msgs.msg import DetectedObjectsWithFeature

    size = message.image_width, message.image_height
    found = (instance for instance in message.instances if instance.state in FOUND)
    objects = [_object(instance, labels.get(instance.class_name, UNKNOWN), size) for instance in found]
    return DetectedObjectsWithFeature(header=message.header, feature_objects=objects)


def _object(instance: Any, label: str, size: tuple[int, int]) -> Any:
    from autoware_perception_msgs.msg import ObjectClassification
    from tier4_perception_msgs.msg import DetectedObjectWithFeature

    made = DetectedObjectWithFeature()
    made.object.existence_probability = instance.score
    number = getattr(ObjectClassification, label)
    made.object.classification = [ObjectClassification(label=number, probability=instance.score)]
    roi = made.feature.roi
    roi.x_offset, roi.width = _pixels(instance.x, instance.width, size[0])
    roi.y_offset, roi.height = _pixels(instance.y, instance.height, size[1])
    return made


def _pixels(start: float, length: float, size: int) -> tuple[int, int]:
    """Return the first pixel and the number of pixels that an interval covers, clipped to the image."""
    first = min(max(int(start), 0), size)
    return first, max(min(ceil(start + length), size) - first, 0)


def main() -> int:
    """Run the bridge until it is stopped; returns the exit code."""
    stop = StopSignals()
    return run(PROGRAM, lambda _: _run(stop))


def _run(stop: StopSignals) -> int:
    import rclpy
    from rclpy.signals import SignalHandlerOptions
    from rclpy.utilities import remove_ros_args

    from pcan_ros.node.spin import spin

    _parser().parse_args(remove_ros_args()[1:])
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        spin(make_bridge(), stop)
    finally:
        rclpy.try_shutdown()
    return 0


def make_bridge(**options: Any) -> Any:
    """Return the node; raises LabelError or ParameterError for an invalid parameter."""
    from rclpy.node import Node
    from rclpy.qos import QoSProfile
    from tier4_perception_msgs.msg import DetectedObjectsWithFeature

    from pcan_ros.msg import TrackedInstanceArray
    from pcan_ros.node.topic_list import topics_of

    node = Node(PROGRAM, **options)
    topics = topics_of(node.declare_parameter("tracks", "/pcan_tracker/tracks").value, "tracks", EXAMPLE)
    labels = labels_from(node.declare_parameter("labels", "").value.split(","))

    def forward(publisher: Any, message: Any) -> None:
        publisher.publish(to_objects(message, labels))

    for number, topic in enumerate(topics):
        publisher = node.create_publisher(DetectedObjectsWithFeature, f"rois{number}", QoSProfile(depth=1))
        node.create_subscription(
            TrackedInstanceArray, topic, partial(forward, publisher), QoSProfile(depth=5)
        )
    return node


def _parser() -> argparse.ArgumentParser:
    example = f"{PROGRAM} --ros-args -p tracks:=/pcan_tracker/tracks -p labels:=train=TRUCK"
    return argparse.ArgumentParser(
        PROGRAM,
        description="Publish tracks as regions of interest for Autoware's lidar fusion: rois0, rois1, …",
        epilog=f"Example: {example}. tracks: topics, separated by commas; labels: class to Autoware's label.",
    )


if __name__ == "__main__":
    sys.exit(main())
