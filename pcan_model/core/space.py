"""Rigid poses, pinhole cameras and boxes in three dimensions.

Frames follow REP-103 and REP-105: x forward, y left, z up; an optical frame has x right, y down, z forward.
Lengths are in metres, angles in radians, velocities in metres per second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # optical axes in a body frame


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """The pose of a child frame in its parent: maps points of the child to the parent."""

    rotation: Floats  # (3, 3)
    translation: Floats  # (3,)

    @staticmethod
    def identity() -> Pose:
        """Return the pose that changes nothing."""
        return Pose(np.eye(3), np.zeros(3))

    @staticmethod
    def planar(x: float, y: float, yaw: float, z: float = 0.0) -> Pose:
        """Return a pose that is turned about z only; yaw is positive to the left."""
        cos, sin = math.cos(yaw), math.sin(yaw)
        return Pose(np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]), np.array([x, y, z]))

    @staticmethod
    def from_quaternion(translation: Any, quaternion: Any) -> Pose:
        """Return a pose from a translation (3,) and a quaternion (4,) x y z w of any length above 0.

        Raises ValueError for numbers that are not finite, and for a quaternion of length 0.
        """
        place, turn = np.asarray(translation, np.float64), np.asarray(quaternion, np.float64)
        length = float(np.linalg.norm(turn))
        if not (np.isfinite(place).all() and math.isfinite(length) and length > 1e-6):
            raise ValueError(f"pose: expected finite numbers and a quaternion, got {place} and {turn}")
        x, y, z, w = turn / length
        rotation = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
        return Pose(np.array(rotation), place)

    @property
    def quaternion(self) -> Floats:
        """Return the rotation as a unit quaternion, (4,) x y z w."""
        turn = cast(Floats, cv2.Rodrigues(self.rotation)[0]).ravel()
        angle = float(np.linalg.norm(turn))
        axis = turn / angle if angle > 0 else turn
        return np.array([*(axis * math.sin(angle / 2)), math.cos(angle / 2)])

    @property
    def yaw(self) -> float:
        """Return the angle of its x axis in the parent's x-y plane."""
        return math.atan2(self.rotation[1, 0], self.rotation[0, 0])

    def apply(self, points: NDArray[Any]) -> Floats:
        """Transform points (..., 3) of the child to the parent."""
        return cast(Floats, points @ self.rotation.T + self.translation)

    def inverse(self) -> Pose:
        """Return the pose of the parent in the child."""
        return Pose(self.rotation.T, -self.rotation.T @ self.translation)

    def __matmul__(self, other: Pose) -> Pose:
        return Pose(self.rotation @ other.rotation, self.apply(other.translation))

    def towards(self, other: Pose, share: float) -> Pose:
        """Interpolate between two poses of the same frames: 0 is this one, 1 the other."""
        turn = cv2.Rodrigues(self.rotation.T @ other.rotation)[0] * share
        rotation = self.rotation @ cv2.Rodrigues(turn)[0]
        return Pose(rotation, (1 - share) * self.translation + share * other.translation)


@dataclass(frozen=True, slots=True)
class Pinhole:
    """A camera without distortion; the centre of the upper left pixel is (0, 0), as in ROS."""

    fx: float  # focal lengths, pixels
    fy: float
    cx: float  # principal point, pixels
    cy: float
    height: int  # of the image, pixels
    width: int

    def __post_init__(self) -> None:
        values = [getattr(self, field.name) for field in fields(self)]
        if not (all(map(math.isfinite, values)) and min(self.fx, self.fy, self.height, self.width) > 0):
            raise ValueError(f"Pinhole: expected finite numbers, focal lengths and sizes above 0, got {self}")

    def points(self, columns: NDArray[Any], rows: NDArray[Any], depth: NDArray[Any]) -> Floats:
        """Return the points of the optical frame, (N, 3), at pixels with a depth along z; each is (N,)."""
        right, down = (columns - self.cx) / self.fx, (rows - self.cy) / self.fy
        return np.stack([right * depth, down * depth, depth], axis=-1).astype(np.float64)

    def project(self, points: NDArray[Any]) -> Floats:
        """Return the columns and rows, (N, 2), of points (N, 3) before the camera (z > 0)."""
        z = points[..., 2]
        column, row = self.fx * points[..., 0] / z + self.cx, self.fy * points[..., 1] / z + self.cy
        return np.stack([column, row], axis=-1)


@dataclass(frozen=True, slots=True, eq=False)
class Box3D:
    """An object as an upright box in a fixed frame."""

    track_id: int
    label: int  # index into the classes
    score: float  # in [0, 1]
    centre: Floats  # (3,) metres
    size: Floats  # (3,) metres: length, width, height
    yaw: float  # radians, of the length in the x-y plane; the front if `directed`
    velocity: Floats  # (3,) metres per second
    directed: bool = True  # whether motion tells which end is the front
    covariance: Floats | None = None  # (4, 4) of x, y and their velocities; None: exact
    points: int = 0  # measured points that the box rests on; 0: predicted or ground truth

    @property
    def footprint(self) -> Floats:
        """Return the corners on the ground, (4, 2): front left, rear left, rear right, front right."""
        half = self.size[:2] / 2 * np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)])
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        return cast(Floats, half @ np.array([[cos, sin], [-sin, cos]]) + self.centre[:2])
