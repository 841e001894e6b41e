"""Depth images, point clouds, calibrations and transforms of messages, and what is refused of them."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from geometry_msgs.msg import Quaternion, Transform, Vector3
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField

from pcan_model.data.image_decoding import BadImage
from pcan_ros.node.geometry_reading import read_camera, read_depth, read_points, read_transform


def depth_message(values: np.ndarray, encoding: str, *, padding: int = 0, big: bool = False) -> Image:
    rows = np.ascontiguousarray(values.astype(values.dtype.newbyteorder(">" if big else "<"))).view(np.uint8)
    padded = np.pad(rows.reshape(len(values), -1), ((0, 0), (0, padding)))
    data = array.array("B", padded.tobytes())
    height, width = values.shape
    return Image(
        height=height, width=width, encoding=encoding, step=padded.shape[1], is_bigendian=int(big), data=data
    )


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("big", [False, True])
def test_depth_is_read_in_metres(padding: int, big: bool) -> None:
    millimetres = np.array([[0, 1500, 65_535], [2, 3, 4]], np.uint16)
    read = read_depth(depth_message(millimetres, "16UC1", padding=padding, big=big))
    np.testing.assert_allclose(read, millimetres / 1000, rtol=1e-6)
    metres = np.array([[np.nan, 1.5, 80.0]], np.float32)
    read = read_depth(depth_message(metres, "32FC1", padding=padding, big=big))
    np.testing.assert_array_equal(read, metres)


def test_other_depth_images_are_refused() -> None:
    good = depth_message(np.ones((4, 6), np.uint16), "16UC1")
    with pytest.raises(BadImage, match="encoding: expected one of 16UC1, mono16, 32FC1; got 'rgb8'"):
        read_depth(Image(encoding="rgb8"))
    good.data = good.data[:-1]
    with pytest.raises(BadImage, match="expected 4 rows of at least 12 bytes, got 47 bytes with step 12"):
        read_depth(good)
    with pytest.raises(BadImage, match="expected 0 rows"):
        read_depth(Image(encoding="16UC1"))


def cloud(kind: int = PointField.FLOAT32, **changes: Any) -> PointCloud2:
    """Two rows of two points with an intensity between y and z, and 3 bytes at the end of a row."""
    number = {PointField.FLOAT32: "<f4", PointField.FLOAT64: "<f8"}[kind]
    layout = np.dtype([("x", number), ("y", number), ("intensity", "<u2"), ("z", number)])
    values = np.zeros((2, 2), layout)
    values["x"], values["y"], values["z"] = [[1, 2], [3, 4]], 5, [[6, 7], [8, np.nan]]
    fields = [
        PointField(name=name, offset=layout.fields[name][1], datatype=kind, count=1)
        for name in ("z", "x", "y")
    ]
    data = np.pad(values.view(np.uint8).reshape(2, -1), ((0, 0), (0, 3)))
    given: dict[str, Any] = {
        "height": 2, "width": 2, "fields": fields, "point_step": layout.itemsize,
        "row_step": data.shape[1], "data": array.array("B", data.tobytes()),
    }  # fmt: skip
    return PointCloud2(**{**given, **changes})


@pytest.mark.parametrize("kind", [PointField.FLOAT32, PointField.FLOAT64])
def test_points_are_read_by_the_names_of_their_fields(kind: int) -> None:
    expected = [[1, 5, 6], [2, 5, 7], [3, 5, 8], [4, 5, np.nan]]
    np.testing.assert_array_equal(read_points(cloud(kind)), expected)
    assert len(read_points(cloud(width=0, height=0, row_step=0))) == 0


def test_other_clouds_are_refused() -> None:
    with pytest.raises(BadImage, match="expected fields x, y, z as float32 or float64; wrong: z"):
        read_points(cloud(fields=[PointField(name=n, datatype=PointField.FLOAT32) for n in "xy"]))
    with pytest.raises(BadImage, match="wrong: x, y, z"):
        read_points(cloud(fields=[PointField(name=n, datatype=PointField.INT16) for n in "xyz"]))
    with pytest.raises(BadImage, match="expected 200 rows"):
        read_points(cloud(height=200))
    with pytest.raises(BadImage, match="point_step 4"):
        read_points(cloud(point_step=4))


def info(**changes: Any) -> CameraInfo:
    k, p = [500.0, 0, 320, 0, 510, 240, 0, 0, 1], [400.0, 0, 310, 0, 0, 400, 230, 0, 0, 0, 1, 0]
    return CameraInfo(**{"width": 640, "height": 480, "k": k, "p": p, "d": [0.0] * 5, **changes})


def test_a_calibration_is_k_or_for_rectified_images_p() -> None:
    camera = read_camera(info(), rectified=False)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (500, 510, 320, 240)
    camera = read_camera(info(d=[0.1, 0.0, 0.0, 0.0, 0.0]), rectified=True)
    assert (camera.fx, camera.cx, camera.cy, camera.height) == (400, 310, 230, 480)


def test_calibrations_that_do_not_hold_are_refused() -> None:
    with pytest.raises(BadImage, match=r"expected no distortion, got d \[0\.1\]: .* rectified:=true"):
        read_camera(info(d=[0.1]), rectified=False)
    with pytest.raises(BadImage, match="expected a calibrated camera"):
        read_camera(info(k=[0.0] * 9), rectified=False)
    with pytest.raises(BadImage, match="binning"):
        read_camera(info(binning_x=2), rectified=False)


def test_a_transform_without_rotation_is_refused() -> None:
    turn = Quaternion(z=1.0, w=0.0)
    pose = read_transform(Transform(translation=Vector3(x=1.0, y=2.0, z=3.0), rotation=turn))
    np.testing.assert_allclose(pose.apply(np.array([1.0, 0.0, 0.0])), [0.0, 2.0, 3.0], atol=1e-12)
    with pytest.raises(ValueError, match="quaternion"):
        read_transform(Transform(rotation=Quaternion(w=0.0)))
