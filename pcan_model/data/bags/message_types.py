"""Message types of ROS 2 and of this package, for reading and writing bags without ROS."""

from __future__ import annotations

from functools import cache
from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from pcan_model.core.package_files import shared

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
ODOMETRY = "nav_msgs/msg/Odometry"
POINTS = "sensor_msgs/msg/PointCloud2"
TRANSFORMS = "tf2_msgs/msg/TFMessage"
CLOCK = "rosgraph_msgs/msg/Clock"
TRACKS = "pcan_ros/msg/TrackedInstanceArray"


def our_types() -> Any:
    """Return the type store of ROS with the messages of this package."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    for name, text in _messages().items():
        store.register(get_types_from_msg(text, name))
    return store


@cache
def _messages() -> dict[str, str]:
    return {f"pcan_ros/msg/{path.stem}": path.read_text() for path in sorted(shared("msg").glob("*.msg"))}
