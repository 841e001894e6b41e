"""Where the cameras are: transforms of odometry, for association that knows how the camera moves."""

from __future__ import annotations

from threading import Lock
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy

from pcan_model.core.frame_tree import FrameError, FrameTree
from pcan_model.core.stamps import stamp_seconds
from pcan_model.core.structures import CameraPlace
from pcan_model.data.image_decoding import BadImage
from pcan_ros.node.geometry_reading import read_camera, read_transform
from pcan_ros.node.parameters import ParameterError

AHEAD = 0.1  # seconds that poses are extrapolated: transforms come later than images
MOVING = QoSProfile(depth=100, reliability=QoSReliabilityPolicy.RELIABLE)
FIXED = QoSProfile(
    depth=100, reliability=QoSReliabilityPolicy.RELIABLE, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL
)


class Places:
    """The poses of cameras in a fixed frame; the executor adds transforms, the worker asks for places."""

    def __init__(self, node: Node, fixed_frame: str, *, rectified: bool) -> None:
        """Subscribe to transforms; `rectified` tells which part of a calibration holds.

        Raises ParameterError if the messages of transforms are not installed.
        """
        try:
            from tf2_msgs.msg import TFMessage
        except ModuleNotFoundError:
            install = "sudo apt-get install ros-$ROS_DISTRO-tf2-msgs"
            raise ParameterError(
                f"odometry_frame: {fixed_frame} requires tf2_msgs, which is not installed: {install}"
            ) from None
        self._node, self._fixed, self._rectified = node, fixed_frame, rectified
        self._tree, self._lock = FrameTree(), Lock()
        self._subscriptions = [
            node.create_subscription(TFMessage, "/tf", lambda m: self.add(m, fixed=False), MOVING),
            node.create_subscription(TFMessage, "/tf_static", lambda m: self.add(m, fixed=True), FIXED),
        ]

    def add(self, message: Any, *, fixed: bool) -> None:
        """Store transforms; invalid ones are ignored."""
        for each in message.transforms:
            try:
                pose = read_transform(each.transform)
            except ValueError:
                continue
            stamp = None if fixed else stamp_seconds(each.header.stamp)
            with self._lock:
                self._tree.add(each.header.frame_id, each.child_frame_id, pose, stamp)

    def place(self, header: Any, info: Any) -> CameraPlace | None:
        """Return where the camera of an image is; None if its pose or its calibration is not known."""
        if info is None:
            return None
        try:
            camera = read_camera(info, rectified=self._rectified)
            with self._lock:
                pose = self._tree.pose(header.frame_id, self._fixed, stamp_seconds(header.stamp), ahead=AHEAD)
        except (FrameError, BadImage):
            return None
        return CameraPlace(pose, camera)

    def destroy(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
