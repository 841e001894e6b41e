"""`ros2 run pcan_ros pcan_autoware`: publishes tracks in Autoware's messages.

For each topic of tracks: `rois0`, `rois1`, …, regions of interest for lidar fusion, and `pixel_objects0`,
`pixel_objects1`, …, tracked objects in the image plane; all with the header of the image. Requires
tier4_perception_msgs and autoware_perception_msgs, which are part of Autoware.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from math import ceil
from typing import Any

from pcan_model.core.errors import UserError
from pcan_ros.node.program import run_program

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
    objects = [_region(instance, labels, size) for instance in _found(message)]
    return DetectedObjectsWithFeature(header=message.header, feature_objects=objects)


def to_pixel_objects(message: Any, labels: dict[str, str]) -> Any:
    """Return a TrackedInstanceArray as an autoware_perception_msgs/TrackedObjects in the image plane.

    Positions, sizes and velocities are in pixels and pixels per second, x right and y down, not in metres.

    labels  class name to Autoware's label
    """
    from autoware_perception_msgs.msg import TrackedObjects

    objects = [_pixel_object(instance, labels) for instance in _found(message)]
    return TrackedObjects(header=message.header, objects=objects)


def _found(message: Any) -> list[Any]:
    return [instance for instance in message.instances if instance.state in FOUND]


def _pixel_object(instance: Any, labels: dict[str, str]) -> Any:
    from autoware_perception_msgs.msg import Shape, TrackedObject, TrackedObjectKinematics

    made = TrackedObject(object_id=instance.uuid, existence_probability=instance.score)
    made.classification = _classification(instance, labels)
    made.kinematics.orientation_availability = TrackedObjectKinematics.UNAVAILABLE
    centre = made.kinematics.pose_with_covariance.pose.position
    centre.x, centre.y = instance.x + instance.width / 2, instance.y + instance.height / 2
    velocity = made.kinematics.twist_with_covariance.twist.linear
    velocity.x, velocity.y = instance.velocity_x, instance.velocity_y
    made.shape.type = Shape.BOUNDING_BOX
    made.shape.dimensions.x, made.shape.dimensions.y = instance.width, instance.height
    return made


def _classification(instance: Any, labels: dict[str, str]) -> list[Any]:
    from autoware_perception_msgs.msg import ObjectClassification

    label = getattr(ObjectClassification, labels.get(instance.class_name, UNKNOWN))
    return [ObjectClassification(label=label, probability=instance.score)]


def _region(instance: Any, labels: dict[str, str], size: tuple[int, int]) -> Any:
    from tier4_perception_msgs.msg import DetectedObjectWithFeature

    made = DetectedObjectWithFeature()
    made.object.existence_probability = instance.score
    made.object.classification = _classification(instance, labels)
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
    return run_program(_parser(), make_bridge)


def make_bridge(**options: Any) -> Any:
    """Return the node; raises LabelError or ParameterError for an invalid parameter."""
    from autoware_perception_msgs.msg import TrackedObjects
    from rclpy.node import Node
    from rclpy.qos import QoSProfile
    from tier4_perception_msgs.msg import DetectedObjectsWithFeature

    from pcan_ros.msg import TrackedInstanceArray
    from pcan_ros.node.topic_list import topics_of

    node = Node(PROGRAM, **options)
    topics = topics_of(node.declare_parameter("tracks", "/pcan_tracker/tracks").value, "tracks", EXAMPLE)
    labels = labels_from(node.declare_parameter("labels", "").value.split(","))

    def forward(rois: Any, objects: Any, message: Any) -> None:
        rois.publish(to_objects(message, labels))
        objects.publish(to_pixel_objects(message, labels))

    for number, topic in enumerate(topics):
        rois = node.create_publisher(DetectedObjectsWithFeature, f"rois{number}", QoSProfile(depth=1))
        objects = node.create_publisher(TrackedObjects, f"pixel_objects{number}", QoSProfile(depth=1))
        node.create_subscription(
            TrackedInstanceArray, topic, partial(forward, rois, objects), QoSProfile(depth=5)
        )
    return node


def _parser() -> argparse.ArgumentParser:
    example = f"{PROGRAM} --ros-args -p tracks:=/pcan_tracker/tracks -p labels:=train=TRUCK"
    return argparse.ArgumentParser(
        PROGRAM,
        description="Publish tracks for Autoware: regions of interest for its lidar fusion (rois0, rois1, …) "
        "and tracked objects in pixels of the image (pixel_objects0, …).",
        epilog=f"Example: {example}. tracks: topics, separated by commas; labels: class to Autoware's label.",
    )


if __name__ == "__main__":
    sys.exit(main())
