"""Boxes as tensors: anchors, the box coder, overlaps and a suppression of static shape."""

from __future__ import annotations

import math

import torch
from torch import Tensor

MAX_LOG_SCALE = abs(math.log(16 / 1000))  # a box grows or shrinks at most 62.5 times


def grid_anchors(height: int, width: int, stride: int, scale: float, ratios: tuple[float, ...]) -> Tensor:
    """Anchors of one pyramid level, by row, column, ratio.

    returns (height * width * R, 4) float32, x1 y1 x2 y2 in pixels of the network input,
    centred at (column * stride, row * stride), side scale * stride, ratio = height / width
    """
    root = torch.tensor(ratios).sqrt()
    half = 0.5 * scale * stride * torch.stack([1 / root, root], 1)  # (R, 2) half width, half height
    base = torch.cat([-half, half], 1)
    y, x = torch.meshgrid(torch.arange(height) * stride, torch.arange(width) * stride, indexing="ij")
    shift = torch.stack([x, y, x, y], -1).reshape(-1, 1, 4).float()
    return (shift + base).reshape(-1, 4)


def _centre_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    size = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + 0.5 * size, size


def encode(boxes: Tensor, references: Tensor, std: tuple[float, float]) -> Tensor:
    """Offsets that `decode` turns into boxes; (..., 4) each, std = (of centres, of log sizes)."""
    centre, size = _centre_size(boxes)
    origin, scale = _centre_size(references)
    return torch.cat([(centre - origin) / scale / std[0], (size / scale).log() / std[1]], -1)


def decode(offsets: Tensor, references: Tensor, std: tuple[float, float], size: tuple[int, int]) -> Tensor:
    """Boxes from offsets, cut to an image of size (height, width); (..., 4) each."""
    origin, scale = _centre_size(references)
    centre = origin + offsets[..., :2] * std[0] * scale
    half = 0.5 * scale * (offsets[..., 2:] * std[1]).clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE).exp()
    return clip(torch.cat([centre - half, centre + half], -1), size)


def clip(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut boxes (..., 4) to an image of size (height, width)."""
    x, y = boxes[..., 0::2].clamp(0, size[1]), boxes[..., 1::2].clamp(0, size[0])
    return torch.stack([x[..., 0], y[..., 0], x[..., 1], y[..., 1]], -1)


def overlaps(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union: a (..., A, 4), b (..., B, 4) -> (..., A, B); 0 for empty boxes."""
    shared = []  # width and height, each a whole (A, B): pairs of two numbers are slow to go through
    for first, last in ((0, 2), (1, 3)):
        begin = torch.maximum(a[..., :, None, first], b[..., None, :, first])
        end = torch.minimum(a[..., :, None, last], b[..., None, :, last])
        shared.append((end - begin).clamp_min(0))
    common = shared[0] * shared[1]
    area_a, area_b = ((x[..., 2:] - x[..., :2]).prod(-1) for x in (a, b))
    return common / (area_a[..., :, None] + area_b[..., None, :] - common).clamp_min(1e-6)


def suppress(boxes: Tensor, groups: Tensor, iou: float, steps: int) -> tuple[Tensor, Tensor]:
    """Greedy non-maximum suppression as a fixed point: no data-dependent shape, so it exports.

    A box is kept unless a kept one before it overlaps it more than `iou`. Starting from "keep all",
    `steps` rounds settle every chain of suppressions of at most that length.
    boxes   (L, N, 4)  by falling score
    groups  (L, N)     only boxes of one group compete
    returns (L, N) float, 1 kept; and () bool, whether the result is exactly the greedy one
    """
    n = boxes.shape[-2]
    before = torch.ones(n, n, dtype=torch.bool, device=boxes.device).triu(1)
    rivals = (overlaps(boxes, boxes) > iou) & (groups[..., :, None] == groups[..., None, :]) & before
    strength = rivals.to(boxes.dtype)
    keep = torch.ones_like(boxes[..., 0])
    settled = keep
    for _ in range(steps):
        settled, keep = keep, 1 - (keep[..., None, :] @ strength)[..., 0, :].clamp_max(1)
    return keep, (settled == keep).all()
