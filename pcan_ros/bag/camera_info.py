"""The calibration of a camera: none, a file of ROS's camera_calibration, or a KITTI calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from sensor_msgs.msg import CameraInfo

from pcan_model.data.bags.reading import BagError

MATRICES = {  # field: key in the file, numbers
    "d": ("distortion_coefficients", None),
    "k": ("camera_matrix", 9),
    "r": ("rectification_matrix", 9),
    "p": ("projection_matrix", 12),
}


def read_camera_info(path: Path) -> CameraInfo:
    """Read a calibration; a KITTI `calib` file (lines `P2: …`) gives camera 2's projection.

    Raises BagError: `file: key: expected …, got …`.
    """
    try:
        text = path.read_text()
        values = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BagError(f"{path}: expected a camera calibration (YAML): {error}") from error
    if isinstance(values, dict) and ("P2" in values or "P_rect_02" in values):
        return _kitti(path, str(values.get("P2", values.get("P_rect_02"))))
    if not isinstance(values, dict) or "camera_matrix" not in values:
        raise BagError(f"{path}: camera_matrix: expected one, got keys {list(values or ())}")
    info = CameraInfo(
        width=int(values.get("image_width", 0)),
        height=int(values.get("image_height", 0)),
        distortion_model=str(values.get("distortion_model", "plumb_bob")),
    )
    for field, (key, count) in MATRICES.items():
        if key in values:
            setattr(info, field, _numbers(path, key, values[key], count))
    return info


def sized(info: CameraInfo | None, height: int, width: int, header: Any) -> CameraInfo:
    """Return a calibration for one image; without one, all zeros say so, as sensor_msgs defines it.

    Raises BagError when the calibration is of another size.
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


def _numbers(path: Path, key: str, matrix: Any, count: int | None) -> list[float]:
    try:
        numbers = [float(value) for value in matrix["data"]]
    except (TypeError, KeyError, ValueError):
        raise BagError(f"{path}: {key}.data: expected numbers, got {matrix}") from None
    if count is not None and len(numbers) != count:
        raise BagError(f"{path}: {key}.data: expected {count} numbers, got {len(numbers)}")
    return numbers
