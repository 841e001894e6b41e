"""Encoding and decoding of masks; needs NumPy and pycocotools, neither ROS nor torch.

To decode a `pcan_ros/InstanceMask`:

    from pcan_model.core.masks import decode
    mask = decode(instance.mask, array.image_height, array.image_width)  # (H, W) uint8, 0 or 1
"""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from pcan_model.core.rle import run_lengths
from pcan_model.core.structures import Mask


class Encoding(IntEnum):
    """Encodings of a mask; the values are those of msg/InstanceMask."""

    NONE = 0  # no mask, no bytes
    RLE_COCO = 1  # the "counts" string of COCO's compressed run lengths, column by column
    BITMAP = 2  # row by row, 8 pixels per byte, first pixel in the highest bit, rows padded to whole bytes
    MONO8 = 3  # row by row, one byte per pixel, 0 or 255


class EncodedMask(Protocol):
    """The fields of `pcan_ros/InstanceMask`."""

    encoding: int
    x_offset: int
    y_offset: int
    width: int
    height: int

    @property
    def data(self) -> bytes:
        """Return the bytes, or any buffer object."""


def encode_crop(crop: NDArray[np.uint8], encoding: Encoding) -> bytes:
    """Return the bytes of a mask crop, (h, w) of 0 and 1."""
    if encoding == Encoding.NONE or crop.size == 0:
        return b""
    if encoding == Encoding.RLE_COCO:
        counts: bytes = coco.encode(np.asfortranarray(crop))["counts"]
        return counts
    if encoding == Encoding.BITMAP:
        return np.packbits(crop, axis=1).tobytes()
    return (crop * np.uint8(255)).tobytes()


def decode_crop(mask: EncodedMask) -> NDArray[np.uint8]:
    """Return the crop of a mask message, (mask.height, mask.width) of 0 and 1.

    Raises ValueError for an unknown encoding or a wrong number of bytes.
    """
    size = (mask.height, mask.width)
    encoding = _encoding(mask.encoding)
    data = bytes(mask.data)
    if encoding == Encoding.NONE or 0 in size:
        return np.zeros(size, np.uint8)
    if encoding == Encoding.RLE_COCO:
        return _from_rle(data, size)
    row = -(-mask.width // 8) if encoding == Encoding.BITMAP else mask.width
    if len(data) != mask.height * row:
        raise ValueError(
            f"mask.data: expected {mask.height * row} bytes for {size} {encoding.name}, got {len(data)}"
        )
    values = np.frombuffer(data, np.uint8).reshape(mask.height, row)
    if encoding == Encoding.BITMAP:
        return np.unpackbits(values, axis=1, count=mask.width)
    return (values > 127).astype(np.uint8)


def decode(mask: EncodedMask, height: int, width: int) -> NDArray[np.uint8]:
    """Return a mask message as a full image, (height, width) of 0 and 1.

    height, width  `image_height` and `image_width` of the TrackedInstanceArray
    """
    crop = decode_crop(mask)
    right, bottom = mask.x_offset + mask.width, mask.y_offset + mask.height
    if right > width or bottom > height:
        raise ValueError(f"mask: expected inside {width}x{height}, reaches to column {right}, row {bottom}")
    return Mask(mask.x_offset, mask.y_offset, crop).full(height, width)


def _encoding(value: int) -> Encoding:
    try:
        return Encoding(value)
    except ValueError:
        known = ", ".join(f"{e.value} ({e.name})" for e in Encoding)
        raise ValueError(f"mask.encoding: expected one of {known}, got {value}") from None


def _from_rle(data: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    # pycocotools reads past its buffer on counts that do not add up: check before decoding.
    if sum(run_lengths(data)) != size[0] * size[1]:
        raise ValueError(
            f"mask.data: expected run lengths that cover {size}, got {sum(run_lengths(data))} pixels"
        )
    crop: NDArray[np.uint8] = coco.decode({"size": list(size), "counts": data})
    return np.ascontiguousarray(crop)
