"""Coordinate frames by time: chains, interpolation, and named refusals instead of extrapolation."""

from __future__ import annotations

import numpy as np
import pytest

from pcan_model.core.frame_tree import KEPT, FrameError, FrameTree, LateError
from pcan_model.core.space import Pose


def moving() -> FrameTree:
    tree = FrameTree()
    tree.add("odom", "base", Pose.planar(0.0, 0.0, 0.0), 1.0)
    tree.add("odom", "base", Pose.planar(2.0, 0.0, 0.2), 2.0)
    tree.add("base", "camera", Pose.planar(0.0, 0.5, 0.0, 1.5), None)
    tree.add("base", "/lidar", Pose.planar(0.0, 0.0, 0.0, 2.0), None)
    return tree


def test_a_pose_is_interpolated_along_the_chain() -> None:
    pose = moving().pose("camera", "odom", 1.5)
    assert pose.yaw == pytest.approx(0.1)
    np.testing.assert_allclose(pose.translation, Pose.planar(1.0, 0.0, 0.1).apply(np.array([0.0, 0.5, 1.5])))


def test_frames_beside_each_other_need_no_pose_of_their_parent() -> None:
    np.testing.assert_allclose(moving().pose("lidar", "camera", 99.0).translation, [0.0, -0.5, 0.5])


def test_a_later_time_may_still_come_and_an_earlier_one_is_gone() -> None:
    with pytest.raises(LateError, match=r"newest pose is 0\.250 s older"):
        moving().pose("camera", "odom", 2.25)
    with pytest.raises(FrameError, match=r"oldest pose is 0\.500 s newer") as error:
        moving().pose("camera", "odom", 0.5)
    assert not isinstance(error.value, LateError)


def test_a_short_time_ahead_can_be_extrapolated_on_request() -> None:
    assert moving().pose("base", "odom", 2.1, ahead=0.2).translation[0] == pytest.approx(2.2)
    with pytest.raises(LateError):
        moving().pose("base", "odom", 2.3, ahead=0.2)


def test_unknown_frames_are_named_with_the_known_ones() -> None:
    with pytest.raises(
        FrameError, match="'camera' and 'map' are not connected; known: base, camera, lidar, odom"
    ):
        moving().pose("camera", "map", 1.0)


def test_old_poses_are_dropped_and_time_can_start_again() -> None:
    tree = moving()
    tree.add("odom", "base", Pose.identity(), 2.0 + KEPT + 0.5)
    with pytest.raises(FrameError, match="oldest"):
        tree.pose("base", "odom", 2.0)
    tree.clear()
    tree.add("odom", "base", Pose.planar(7.0, 0.0, 0.0), 0.5)
    assert tree.pose("camera", "odom", 0.5).translation[0] == 7.0


def test_a_looping_bag_starts_anew() -> None:
    tree = moving()
    tree.add("odom", "base", Pose.planar(2.0, 0.0, 0.0), 30.0)
    tree.add("odom", "base", Pose.planar(0.0, 0.0, 0.0), 1.0)
    assert tree.pose("base", "odom", 1.0).translation[0] == 0.0
    with pytest.raises(LateError):
        tree.pose("base", "odom", 30.0)
