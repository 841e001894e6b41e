"""Fuzz target: decoders of masks. Any bytes give the mask of pycocotools, or ValueError."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from pycocotools import mask as coco

from pcan_model.core import rle
from pcan_model.core.masks import Encoding, decode, encode_crop

EXPECTED = (ValueError,)
SHAPE = (9, 13)


def seeds() -> Iterator[bytes]:
    """Yield encoding, height, width and the data of small masks."""
    crop = (np.random.default_rng(0).random(SHAPE) < 0.4).astype(np.uint8)
    for encoding in Encoding:
        yield bytes([encoding, *SHAPE]) + encode_crop(crop, encoding)


def check(data: bytes, folder: Path) -> None:
    """Decode the bytes as a message's mask and as run lengths of a file."""
    encoding, height, width = data[:3].ljust(3, b"\1")
    body = data[3:]
    mask = SimpleNamespace(encoding=encoding, x_offset=2, y_offset=1, height=height, width=width, data=body)
    decoded = decode(mask, 300, 300)
    assert decoded.shape == (300, 300) and decoded.max() <= 1
    if encoding == Encoding.RLE_COCO and height and width:
        run = rle.check({"size": [height, width], "counts": body}, file="f", key="k")
        np.testing.assert_array_equal(decoded[1 : 1 + height, 2 : 2 + width], coco.decode(run))
