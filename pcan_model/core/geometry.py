"""Boxes, masks and the letterbox: how the camera image and the network input fit together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.core.config import InputConfig
from pcan_model.core.structures import EMPTY_MASK, Mask

Boxes = NDArray[np.float32]  # (N, 4) x1 y1 x2 y2, or one box (4,)
EPS = 1e-9


@dataclass(frozen=True, slots=True)
class Letterbox:
    """An image resized to fit the network input, top left, its proportions kept.

    A pixel's centre lies at + 0.5, so a box scales by plain multiplication.
    """

    source: tuple[int, int]  # (height, width) of the camera image
    target: tuple[int, int]  # (height, width) of the network input
    fill: tuple[int, ...] = (124, 116, 104)  # RGB right of and below the image; ImageNet's mean

    def __post_init__(self) -> None:
        if min(self.source) <= 0 or min(self.target) <= 0:
            raise ValueError(f"Letterbox: expected sizes > 0, got source {self.source}, target {self.target}")

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) of the resized image inside the network input."""
        ratio = min(t / s for t, s in zip(self.target, self.source, strict=True))
        height, width = (max(1, int(s * ratio + 0.5)) for s in self.source)
        return height, width

    @property
    def scale(self) -> tuple[float, float]:
        """Return network pixels per camera pixel along x and y; they differ by rounding only."""
        (height, width), (inner_height, inner_width) = self.source, self.size
        return inner_width / width, inner_height / height

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize and pad an image.

        image   (h, w, 3)  uint8 RGB of the source size
        returns (H, W, 3)  uint8 RGB of the target size
        """
        if image.shape[:2] != self.source:
            raise ValueError(f"Letterbox: image: expected {self.source}, got {image.shape[:2]}")
        height, width = self.size
        if self.size != self.source:
            image = _resize(image, height, width)
        if self.size == self.target:
            return np.ascontiguousarray(image)
        padded = np.empty((*self.target, 3), np.uint8)
        padded[:height, :width] = image
        padded[height:], padded[:height, width:] = self.fill, self.fill
        return padded

    def to_image(self, boxes: Boxes) -> Boxes:
        """Move boxes (..., 4) or points (..., 2) from network pixels to camera pixels."""
        return cast(Boxes, boxes / self._scales(boxes))

    def to_network(self, boxes: Boxes) -> Boxes:
        """Move boxes (..., 4) or points (..., 2) from camera pixels to network pixels."""
        return cast(Boxes, boxes * self._scales(boxes))

    def _scales(self, boxes: Boxes) -> Boxes:
        return np.array(self.scale * (boxes.shape[-1] // 2), np.float32)


@dataclass(frozen=True, slots=True)
class Resize(Letterbox):
    """An image resized to exactly `target`, without a border."""

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) of the resized image: the target."""
        return self.target


def fit_image(source: tuple[int, ...], config: InputConfig) -> Letterbox:
    """Say how an image of (height, width) becomes the network's input.

    letterbox  into the input's size; unless told, the border is close to 0 once the mean is subtracted
    resize     as large as its sides fit in the input's, lying or standing, without a border
    """
    height, width = source[:2]
    limit = config.height, config.width
    if config.fit == "letterbox":
        fill = config.border or config.mean
        return Letterbox((height, width), limit, tuple(round(channel) for channel in fill))
    ratio = min(max(limit) / max(height, width), min(limit) / min(height, width))
    target = int(height * ratio + 0.5), int(width * ratio + 0.5)
    return Resize((height, width), (max(1, target[0]), max(1, target[1])))


