"""Converts image messages with our own decoder, or with cv_bridge for encodings that only it supports."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcan_model.data.image_decoding import ENCODINGS, BadImage, decode


def convert(message: Any, order: str = "rgb") -> NDArray[np.uint8]:
    """Return a sensor_msgs Image or CompressedImage as (H, W, 3) uint8; may share its memory.

    order  of the channels, rgb or bgr
    Raises BadImage if the image cannot be decoded.
    """
    known = getattr(message, "encoding", ENCODINGS[0]) in ENCODINGS
    bridge = None if known else cv_bridge()
    return decode(message, order) if bridge is None else _bridged(bridge, message, order)


@cache
def cv_bridge() -> Any:
    """Return a CvBridge, or None if the package is not installed or its OpenCV cannot be loaded."""
    try:
        from cv_bridge import CvBridge
    except ImportError:
        return None
    return CvBridge()


def _bridged(bridge: Any, message: Any, order: str) -> NDArray[np.uint8]:
    name = message.encoding
    try:
        image = np.asarray(bridge.imgmsg_to_cv2(message, desired_encoding=f"{order}8"))
    except Exception as error:  # CvBridgeError, or NumPy's error for sizes that do not match
        known = ", ".join(ENCODINGS)
        reason = " ".join(str(error).split())
        raise BadImage(f"encoding: expected one of {known}; got {name!r}, and cv_bridge: {reason}") from error
    if image.dtype != np.uint8 or image.shape != (message.height, message.width, 3) or not image.size:
        raise BadImage(
            f"{name}: expected {message.height} x {message.width} x 3 bytes of cv_bridge, "
            f"got {' x '.join(map(str, image.shape))} of {image.dtype}"
        )
    return image
