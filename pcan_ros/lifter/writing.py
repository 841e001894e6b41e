"""Boxes as messages: vision_msgs/Detection3DArray, visualization_msgs/MarkerArray and PointCloud2."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField

from pcan_model.core.space import Box3D, Floats, Pose
from pcan_model.visualization.overlay import colour
from pcan_ros.messages import to_bytes

ALPHA = 0.35  # opacity of the boxes
TEXT = 0.5  # metres, height of the labels
POINT = np.dtype(
    [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4"), ("id", "<u4"), ("class", "<u2"), ("", "<u2")]
)
FIELDS = {  # of the point cloud: offset and type
    "x": (0, PointField.FLOAT32),
    "y": (4, PointField.FLOAT32),
    "z": (8, PointField.FLOAT32),
    "rgb": (12, PointField.FLOAT32),  # the bytes of a colour, as viewers read it
    "id": (16, PointField.UINT32),
    "class": (20, PointField.UINT16),
}


def to_detections_3d(boxes: Sequence[Box3D], header: Any) -> Any:
    """Return boxes as a vision_msgs/Detection3DArray; `id` is the track id, `class_id` the class index.

    The covariance of a pose holds that of x and y; its yaw is 1e3 if motion has not told the front.
    """
    from vision_msgs.msg import Detection3DArray

    return Detection3DArray(header=header, detections=[_detection(box, header) for box in boxes])


def _detection(box: Box3D, header: Any) -> Any:
    from vision_msgs.msg import Detection3D, ObjectHypothesisWithPose

    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id = str(box.label)
    result.hypothesis.score = float(box.score)
    _place(result.pose.pose, box)
    if box.covariance is not None:
        covariance = np.zeros((6, 6))
        covariance[:2, :2] = box.covariance[:2, :2]
        covariance[5, 5] = 0.0 if box.directed else 1e3
        result.pose.covariance = covariance.ravel().tolist()
    detection = Detection3D(header=header, id=str(box.track_id), results=[result])
    _place(detection.bbox.center, box)
    size = detection.bbox.size
    size.x, size.y, size.z = (float(side) for side in box.size)
    return detection


def _place(pose: Any, box: Box3D) -> None:
    place, turn = pose.position, pose.orientation
    place.x, place.y, place.z = (float(value) for value in box.centre)
    quaternion = Pose.planar(0.0, 0.0, box.yaw).quaternion
    turn.x, turn.y, turn.z, turn.w = (float(value) for value in quaternion)


def to_markers(boxes: Sequence[Box3D], header: Any, names: Mapping[int, str]) -> Any:
    """Return boxes as markers: a cube and a label each, and an arrow as long as the way of one second.

    The first marker deletes those of the last image. Arrows are for objects whose motion has told the front.

    names  class name by track id
    """
    from visualization_msgs.msg import Marker, MarkerArray

    markers = [Marker(header=header, action=Marker.DELETEALL)]
    for box in boxes:
        cube = _marker(Marker.CUBE, "boxes", box, header)
        cube.scale.x, cube.scale.y, cube.scale.z = (max(float(side), 0.01) for side in box.size)
        cube.color.a = ALPHA
        label = _marker(Marker.TEXT_VIEW_FACING, "labels", box, header)
        label.pose.position.z += float(box.size[2]) / 2 + TEXT
        label.scale.z = TEXT
        label.text = f"{names.get(box.track_id, '')} {box.track_id}".strip()
        markers += [cube, label]
        speed = float(np.hypot(*box.velocity[:2]))
        if box.directed and speed > 0.1:
            arrow = _marker(Marker.ARROW, "velocity", box, header)
            turn = Pose.planar(0.0, 0.0, math.atan2(box.velocity[1], box.velocity[0])).quaternion
            arrow.pose.orientation.z, arrow.pose.orientation.w = float(turn[2]), float(turn[3])
            arrow.scale.x, arrow.scale.y, arrow.scale.z = speed, 0.15, 0.15
            markers.append(arrow)
    return MarkerArray(markers=markers)


def _marker(kind: int, space: str, box: Box3D, header: Any) -> Any:
    from visualization_msgs.msg import Marker

    marker = Marker(header=header, ns=space, id=int(box.track_id) & 0x7FFFFFFF, type=kind, action=Marker.ADD)
    _place(marker.pose, box)
    red, green, blue = colour(box.track_id)
    marker.color.r, marker.color.g, marker.color.b, marker.color.a = red / 255, green / 255, blue / 255, 1.0
    return marker


def to_cloud(points: Mapping[int, Floats], labels: Mapping[int, int], header: Any) -> PointCloud2:
    """Return the points of all objects as one cloud with the fields x, y, z, rgb, id and class.

    points  (N, 3) by track id
    labels  class index by track id
    """
    rows = np.zeros(sum(map(len, points.values())), POINT)
    at = 0
    for identity, own in points.items():
        part = rows[at : at + len(own)]
        part["x"], part["y"], part["z"] = own.T
        red, green, blue = colour(identity)
        part["rgb"] = red << 16 | green << 8 | blue
        part["id"], part["class"] = identity, labels[identity]
        at += len(own)
    fields = [
        PointField(name=name, offset=offset, datatype=kind, count=1)
        for name, (offset, kind) in FIELDS.items()
    ]
    return PointCloud2(
        header=header,
        height=1,
        width=len(rows),
        fields=fields,
        is_bigendian=False,
        point_step=POINT.itemsize,
        row_step=POINT.itemsize * len(rows),
        data=to_bytes(rows.tobytes()),
        is_dense=True,
    )