def _resize(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return cast(NDArray[np.uint8], resized)


def box_iou(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Return intersection over union of every pair; 0 where both boxes are empty.

    a       (N, 4)
    b       (M, 4)
    returns (N, M)
    """
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    union = _areas(a)[:, None] + _areas(b)[None] - shared
    return cast(NDArray[np.float32], (shared / np.maximum(union, EPS)).astype(np.float32))


def _areas(boxes: Boxes) -> NDArray[np.float32]:
    return cast(NDArray[np.float32], np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(-1))


def clip_boxes(boxes: Boxes, height: int, width: int) -> Boxes:
    """Cut boxes (N, 4) to an image; a box outside becomes one without area on its edge."""
    return np.clip(boxes, 0, np.array([width, height, width, height], np.float32))


def paste_mask(logits: NDArray[np.float32], box: Boxes, height: int, width: int) -> Mask:
    """Draw a mask, given on a grid over its box, into the image.

    The probability is read bilinearly at pixel centres, zero outside the grid, and is on the
    object from 0.5 (as grid_sample with align_corners=False, the released PCAN's pasting). A
    bilinear read is linear along each axis, so it is two small matrix products: exact, which
    OpenCV's warps are not (they round coordinates to 1/32 of a cell).

    logits  (m, m)  over the box
    box     (4,)    x1 y1 x2 y2 in pixels of the image, may reach beyond it
    returns the object's pixels inside the image, maybe none
    """
    x1, y1, x2, y2 = (float(side) for side in box)
    left, right = _span(x1, x2, width)
    top, bottom = _span(y1, y2, height)
    if left >= right or top >= bottom:
        return EMPTY_MASK
    rows = _bilinear(top, bottom, y1, y2, logits.shape[0])
    columns = _bilinear(left, right, x1, x2, logits.shape[1])
    probability = rows @ sigmoid(logits) @ columns.T
    return trim(Mask(left, top, (probability >= 0.5).astype(np.uint8)))


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn logits into probabilities, without overflow."""
    return cast(NDArray[np.float32], 0.5 * (1 + np.tanh(0.5 * logits)))


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    """Return the first and the last + 1 pixel that a box can colour along one axis."""
    if not high > low:
        return 0, 0
    return int(np.floor(np.clip(low, 0, size))), int(np.ceil(np.clip(high, 0, size)))


def _bilinear(first: int, last: int, low: float, high: float, cells: int) -> NDArray[np.float32]:
    """Return how much each pixel centre reads of each cell along one axis, (pixels, cells).

    A pixel reads the cell centres by a triangle as wide as one cell on either side. Rounded step by
    step as grid_sample does, so that a pixel at exactly 0.5 falls to the same side.
    """
    start, span = np.float32(low), np.float32(high) - np.float32(low)
    pixels = np.arange(first, last, dtype=np.float32) + np.float32(0.5)
    grid = (pixels - start) / span * np.float32(2) - np.float32(1)  # in [-1, 1] over the box
    at = ((grid + np.float32(1)) * np.float32(cells) - np.float32(1)) / np.float32(2)
    distance = np.abs(at[:, None] - np.arange(cells, dtype=np.float32))
    return np.clip(1 - distance, 0, None)


def trim(mask: Mask) -> Mask:
    """Cut a mask to the smallest box that holds its pixels."""
    x, y, width, height = cv2.boundingRect(mask.crop)
    if not width * height:
        return EMPTY_MASK
    return Mask(mask.x + x, mask.y + y, mask.crop[y : y + height, x : x + width])


def remove_overlaps(masks: Sequence[Mask], height: int, width: int) -> tuple[Mask, ...]:
    """Give every pixel of an image to at most one mask: the first that claims it.

    masks   by falling priority
    returns the masks in the same order; a wholly hidden one is empty
    """
    taken = np.zeros((height, width), np.uint8)
    return tuple(_claim(mask, taken) for mask in masks)


def _claim(mask: Mask, taken: NDArray[np.uint8]) -> Mask:
    """Take what is still free of a mask's pixels, and mark it in `taken`."""
    h, w = mask.crop.shape
    region: NDArray[Any] = taken[mask.y : mask.y + h, mask.x : mask.x + w]
    free = mask.crop > region
    if not free.any():
        return EMPTY_MASK
    region |= free.view(np.uint8)
    return trim(Mask(mask.x, mask.y, free.view(np.uint8)))
