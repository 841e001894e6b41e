"""Where the cameras are: transforms of odometry, for association that knows how the camera moves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from importlib import import_module
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import Image

from pcan_model.core.frame_tree import FrameError, FrameTree
from pcan_model.core.space import Pose
from pcan_model.core.stamps import stamp_seconds
from pcan_model.core.structures import CameraPlace
from pcan_model.data.image_decoding import BadImage
from pcan_ros.node.geometry_reading import read_camera, read_depth, read_transform
from pcan_ros.node.parameters import ParameterError

AHEAD = 0.1  # seconds that poses are extrapolated: transforms come later than images
DEPTHS = 5  # depth images that are kept
NEWEST = QoSProfile(depth=DEPTHS, reliability=QoSReliabilityPolicy.BEST_EFFORT)
MOVING = QoSProfile(depth=100, reliability=QoSReliabilityPolicy.RELIABLE)
FIXED = QoSProfile(
    depth=100, reliability=QoSReliabilityPolicy.RELIABLE, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL
)


class Places:
    """The poses of cameras in a fixed frame; the executor adds transforms, the worker asks for places."""

    def __init__(
        self,
        node: Node,
        fixed_frame: str,
        *,
        rectified: bool,
        odometry: str,
        depth: str,
        warn: Callable[[str], None],
    ) -> None:
        """Subscribe to transforms, odometry and depth images.

        rectified  which part of a calibration holds
        odometry   topic of nav_msgs/Odometry, or empty
        depth      topic of depth images, or empty
        warn       receives why a place or its depth is unknown

        Raises ParameterError if the messages of transforms or of odometry are not installed.
        """
        transforms = _message("tf2_msgs", "TFMessage", f"odometry_frame: {fixed_frame}")
        self._node, self._fixed, self._rectified, self._warn = node, fixed_frame, rectified, warn
        self._depths = deque[Any](maxlen=DEPTHS)
        self._tree, self._lock = FrameTree(), Lock()
        self._subscriptions = [
            node.create_subscription(transforms, "/tf", lambda m: self.add(m, fixed=False), MOVING),
            node.create_subscription(transforms, "/tf_static", lambda m: self.add(m, fixed=True), FIXED),
        ]
        if odometry:
            kind = _message("nav_msgs", "Odometry", f"odometry_topic: {odometry}")
            self._subscriptions.append(
                node.create_subscription(kind, odometry, self.add_odometry, qos_profile_sensor_data)
            )
        if depth:
            self._subscriptions.append(node.create_subscription(Image, depth, self.add_depth, NEWEST))

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

    def add_odometry(self, message: Any) -> None:
        """Store the pose of the vehicle, an invalid one is ignored; its twist is not used."""
        place, turn = message.pose.pose.position, message.pose.pose.orientation
        try:
            pose = Pose.from_quaternion((place.x, place.y, place.z), (turn.x, turn.y, turn.z, turn.w))
        except ValueError:
            return
        with self._lock:
            stamp = stamp_seconds(message.header.stamp)
            self._tree.add(message.header.frame_id, message.child_frame_id, pose, stamp)

    def add_depth(self, message: Any) -> None:
        """Keep a depth image for the image of the same stamp."""
        self._depths.append(message)

    def place(self, header: Any, info: Any) -> CameraPlace | None:
        """Return where the camera of an image is; None if its pose or its calibration is not known."""
        if info is None:
            return None
        try:
            camera = read_camera(info, rectified=self._rectified)
            with self._lock:
                pose = self._tree.pose(header.frame_id, self._fixed, stamp_seconds(header.stamp), ahead=AHEAD)
            return CameraPlace(pose, camera, depth=self._depth(header))
        except (FrameError, BadImage, ValueError) as error:
            self._warn(f"odometry: {error}")
            return None

    def _depth(self, header: Any) -> NDArray[np.float32] | None:
        """Return the depth image with the stamp of an image, if it has arrived; raises BadImage."""
        for message in tuple(self._depths):
            if message.header.stamp == header.stamp:
                return read_depth(message)
        return None

    def destroy(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)


def _message(package: str, name: str, wanted_by: str) -> Any:
    """Return the class of a message; raises ParameterError if its package is not installed."""
    try:
        return getattr(import_module(f"{package}.msg"), name)
    except ModuleNotFoundError:
        install = f"sudo apt-get install ros-$ROS_DISTRO-{package.replace('_', '-')}"
        raise ParameterError(f"{wanted_by} requires {package}, which is not installed: {install}") from None
