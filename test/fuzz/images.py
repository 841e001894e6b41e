"""Fuzz target: images of messages. Any message gives an RGB image of its size, or BadImage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np

from pcan_model.data.image_decoding import EIGHT_BIT, SIXTEEN_BIT, TWO_PLANES, BadImage, decode

EXPECTED = (BadImage,)
ENCODINGS = (*EIGHT_BIT, *SIXTEEN_BIT, *TWO_PLANES, "32FC1", "")
FORMATS = ("", "jpeg", "png", "rgb8; jpeg compressed bgr8", "bayer_rggb8; png", "16UC1; compressedDepth png")
SUFFIXES = (".png", ".jpg", ".bmp", ".webp", ".tiff", ".ppm")
MOST_PIXELS = 1 << 28


def seeds() -> Iterator[bytes]:
    """Yield raw messages of every encoding, and compressed ones of every codec."""
    for number in range(len(ENCODINGS)):
        yield bytes([number, 4, 6, 60, 0]) + bytes(range(240))
    image = np.arange(9 * 16 * 3, dtype=np.uint8).reshape(9, 16, 3)
    for suffix in SUFFIXES:
        yield bytes([255, 0, 0, 0, 0]) + cv2.imencode(suffix, image)[1].tobytes()


def check(data: bytes, folder: Path) -> None:
    """Decode the bytes as an Image, or as a CompressedImage if the first byte is high."""
    kind, height, width, step, order = data[:5].ljust(5, b"\1")
    body = np.frombuffer(data[5:], np.uint8)
    if kind >= 128:
        message = SimpleNamespace(format=FORMATS[kind % len(FORMATS)], data=body)
    else:
        encoding = ENCODINGS[kind % len(ENCODINGS)]
        message = SimpleNamespace(
            encoding=encoding, height=height, width=width, step=step, is_bigendian=order & 1, data=body
        )
    image = decode(message, "bgr" if order & 2 else "rgb")
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    assert image.shape[0] * image.shape[1] <= MOST_PIXELS
    assert kind >= 128 or image.shape[:2] == (height, width)
