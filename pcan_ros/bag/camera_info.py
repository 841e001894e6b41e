"""Camera calibrations: files of ROS's camera_calibration, and KITTI calibrations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo

from pcan_model.core.errors import shown
from pcan_model.core.numbers import whole
from pcan_model.core.space import Pinhole
from pcan_model.core.yaml_text import YamlTextError, read_yaml
from pcan_model.data.bags.reading import BagError

MATRICES = {  # field: key in the file, number of values
    "d": ("distortion_coefficients", None),
    "k": ("camera_matrix", 9),
    "r": ("rectification_matrix", 9),
    "p": ("projection_matrix", 12),
}


def read_camera_info(path: Path) -> CameraInfo:
    """Read a calibration; of a KITTI `calib` file (lines `P2: …`) the projection of camera 2.

    Raises BagError if the file is invalid.
    """
    try:
        values = read_yaml(path)
    except (OSError, YamlTextError) as error:
        raise BagError(f"{path}: expected a camera calibration (YAML): {error}") from error
    if isinstance(values, dict) and ("P2" in values or "P_rect_02" in values):
        return _kitti(path, str(values.get("P2", values.get("P_rect_02"))))
    if not isinstance(values, dict) or "camera_matrix" not in values:
        raise BagError(f"{path}: camera_matrix: expected this key, got keys {list(values or ())}")
    info = CameraInfo(
        width=_side(path, "image_width", values),
        height=_side(path, "image_height", values),
        distortion_model=str(values.get("distortion_model", "plumb_bob")),
    )
    for field, (key, count) in MATRICES.items():
        if key in values:
            setattr(info, field, _numbers(path, key, values[key], count))
    return info


def calibration_of(camera: Pinhole) -> CameraInfo:
    """Return the calibration of a camera without distortion."""
    k = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
    return CameraInfo(
        height=camera.height,
        width=camera.width,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=k,
        r=np.eye(3).ravel().tolist(),
        p=[*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0],
    )


def sized(info: CameraInfo | None, height: int, width: int, header: Any) -> CameraInfo:
    """Return a calibration for one image; all zeros, as sensor_msgs defines it, if there is none.

    Raises BagError if the calibration is for another image size.
    """
    info = info or CameraInfo()
    if info.width and (info.height, info.width) != (height, width):
        size = f"{info.width}x{info.height}"
        raise BagError(f"calibration: image_width, image_height: expected {width}x{height}, got {size}")
    return CameraInfo(
        header=header,
        height=height,
        width=width,
        distortion_model=info.distortion_model,
        d=info.d,
        k=info.k,
        r=info.r,
        p=info.p,
    )


def _kitti(path: Path, text: str) -> CameraInfo:
    p = _numbers(path, "P2", {"data": text.split()}, 12)
    k = [*p[0:3], *p[4:7], *p[8:11]]
    return CameraInfo(distortion_model="plumb_bob", k=k, r=[1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0], p=p)


def _side(path: Path, key: str, values: dict[str, Any]) -> int:
    side = whole(values.get(key, 0))
    if side is None or not 0 <= side < 1 << 32:
        raise BagError(f"{path}: {key}: expected a number of pixels, got {shown(values[key])}")
    return side


def _numbers(path: Path, key: str, matrix: Any, count: int | None) -> list[float]:
    try:
        numbers = [float(value) for value in matrix["data"]]
    except (TypeError, KeyError, ValueError):
        raise BagError(f"{path}: {key}.data: expected numbers, got {shown(matrix)}") from None
    if count is not None and len(numbers) != count:
        raise BagError(f"{path}: {key}.data: expected {count} numbers, got {len(numbers)}")
    return numbers
