"""Bags of drives with geometry: transforms, odometry, depth, points and calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.drive_bag import NAME, drive_with_bag

pytest.importorskip("rclpy")

from pcan_model.core.stamps import stamp_seconds
from pcan_model.data.bags.message_types import our_types
from pcan_model.data.bags.reading import Bag
from pcan_model.data.scenes import Scenes
from pcan_ros.bag.command import main


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drive_with_bag(tmp_path_factory)


def messages(bag: Path, topic: str) -> list[Any]:
    types = our_types()
    with Bag(bag) as opened:
        return [types.deserialize_cdr(m.raw, m.connection.msgtype) for m in opened.messages([topic])]


def test_transforms_lead_from_odom_to_the_images_and_the_lidar(drive: Path) -> None:
    (fixed,) = messages(drive / "bag", "/tf_static")
    moving = [message.transforms[0] for message in messages(drive / "bag", "/tf")]
    assert [(t.header.frame_id, t.child_frame_id) for t in fixed.transforms] == [
        ("base_link", "front_optical"),
        ("base_link", "lidar"),
    ]
    assert [t.header.frame_id for t in moving] == ["odom", "odom"]
    assert [round(stamp_seconds(t.header.stamp), 3) for t in moving] == [1.0, 1.1]
    (image, _), info = (
        messages(drive / "bag", "/camera/image"),
        messages(drive / "bag", "/camera/camera_info")[0],
    )
    assert (image.header.frame_id, info.header.stamp) == ("front_optical", image.header.stamp)
    assert info.k[0] == Scenes(drive, NAME).camera.fx


def test_depth_points_and_speed_are_those_of_the_files(drive: Path) -> None:
    scenes = Scenes(drive, NAME)
    depth, points = messages(drive / "bag", "/camera/depth/image")[1], messages(drive / "bag", "/points")[1]
    assert (depth.encoding, depth.header.frame_id, points.header.frame_id) == (
        "16UC1",
        "front_optical",
        "lidar",
    )
    values = depth.data.view("<u2").reshape(96, 160) / 1000
    exact = np.nan_to_num(scenes.read(1).depth)
    np.testing.assert_allclose(values, np.where(exact < 65.535, exact, 0), atol=6e-4)
    np.testing.assert_array_equal(points.data.view("<f4").reshape(-1, 3), scenes.read(1).points)
    first, second = messages(drive / "bag", "/odom")
    moved = np.hypot(*(scenes.read(1).base.translation - scenes.read(0).base.translation)[:2])
    assert first.twist.twist.linear.x == 0
    assert second.twist.twist.linear.x == pytest.approx(moved / 0.1, rel=1e-3)


def test_another_pace_is_refused(drive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["make", str(drive), "--out", str(drive / "other"), "--rate", "7"]) == 2
    assert f"rate: expected none for {NAME}" in capsys.readouterr().err
