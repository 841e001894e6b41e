"""Compressed images."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage

from pcan_ros.messages import to_bytes

JPEG_FORMAT = "bgr8; jpeg compressed bgr8"  # as image_transport's subscribers expect it


def to_jpeg(image: NDArray[np.uint8], quality: int, header: Any) -> CompressedImage:
    """Return a BGR image, (H, W, 3), as image_transport publishes it on `…/compressed`; quality 1 to 100."""
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"overlay/compressed: expected an image that JPEG can encode, got {image.shape}")
    return CompressedImage(header=header, format=JPEG_FORMAT, data=to_bytes(data))
