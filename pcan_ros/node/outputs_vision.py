"""Tracks as vision_msgs, for trackers, filters and viewers of other packages."""

from __future__ import annotations

from typing import Any

from pcan_model.core.structures import TrackedInstance, Tracks


def to_detections(tracks: Tracks, header: Any) -> Any:
    """Return the tracks of one image as a vision_msgs/Detection2DArray.

    `id` is the track id and `class_id` the class index of vision_msgs/LabelInfo, both as text.
    """
    from vision_msgs.msg import Detection2DArray

    found = [_detection(instance, header) for instance in tracks.found()]
    return Detection2DArray(header=header, detections=found)


def _detection(instance: TrackedInstance, header: Any) -> Any:
    from vision_msgs.msg import Detection2D, ObjectHypothesisWithPose

    x1, y1, x2, y2 = (float(side) for side in instance.box)
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id = str(instance.label)
    result.hypothesis.score = float(instance.score)
    detection = Detection2D(header=header, id=str(instance.track_id), results=[result])
    detection.bbox.center.position.x, detection.bbox.center.position.y = (x1 + x2) / 2, (y1 + y2) / 2
    detection.bbox.size_x, detection.bbox.size_y = x2 - x1, y2 - y1
    return detection


def to_label_info(classes: tuple[str, ...], threshold: float, header: Any) -> Any:
    """Return the class names as a vision_msgs/LabelInfo; `threshold` is the lowest score of an object."""
    from vision_msgs.msg import LabelInfo, VisionClass

    named = [VisionClass(class_id=number, class_name=name) for number, name in enumerate(classes)]
    return LabelInfo(header=header, class_map=named, threshold=float(threshold))
