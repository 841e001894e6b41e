"""Decoding of ROS image messages to RGB images."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.data.formats.jpeg import is_jpeg, is_whole

# encoding: (channels, conversion to RGB); OpenCV's Bayer names start at the second row's second pixel.
EIGHT_BIT: dict[str, tuple[int, int | None]] = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "8UC3": (3, cv2.COLOR_BGR2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
    "8UC1": (1, cv2.COLOR_GRAY2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "8UC4": (4, cv2.COLOR_BGRA2RGB),
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": (2, cv2.COLOR_YUV2RGB_YUY2),
    "bayer_rggb8": (1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": (1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": (1, cv2.COLOR_BayerGB2RGB),
}
TWO_PLANES = {  # a luma plane, then half as many rows of chroma pairs, with the same step
    "nv12": cv2.COLOR_YUV2RGB_NV12,
    "nv21": cv2.COLOR_YUV2RGB_NV21,
}
SIXTEEN_BIT = {  # 8-bit encoding of the high bytes
    "rgb16": "rgb8",
    "bgr16": "bgr8",
    "16UC3": "8UC3",
    "mono16": "mono8",
    "16UC1": "8UC1",
    "rgba16": "rgba8",
    "bgra16": "bgra8",
    "16UC4": "8UC4",
    "bayer_rggb16": "bayer_rggb8",
    "bayer_bggr16": "bayer_bggr8",
    "bayer_gbrg16": "bayer_gbrg8",
    "bayer_grbg16": "bayer_grbg8",
}
ENCODINGS = (*EIGHT_BIT, *TWO_PLANES, *SIXTEEN_BIT)  # of Image messages that are read
BAYER = tuple(name for name in ENCODINGS if name.startswith("bayer"))


class BadImage(ValueError):
    """Invalid image message; names the field, what was expected and what was received."""


def decode(message: Any, order: str = "rgb") -> NDArray[np.uint8]:
    """Decode a sensor_msgs Image or CompressedImage to (H, W, 3); may share its memory.

    order  of the channels, rgb or bgr; images already in this order are not converted
    """
    if order == "bgr" and getattr(message, "encoding", "") in ("bgr8", "8UC3"):
        _check_size(message, 3, message.height)
        return _pixels(message, 3, 1)
    image = _decode(message)
    return image if order == "rgb" else image[..., ::-1]


def _decode(message: Any) -> NDArray[np.uint8]:
    return _decode_raw(message) if hasattr(message, "encoding") else _decode_compressed(message)


def _decode_raw(message: Any) -> NDArray[np.uint8]:
    if message.encoding in TWO_PLANES:
        return _decode_two_planes(message)
    encoding = SIXTEEN_BIT.get(message.encoding, message.encoding)
    if encoding not in EIGHT_BIT:
        raise BadImage(f"encoding: expected one of {', '.join(ENCODINGS)}; got {message.encoding!r}")
    channels, conversion = EIGHT_BIT[encoding]
    depth = 2 if message.encoding in SIXTEEN_BIT else 1
    _check_size(message, channels * depth, message.height)
    if channels == 2 and message.width % 2:
        raise BadImage(f"width: expected an even one for {message.encoding}, got {message.width}")
    pixels = _pixels(message, channels, depth)
    if conversion is None:
        return pixels
    try:
        return np.asarray(cv2.cvtColor(pixels, conversion), np.uint8)
    except cv2.error as error:
        raise BadImage(
            f"{message.encoding}: cannot convert {message.width}x{message.height}: {error.err}"
        ) from error


def _decode_two_planes(message: Any) -> NDArray[np.uint8]:
    height, width, step = message.height, message.width, message.step
    if height % 2 or width % 2:
        raise BadImage(f"size: expected even sides for {message.encoding}, got {width}x{height}")
    rows = height + height // 2
    _check_size(message, 1, rows)
    planes = np.frombuffer(message.data, np.uint8, rows * step).reshape(rows, step)[:, :width]
    return np.asarray(cv2.cvtColor(planes, TWO_PLANES[message.encoding]), np.uint8)


def _check_size(message: Any, bytes_per_pixel: int, rows: int) -> None:
    """Raise BadImage unless width, height, step and data size are consistent."""
    if not (message.width and message.height):
        raise BadImage(f"size: expected at least 1x1, got {message.width}x{message.height}")
    row = message.width * bytes_per_pixel
    if message.step < row:
        size = f"width {message.width} of {message.encoding}"
        raise BadImage(f"step: expected at least {row} bytes for {size}, got {message.step}")
    expected, got = message.step * rows, len(message.data)
    if got < expected:
        raise BadImage(f"data: expected {expected} bytes (step {message.step} x {rows} rows), got {got}")


def _pixels(message: Any, channels: int, depth: int) -> NDArray[np.uint8]:
    """Return the high bytes as (H, W) or (H, W, channels), without a copy for unpadded 8-bit images.

    depth  bytes per value
    """
    height, width, step = message.height, message.width, message.step
    rows = np.frombuffer(message.data, np.uint8, height * step).reshape(height, step)
    high = 0 if message.is_bigendian else depth - 1
    pixels = np.ascontiguousarray(rows[:, high : width * channels * depth : depth])
    return pixels.reshape(height, width) if channels == 1 else pixels.reshape(height, width, channels)


def _decode_compressed(message: Any) -> NDArray[np.uint8]:
    data = np.frombuffer(message.data, np.uint8)
    if "compressedDepth" in message.format:
        raise BadImage(f"format: expected a jpeg or png image, got {message.format!r}")
    if not len(data):
        raise BadImage(f"data: expected a {message.format or 'compressed'} image, got 0 bytes")
    # The decoder silently fills the missing part of a truncated JPEG with grey.
    if is_jpeg(data.data) and not is_whole(data.data):
        raise BadImage(f"data: expected a whole jpeg, got one cut off after {len(data)} bytes")
    kind, conversion = cv2.IMREAD_COLOR, cv2.COLOR_BGR2RGB
    if (mosaic := _mosaic(message.format)) is not None:
        kind, conversion = cv2.IMREAD_GRAYSCALE, mosaic
    try:
        image = cv2.imdecode(data, kind | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:  # for absurd sizes
        image = None
    if image is None:
        raise BadImage(
            f"data: expected a {message.format or 'compressed'} image, cannot decode {len(data)} bytes"
        )
    return np.asarray(cv2.cvtColor(image, conversion), np.uint8)


def _mosaic(text: str) -> int | None:
    """Return the conversion of a Bayer pattern compressed as grey, from `encoding; codec …`, else None."""
    encoding = text.partition(";")[0].strip()
    return EIGHT_BIT[SIXTEEN_BIT.get(encoding, encoding)][1] if encoding in BAYER else None
