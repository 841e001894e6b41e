"""Geometry of a clip as messages of a bag: transforms, odometry, depth and lidar; needs no ROS.

Frames: odom -> base_link (moves), base_link -> the image's frame and `lidar` (fixed). Odometry is exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)

from pcan_model.core.space import Pose
from pcan_model.data.bags.message_types import CAMERA_INFO, IMAGE, ODOMETRY, POINTS, TRANSFORMS
from pcan_model.data.scenes import Scene

DepthEncoding = Literal["16UC1", "32FC1"]
ODOM, BASE, LIDAR = "odom", "base_link", "lidar"
NO_TIME = QosTime(0, 0)
LATCHED = Qos(
    QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL,
    NO_TIME, NO_TIME, QosLiveliness.AUTOMATIC, NO_TIME, False,
)  # fmt: skip
FLOAT32 = 7  # of sensor_msgs/PointField


@dataclass(frozen=True, slots=True)
class Written:
    """One message of a bag."""

    topic: str
    kind: str
    raw: bytes
    quality: tuple[Qos, ...] = ()  # offered by its publisher, if not the default


class SceneMessages:
    """Converts the scenes of one clip to messages, in order."""

    def __init__(self, types: Any, *, camera: str, depth_topic: str, depth: DepthEncoding = "16UC1") -> None:
        """Create the converter.

        types        store of rosbags
        camera       frame_id of the images
        depth_topic  topic of the depth image; its camera_info is in the same namespace
        depth        16UC1: millimetres, up to 65.5 m, 0 without measurement; 32FC1: metres, NaN without
        """
        self._types, self._camera, self._depth_topic, self._depth = types, camera, depth_topic, depth
        self._last: Scene | None = None

    def messages(self, scene: Scene) -> Iterator[Written]:
        """Yield the messages of a frame; the fixed transforms with the first."""
        if self._last is None:
            fixed = [(BASE, self._camera, scene.optical), (BASE, LIDAR, scene.lidar)]
            yield self._transforms("/tf_static", scene, fixed, (LATCHED,))
        yield self._transforms("/tf", scene, [(ODOM, BASE, scene.base)])
        yield self._odometry(scene)
        yield from self._depth_messages(scene)
        yield self._points(scene)
        self._last = scene

    def _transforms(
        self, topic: str, scene: Scene, poses: list[tuple[str, str, Pose]], quality: tuple[Qos, ...] = ()
    ) -> Written:
        stamped = [
            self._make(
                "geometry_msgs/msg/TransformStamped",
                header=self._header(scene, parent),
                child_frame_id=child,
                transform=self._make(
                    "geometry_msgs/msg/Transform",
                    translation=self._vector(pose.translation),
                    rotation=self._quaternion(pose),
                ),
            )
            for parent, child, pose in poses
        ]
        return self._written(topic, TRANSFORMS, quality, transforms=stamped)

    def _odometry(self, scene: Scene) -> Written:
        """Return the pose, and the mean velocity since the last frame in base_link."""
        place = self._make("geometry_msgs/msg/Point", **_xyz(scene.base.translation))
        pose = self._make("geometry_msgs/msg/Pose", position=place, orientation=self._quaternion(scene.base))
        linear, angular = self._speed(scene)
        twist = self._make(
            "geometry_msgs/msg/Twist",
            linear=self._vector(linear),
            angular=self._vector(np.array([0.0, 0.0, angular])),
        )
        none = np.zeros(36)
        return self._written(
            "/odom",
            ODOMETRY,
            header=self._header(scene, ODOM),
            child_frame_id=BASE,
            pose=self._make("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=none),
            twist=self._make("geometry_msgs/msg/TwistWithCovariance", twist=twist, covariance=none),
        )

    def _speed(self, scene: Scene) -> tuple[NDArray[np.float64], float]:
        """Return linear (3,) and angular velocity since the last frame; zeros for the first."""
        if self._last is None or scene.time <= self._last.time:
            return np.zeros(3), 0.0
        elapsed = (scene.time - self._last.time) * 1e-9
        moved = self._last.base.inverse() @ scene.base
        return moved.translation / elapsed, moved.yaw / elapsed

    def _depth_messages(self, scene: Scene) -> Iterator[Written]:
        header, camera = self._header(scene, self._camera), scene.camera
        pixels = depth_pixels(scene.depth, self._depth)
        yield self._written(
            self._depth_topic,
            IMAGE,
            header=header,
            height=camera.height,
            width=camera.width,
            encoding=self._depth,
            is_bigendian=0,
            step=pixels.strides[0],
            data=pixels.reshape(-1).view(np.uint8),
        )
        k = [camera.fx, 0, camera.cx, 0, camera.fy, camera.cy, 0, 0, 1]
        region = self._make(
            "sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        )
        yield self._written(
            f"{self._depth_topic.rpartition('/')[0]}/camera_info",
            CAMERA_INFO,
            header=header,
            height=camera.height,
            width=camera.width,
            distortion_model="plumb_bob",
            d=np.zeros(5),
            k=np.array(k, np.float64),
            r=np.eye(3).ravel(),
            p=np.array([*k[:3], 0, *k[3:6], 0, *k[6:], 0], np.float64),
            binning_x=0,
            binning_y=0,
            roi=region,
        )

    def _points(self, scene: Scene) -> Written:
        names = enumerate("xyz")
        fields = [
            self._make("sensor_msgs/msg/PointField", name=name, offset=4 * k, datatype=FLOAT32, count=1)
            for k, name in names
        ]
        rows = np.ascontiguousarray(scene.points, "<f4")
        return self._written(
            "/points",
            POINTS,
            header=self._header(scene, LIDAR),
            height=1,
            width=len(rows),
            fields=fields,
            is_bigendian=False,
            point_step=12,
            row_step=12 * len(rows),
            data=rows.reshape(-1).view(np.uint8),
            is_dense=True,
        )

    def _written(self, topic: str, kind: str, quality: tuple[Qos, ...] = (), **fields: Any) -> Written:
        raw = self._types.serialize_cdr(self._make(kind, **fields), kind)
        return Written(topic, kind, bytes(raw), quality)

    def _make(self, kind: str, **fields: Any) -> Any:
        return self._types.types[kind](**fields)

    def _header(self, scene: Scene, frame: str) -> Any:
        second, rest = divmod(scene.time, 1_000_000_000)
        stamp = self._make("builtin_interfaces/msg/Time", sec=second, nanosec=rest)
        return self._make("std_msgs/msg/Header", stamp=stamp, frame_id=frame)

    def _vector(self, values: NDArray[np.float64]) -> Any:
        return self._make("geometry_msgs/msg/Vector3", **_xyz(values))

    def _quaternion(self, pose: Pose) -> Any:
        values = zip("xyzw", pose.quaternion.tolist(), strict=True)
        return self._make("geometry_msgs/msg/Quaternion", **dict(values))


def _xyz(values: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip("xyz", values.tolist(), strict=True))


def depth_pixels(depth: NDArray[np.float32], encoding: DepthEncoding) -> NDArray[np.generic]:
    """Return a depth image, (H, W) metres with NaN, as the pixels of a message (REP-118)."""
    if encoding == "32FC1":
        return np.ascontiguousarray(depth, "<f4")
    millimetres = np.nan_to_num(depth, nan=0.0) * 1000
    return np.where(millimetres <= 65_535, np.rint(millimetres), 0).astype("<u2")
