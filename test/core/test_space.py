"""Poses, pinhole cameras and boxes: conventions of ROS, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pcan_model.core.space import OPTICAL, Box3D, Pinhole, Pose

CAMERA = Pinhole(100.0, 120.0, 31.5, 23.5, 48, 64)


def test_a_pose_maps_points_of_the_child_to_the_parent() -> None:
    pose = Pose.planar(2.0, 1.0, math.pi / 2, 0.5)
    np.testing.assert_allclose(pose.apply(np.array([[1.0, 0.0, 0.0]])), [[2.0, 2.0, 0.5]], atol=1e-12)
    np.testing.assert_allclose(pose.inverse().apply(pose.apply(np.eye(3))), np.eye(3), atol=1e-12)
    np.testing.assert_allclose((pose @ pose).translation, [1.0, 3.0, 1.0], atol=1e-12)


@pytest.mark.parametrize("yaw", [0.0, 0.3, -2.0, math.pi])
def test_a_quaternion_comes_back(yaw: float) -> None:
    pose = Pose.planar(1.0, 2.0, yaw) @ Pose(OPTICAL, np.array([0.0, 0.0, 1.5]))
    back = Pose.from_quaternion(pose.translation, 3 * pose.quaternion)
    np.testing.assert_allclose(back.rotation, pose.rotation, atol=1e-9)


def test_interpolation_turns_evenly() -> None:
    a, b = Pose.planar(0.0, 0.0, 0.2), Pose.planar(2.0, 4.0, 0.8)
    half = a.towards(b, 0.25)
    assert half.yaw == pytest.approx(0.35)
    np.testing.assert_allclose(half.translation, [0.5, 1.0, 0.0])


@pytest.mark.parametrize("quaternion", [(0, 0, 0, 0), (0, 0, float("nan"), 1), (math.inf, 0, 0, 1)])
def test_a_quaternion_that_is_no_rotation_is_refused(quaternion: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="expected finite numbers and a quaternion"):
        Pose.from_quaternion((0, 0, 0), quaternion)


def test_a_pixel_and_its_depth_are_a_point_before_the_camera() -> None:
    point = CAMERA.points(np.array([41.5]), np.array([35.5]), np.array([10.0]))
    np.testing.assert_allclose(point, [[1.0, 1.0, 10.0]])
    np.testing.assert_allclose(CAMERA.project(point), [[41.5, 35.5]])


@pytest.mark.parametrize("change", [{"fx": 0.0}, {"cy": float("nan")}, {"width": 0}])
def test_a_camera_without_a_focal_length_or_size_is_refused(change: dict[str, float]) -> None:
    values = {"fx": 1.0, "fy": 1.0, "cx": 0.0, "cy": 0.0, "height": 4, "width": 4}
    with pytest.raises(ValueError, match="focal lengths and sizes above 0"):
        Pinhole(**{**values, **change})  # type: ignore[arg-type]


def test_a_footprint_starts_at_the_front_left() -> None:
    box = Box3D(1, 0, 1.0, np.array([5.0, 0.0, 1.0]), np.array([4.0, 2.0, 1.5]), math.pi / 2, np.zeros(3))
    np.testing.assert_allclose(box.footprint[0], [4.0, 2.0], atol=1e-12)
    np.testing.assert_allclose(box.footprint[2], [6.0, -2.0], atol=1e-12)
