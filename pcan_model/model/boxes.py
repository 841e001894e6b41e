"""Boxes as tensors: anchors, box coder, IoU and non-maximum suppression with static shapes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

MAX_LOG_SCALE = abs(math.log(16 / 1000))  # a box grows or shrinks at most 62.5 times


def grid_anchors(height: int, width: int, stride: int, scale: float, ratios: tuple[float, ...]) -> Tensor:
    """Anchors of one pyramid level, ordered by row, column and ratio.

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
    """Encode boxes as offsets from reference boxes, the inverse of `decode`.

    boxes, references  (..., 4) x1 y1 x2 y2
    std                divisors of the centre offsets and of the log size ratios
    """
    centre, size = _centre_size(boxes)
    origin, scale = _centre_size(references)
    return torch.cat([(centre - origin) / scale / std[0], (size / scale).log() / std[1]], -1)


def decode(offsets: Tensor, references: Tensor, std: tuple[float, float], size: tuple[int, int]) -> Tensor:
    """Decode offsets (..., 4) from reference boxes (..., 4), clipped to an image of size (height, width)."""
    origin, scale = _centre_size(references)
    centre = origin + offsets[..., :2] * std[0] * scale
    half = 0.5 * scale * (offsets[..., 2:] * std[1]).clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE).exp()
    return clip(torch.cat([centre - half, centre + half], -1), size)


def clip(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Clip boxes (..., 4) to an image of size (height, width)."""
    x, y = boxes[..., 0::2].clamp(0, size[1]), boxes[..., 1::2].clamp(0, size[0])
    return torch.stack([x[..., 0], y[..., 0], x[..., 1], y[..., 1]], -1)


def overlaps(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union: a (..., A, 4), b (..., B, 4) -> (..., A, B); 0 for empty boxes."""
    shared = []  # width and height as one (A, B) tensor each: a last dimension of size 2 is slow
    for first, last in ((0, 2), (1, 3)):
        begin = torch.maximum(a[..., :, None, first], b[..., None, :, first])
        end = torch.minimum(a[..., :, None, last], b[..., None, :, last])
        shared.append((end - begin).clamp_min(0))
    common = shared[0] * shared[1]
    area_a, area_b = ((x[..., 2:] - x[..., :2]).prod(-1) for x in (a, b))
    return common / (area_a[..., :, None] + area_b[..., None, :] - common).clamp_min(1e-6)


def suppress(boxes: Tensor, groups: Tensor, iou: float, steps: int) -> tuple[Tensor, Tensor]:
    """Greedy non-maximum suppression by fixed-point iteration: static shapes, so it can be exported.

    A box is kept unless a better kept box overlaps it by more than `iou`. The iteration starts with every
    box kept; `steps` iterations resolve chains of suppressions up to that length.
    boxes   (L, N, 4)  by descending score
    groups  (L, N)     only boxes of the same group suppress each other
    returns (L, N) float, 1 if kept; and () bool, whether it converged to the greedy result
    """
    n = boxes.shape[-2]
    before = torch.ones(n, n, dtype=torch.bool, device=boxes.device).triu(1)
    rivals = (overlaps(boxes, boxes) > iou) & (groups[..., :, None] == groups[..., None, :]) & before
    strength = rivals.to(boxes.dtype)
    keep = torch.ones_like(boxes[..., 0])
    previous = keep
    for _ in range(steps):
        previous, keep = keep, 1 - (keep[..., None, :] @ strength)[..., 0, :].clamp_max(1)
    return keep, (previous == keep).all()
