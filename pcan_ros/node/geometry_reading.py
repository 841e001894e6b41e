"""Reads depth images, point clouds, calibrations and transforms of messages; bad ones raise BadImage."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.space import Pinhole, Pose
from pcan_model.data.image_decoding import BadImage

DEPTHS = {"16UC1": ("u2", 0.001), "mono16": ("u2", 0.001), "32FC1": ("f4", 1.0)}  # pixels, metres per unit
NUMBERS = {7: "f4", 8: "f8"}  # of sensor_msgs/PointField


def read_depth(message: Any) -> NDArray[np.float32]:
    """Return a depth image (REP-118) as metres, (H, W); 0 or NaN where it was not measured."""
    if message.encoding not in DEPTHS:
        raise BadImage(f"depth: encoding: expected one of {', '.join(DEPTHS)}; got {message.encoding!r}")
    kind, scale = DEPTHS[message.encoding]
    pixel = np.dtype((">" if message.is_bigendian else "<") + kind)
    least, size = message.width * pixel.itemsize, message.height * message.step
    if not message.width or not message.height or message.step < least or len(message.data) < size:
        raise BadImage(
            f"depth: expected {message.height} rows of at least {least} bytes, got {len(message.data)} bytes "
            f"with step {message.step}"
        )
    rows = np.frombuffer(message.data, np.uint8, size).reshape(message.height, message.step)
    values = np.ascontiguousarray(rows[:, :least]).view(pixel)
    return (values * np.float32(scale)).astype(np.float32)


def read_points(message: Any) -> NDArray[np.float64]:
    """Return the x, y, z of a PointCloud2, (P, 3) metres; those without a return are not finite."""
    known = {field.name: field for field in message.fields}
    wrong = [name for name in "xyz" if name not in known or known[name].datatype not in NUMBERS]
    if wrong:
        raise BadImage(f"points: expected fields x, y, z as float32 or float64; wrong: {', '.join(wrong)}")
    order = ">" if message.is_bigendian else "<"
    formats = [order + NUMBERS[known[name].datatype] for name in "xyz"]
    ends = [known[name].offset + np.dtype(kind).itemsize for name, kind in zip("xyz", formats, strict=True)]
    row, size = message.width * message.point_step, message.height * message.row_step
    if max(ends) > message.point_step or message.row_step < row or len(message.data) < size:
        raise BadImage(
            f"points: expected {message.height} rows of at least {row} bytes, got {len(message.data)} bytes "
            f"with row_step {message.row_step} and point_step {message.point_step}"
        )
    layout = np.dtype(
        {
            "names": list("xyz"),
            "formats": formats,
            "offsets": [known[name].offset for name in "xyz"],
            "itemsize": message.point_step,
        }
    )
    rows = np.frombuffer(message.data, np.uint8, size).reshape(message.height, message.row_step)
    values = np.ascontiguousarray(rows[:, :row]).reshape(-1).view(layout)
    return np.stack([values[name].astype(np.float64) for name in "xyz"], axis=1)


def read_camera(info: Any, *, rectified: bool) -> Pinhole:
    """Return the calibration of images.

    rectified  whether they are rectified: P holds then, else K, without distortion
    """
    if max(info.binning_x, info.binning_y) > 1 or info.roi.width or info.roi.height:
        raise BadImage("camera_info: expected the whole image, got binning or a region of interest")
    if rectified:
        fx, fy, cx, cy = info.p[0], info.p[5], info.p[2], info.p[6]
    else:
        if any(info.d):
            raise BadImage(
                f"camera_info: expected no distortion, got d {[float(d) for d in info.d]}: track the "
                "rectified images and set rectified:=true"
            )
        fx, fy, cx, cy = info.k[0], info.k[4], info.k[2], info.k[5]
    try:
        return Pinhole(float(fx), float(fy), float(cx), float(cy), info.height, info.width)
    except ValueError:
        raise BadImage("camera_info: expected a calibrated camera, got zeros or no numbers") from None


def read_transform(transform: Any) -> Pose:
    """Return a geometry_msgs/Transform as a pose; raises ValueError for one that is none."""
    place, turn = transform.translation, transform.rotation
    return Pose.from_quaternion((place.x, place.y, place.z), (turn.x, turn.y, turn.z, turn.w))
