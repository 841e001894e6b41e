"""Calibration of one camera: checked against its images, republished with them, used to rectify them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.data.image_decoding import BadImage

Pixels = NDArray[np.uint8]  # (H, W, 3)
Maps = tuple[Any, Any]  # as cv2.remap takes them
MODELS = ("plumb_bob", "rational_polynomial", "equidistant")  # of sensor_msgs/CameraInfo that OpenCV supports


@dataclass(frozen=True, slots=True)
class Calibration:
    """Parameters that rectify images of one size, from a sensor_msgs/CameraInfo."""

    model: str
    size: tuple[int, int]  # width, height, pixels
    d: tuple[float, ...]
    k: tuple[float, ...]
    r: tuple[float, ...]
    p: tuple[float, ...]

    @classmethod
    def of(cls, info: Any) -> Calibration:
        """Read a message; raises BadImage if it is not calibrated, or covers a part of the image only."""
        numbers = (tuple(map(float, getattr(info, name))) for name in "dkrp")
        made = cls(info.distortion_model, (info.width, info.height), *numbers)
        if made.model not in MODELS:
            raise BadImage(f"camera_info: expected one of {', '.join(MODELS)}; got {made.model!r}")
        if not (made.k[0] > 0 and made.p[0] > 0):
            raise BadImage("camera_info: expected a calibrated camera, got zeros for k or p")
        if max(info.binning_x, info.binning_y) > 1 or info.roi.width or info.roi.height:
            raise BadImage("camera_info: expected the whole image, got binning or a region of interest")
        return made

    def maps(self) -> Maps:
        """Return the maps from pixels of the rectified image to pixels of the source, for cv2.remap."""
        k, r, p = np.reshape(self.k, (3, 3)), np.reshape(self.r, (3, 3)), np.reshape(self.p, (3, 4))[:, :3]
        d = np.array(self.d)
        if self.model == "equidistant":
            return cv2.fisheye.initUndistortRectifyMap(k, d[:4], r, p, self.size, cv2.CV_16SC2)
        return cv2.initUndistortRectifyMap(k, d, r, p, self.size, cv2.CV_16SC2)


class Lens:
    """The newest calibration of a camera; any thread calls `take`, the worker calls `look`."""

    def __init__(self, topic: str, *, rectify: bool, warn: Callable[[str], None]) -> None:
        """Start without a calibration.

        topic  camera_info topic, for messages
        warn   receives mismatches; with `rectify` they raise BadImage instead
        """
        self._topic, self._rectify, self._warn = topic, rectify, warn
        self._info: Any = None
        self._maps: tuple[Calibration, Maps] | None = None

    def take(self, info: Any) -> None:
        """Replace the calibration."""
        self._info = info

    def apply(self, image: Pixels, header: Any) -> tuple[Pixels, Any]:
        """Return the image, rectified on request, and its calibration, or None if none matches.

        Raises BadImage if it cannot be rectified.
        """
        info = self._info
        fault = self._mismatch(info, image, header)
        if not self._rectify:
            if fault and info is not None:
                self._warn(fault)
            return image, None if fault else stamped(info, header)
        if fault:
            raise BadImage(fault)
        near, far = self._maps_of(Calibration.of(info))
        return np.asarray(cv2.remap(image, near, far, cv2.INTER_LINEAR), np.uint8), stamped(info, header)

    def _mismatch(self, info: Any, image: Pixels, header: Any) -> str:
        """Return why a calibration does not match an image; empty if it does."""
        if info is None:
            return f"camera_info: expected a message on {self._topic} before the image, got none"
        height, width = image.shape[:2]
        if (info.width, info.height) != (width, height):
            return (
                f"camera_info: expected {width} x {height} like the image, got {info.width} x {info.height}"
            )
        if info.header.frame_id != header.frame_id:
            return f"camera_info: expected frame {header.frame_id!r}, got {info.header.frame_id!r}"
        return ""

    def _maps_of(self, calibration: Calibration) -> Maps:
        if self._maps is None or self._maps[0] != calibration:
            self._maps = calibration, calibration.maps()
        return self._maps[1]


def stamped(info: Any, header: Any) -> Any:
    """Return a copy of a calibration with the header of an image."""
    from sensor_msgs.msg import CameraInfo

    names = ("height", "width", "distortion_model", "d", "k", "r", "p", "binning_x", "binning_y", "roi")
    return CameraInfo(header=header, **{name: getattr(info, name) for name in names})
