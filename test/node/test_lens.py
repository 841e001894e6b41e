"""Calibration of a camera: checked against its images, republished, used to rectify them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from support.robot import image, robot
from support.squares import export_squares, pixels

from pcan_model.data.image_decoding import BadImage
from pcan_ros.node import lens as lens_module
from pcan_ros.node.inputs import info_topic
from pcan_ros.node.lens import Lens

CAR = 2
HEADER = Header(stamp=Time(sec=5), frame_id="front")
K = [80.0, 0, 48, 0, 80.0, 32, 0, 0, 1]
P = [80.0, 0, 48, 0, 0, 80.0, 32, 0, 0, 0, 1, 0]
BARREL = [-0.3, 0.05, 0.0, 0.0, 0.0]


def info(**changes: Any) -> CameraInfo:
    header = Header(stamp=Time(sec=1), frame_id=changes.pop("frame", "front"))
    values = {"height": 64, "width": 96, "distortion_model": "plumb_bob", "d": BARREL, "k": K, "p": P}
    values["r"] = [1.0, 0, 0, 0, 1, 0, 0, 0, 1]
    values |= changes
    floats = {name: [float(v) for v in values.pop(name)] for name in "dkrp"}
    return CameraInfo(header=header, **values, **floats)


def lens(*, rectify: bool) -> tuple[Lens, list[str]]:
    warned: list[str] = []
    return Lens("/front/camera_info", rectify=rectify, warn=warned.append), warned


BLANK = np.zeros((64, 96, 3), np.uint8)


def test_a_calibration_is_republished_with_the_header_of_the_image() -> None:
    one, warned = lens(rectify=False)
    one.take(info())
    same, passed = one.apply(BLANK, HEADER)
    assert same is BLANK and not warned
    assert passed.header == HEADER and list(passed.k) == K and list(passed.d) == BARREL


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"width": 48}, "camera_info: expected 96 x 64 like the image, got 48 x 64"),
        ({"frame": "rear"}, "camera_info: expected frame 'front', got 'rear'"),
    ],
)
def test_a_mismatched_calibration_is_a_warning_or_with_rectify_an_error(
    changes: dict[str, Any], said: str
) -> None:
    one, warned = lens(rectify=False)
    one.take(info(**changes))
    assert one.apply(BLANK, HEADER)[1] is None
    assert warned == [said]
    one, _ = lens(rectify=True)
    one.take(info(**changes))
    with pytest.raises(BadImage, match=said):
        one.apply(BLANK, HEADER)


def test_without_a_calibration_images_pass_unless_they_are_rectified() -> None:
    one, warned = lens(rectify=False)
    assert one.apply(BLANK, HEADER)[1] is None and not warned
    with pytest.raises(
        BadImage, match="camera_info: expected a message on /front/camera_info before the image"
    ):
        lens(rectify=True)[0].apply(BLANK, HEADER)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"distortion_model": "spherical"}, "expected one of plumb_bob, .*; got 'spherical'"),
        ({"k": [0] * 9}, "expected a calibrated camera"),
        ({"p": [0] * 12}, "expected a calibrated camera"),
        ({"binning_x": 2}, "expected the whole image"),
    ],
)
def test_an_unsuitable_calibration_is_reported(changes: dict[str, Any], said: str) -> None:
    one, _ = lens(rectify=True)
    one.take(info(**changes))
    with pytest.raises(BadImage, match=said):
        one.apply(BLANK, HEADER)


@pytest.mark.parametrize(("model", "d"), [("plumb_bob", BARREL), ("equidistant", [0.1, 0.01, 0.0, 0.0])])
def test_a_distorted_line_is_rectified(model: str, d: list[float]) -> None:
    k, straight = np.reshape(K, (3, 3)), [(float(x), 8.0) for x in range(20, 77, 2)]
    rays = np.array([[((x - 48) / 80, (y - 32) / 80)] for x, y in straight])
    if model == "equidistant":
        bent = cv2.fisheye.distortPoints(rays, k, np.array(d))[:, 0]
    else:
        ends = np.concatenate([rays[:, 0], np.ones((len(rays), 1))], 1)
        bent = cv2.projectPoints(ends, np.zeros(3), np.zeros(3), k, np.array(d))[0][:, 0]
    assert np.ptp(bent[:, 1]) > 0.5, "bent enough to see"
    drawn = cv2.polylines(BLANK.copy(), [np.round(bent * 16).astype(np.int32)], False, (255,) * 3, 1, 16, 4)
    one, _ = lens(rectify=True)
    one.take(info(distortion_model=model, d=d))
    rectified, _ = one.apply(drawn, HEADER)
    heights = rectified[:, 24:73, 0].astype(float)
    centres = (heights * np.arange(64)[:, None]).sum(0) / heights.sum(0)
    assert np.abs(centres - 8).max() < 0.35


def test_maps_are_computed_once_per_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    whole = lens_module.Calibration.maps
    monkeypatch.setattr(lens_module.Calibration, "maps", lambda self: made.append(self) or whole(self))
    one, _ = lens(rectify=True)
    for focal in (80.0, 80.0, 90.0):
        one.take(info(k=[focal, *K[1:]]))
        one.apply(BLANK, HEADER)
    assert len(made) == 2


@pytest.mark.parametrize(
    ("images", "infos"), [("/a/image_raw", "/a/camera_info"), ("/image", "/camera_info")]
)
def test_calibrations_are_in_the_namespace_of_the_images(images: str, infos: str) -> None:
    assert info_topic(images) == infos


def test_over_dds_images_are_rectified_and_their_calibration_is_published(tmp_path: Path) -> None:
    options: dict[str, Any] = {"cameras": ["/front/image_raw"], "camera_info": "rectify"}
    with robot(export_squares(tmp_path / "squares"), **options) as r:
        passed = r.collect(CameraInfo, "/pcan_tracker/camera_info")
        r.client.send(image(pixels({CAR: (2, 2)}), 1.0, frame="front"))
        r.until(lambda: "camera_info: expected a message on /front/camera_info" in r.process.log(), "named")
        calibrations = r.client.node.create_publisher(CameraInfo, "/front/camera_info", 1)
        r.until(calibrations.get_subscription_count, "subscribed")

        def answered() -> list[Any]:
            """Send as a camera does, again and again: a calibration, and then its image."""
            calibrations.publish(info())
            r.client.send(image(pixels({CAR: (2, 2)}), 2.0, frame="front"))
            return r.client.replies

        r.until(answered, "answered")
        (car,) = r.client.replies[0].message.instances
        assert (car.x, car.y) == (0, 0), "drawn out of the barrel, from 2, 2"
        r.until(lambda: passed, "passed on")
        assert passed[0].header.stamp.sec == 2 and list(passed[0].k) == K


def test_calibrations_of_the_nodes_own_image_topic_are_not_republished(tmp_path: Path) -> None:
    with robot(export_squares(tmp_path / "squares"), camera_info="check") as r:
        assert r.client.node.count_publishers("/pcan_tracker/camera_info") == 0
        calibrations = r.client.node.create_publisher(CameraInfo, "/pcan_tracker/camera_info", 1)
        r.until(calibrations.get_subscription_count, "subscribed")

        def warned() -> bool:
            calibrations.publish(info(width=48))
            r.client.send(image(pixels({CAR: (2, 2)}), 1.0, frame="front"))
            return "camera_info: expected 96 x 64 like the image, got 48 x 64" in r.process.log()

        r.until(warned, "said")
        r.until(lambda: r.client.replies, "tracked all the same")
