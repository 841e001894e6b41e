"""Boxes, masks and the letterbox: conversion between camera image and network input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
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
    """An image resized to fit the network input at the top left, with its aspect ratio kept.

    Pixel centres lie at + 0.5, so boxes are scaled by multiplication.
    """

    source: tuple[int, int]  # (height, width) of the camera image
    target: tuple[int, int]  # (height, width) of the network input
    fill: tuple[int, ...] = (124, 116, 104)  # RGB right of and below the image; ImageNet's mean
    size: tuple[int, int] = field(init=False, repr=False, compare=False)  # (height, width) inside the target

    def __post_init__(self) -> None:
        if min(self.source) <= 0 or min(self.target) <= 0:
            raise ValueError(f"Letterbox: expected sizes > 0, got source {self.source}, target {self.target}")
        object.__setattr__(self, "size", self._resized())

    def _resized(self) -> tuple[int, int]:
        ratio = min(t / s for t, s in zip(self.target, self.source, strict=True))
        height, width = (max(1, int(s * ratio + 0.5)) for s in self.source)
        return height, width

    @property
    def scale(self) -> tuple[float, float]:
        """Return network pixels per camera pixel along x and y, which differ by rounding only."""
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
        """Convert boxes (..., 4) or points (..., 2) from network pixels to camera pixels."""
        return cast(Boxes, boxes / self._scales(boxes))

    def to_network(self, boxes: Boxes) -> Boxes:
        """Convert boxes (..., 4) or points (..., 2) from camera pixels to network pixels."""
        return cast(Boxes, boxes * self._scales(boxes))

    def _scales(self, boxes: Boxes) -> Boxes:
        return np.array(self.scale * (boxes.shape[-1] // 2), np.float32)


@dataclass(frozen=True, slots=True)
class Resize(Letterbox):
    """An image resized to exactly `target`, without a border."""

    def _resized(self) -> tuple[int, int]:
        return self.target


def fit_image(source: tuple[int, ...], config: InputConfig) -> Letterbox:
    """Return how an image of (height, width) is resized to the network input.

    letterbox  to the input size with a border, by default the mean colour, close to 0 once normalised
    resize     to the largest size within the input, in landscape or portrait, without a border
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
    """Clip boxes (N, 4) to an image; a box outside becomes an empty one on its edge."""
    return np.clip(boxes, 0, np.array([width, height, width, height], np.float32))


def paste_mask(logits: NDArray[np.float32], box: Boxes, height: int, width: int) -> Mask:
    """Paste a mask, given on a grid over its box, into the image.

    The probability is interpolated bilinearly at pixel centres, zero outside the grid, and belongs to
    the object from 0.5 (like grid_sample with align_corners=False, as the released PCAN pastes).
    Bilinear interpolation is separable, so it is two small matrix products; unlike OpenCV's warps,
    which round coordinates to 1/32 of a cell, it is exact.

    logits  (m, m)  over the box
    box     (4,)    x1 y1 x2 y2 in pixels of the image, may extend beyond it
    returns the object's pixels inside the image, possibly none
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
    """Return the probabilities of logits, without overflow."""
    return cast(NDArray[np.float32], 0.5 * (1 + np.tanh(0.5 * logits)))


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    """Return the first and the last + 1 pixel of a box along one axis."""
    if not high > low:
        return 0, 0
    return math.floor(min(max(low, 0.0), size)), math.ceil(min(max(high, 0.0), size))


def _bilinear(first: int, last: int, low: float, high: float, cells: int) -> NDArray[np.float32]:
    """Return the weight of each cell at each pixel centre along one axis, (pixels, cells).

    The weights are a triangle one cell wide on either side. Each step is rounded as in grid_sample, so
    that a pixel at exactly 0.5 falls on the same side.
    """
    start, span = np.float32(low), np.float32(high) - np.float32(low)
    pixels = np.arange(first, last, dtype=np.float32) + np.float32(0.5)
    grid = (pixels - start) / span * np.float32(2) - np.float32(1)  # in [-1, 1] over the box
    at = ((grid + np.float32(1)) * np.float32(cells) - np.float32(1)) / np.float32(2)
    distance = np.abs(at[:, None] - np.arange(cells, dtype=np.float32))
    return np.clip(1 - distance, 0, None)


def trim(mask: Mask) -> Mask:
    """Crop a mask to the bounding box of its pixels."""
    x, y, width, height = cv2.boundingRect(mask.crop)
    if not width * height:
        return EMPTY_MASK
    return Mask(mask.x + x, mask.y + y, mask.crop[y : y + height, x : x + width])


def remove_overlaps(masks: Sequence[Mask], height: int, width: int) -> tuple[Mask, ...]:
    """Assign every pixel of an image to at most one mask, the first that covers it.

    masks   by descending priority
    returns the masks in the same order; a completely hidden one is empty
    """
    taken = np.zeros((height, width), np.uint8)
    return tuple(_claim(mask, taken) for mask in masks)


def _claim(mask: Mask, taken: NDArray[np.uint8]) -> Mask:
    """Return the free pixels of a mask, and mark them in `taken`."""
    h, w = mask.crop.shape
    region: NDArray[Any] = taken[mask.y : mask.y + h, mask.x : mask.x + w]
    free = mask.crop > region
    if not free.any():
        return EMPTY_MASK
    region |= free.view(np.uint8)
    return trim(Mask(mask.x, mask.y, free.view(np.uint8)))
