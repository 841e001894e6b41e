"""Box geometry in SipMask's conventions."""

from __future__ import annotations

import torch
from torch import Tensor


def overlap(a: Tensor, b: Tensor, *, extra: float) -> Tensor:
    """Intersection over union of boxes (..., 4) and (..., 4), which broadcast: (...).

    extra  added to every width and height: 1 counts both border pixels, 0 measures lengths
    Nothing is cut: boxes without area give NaN at extra 0, inverted ones have a positive area.
    """
    size = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2]) + extra
    shared = size.clamp_min(0).prod(-1)
    return shared / (area(a, extra) + area(b, extra) - shared)


def area(boxes: Tensor, extra: float) -> Tensor:
    """Return width times height of boxes (..., 4), both plus `extra`: (...)."""
    return (boxes[..., 2] - boxes[..., 0] + extra) * (boxes[..., 3] - boxes[..., 1] + extra)


def boxes_around(points: Tensor, distances: Tensor) -> Tensor:
    """Return boxes (..., 4) from points (..., 2) x y and distances (..., 4) to left, top, right, bottom."""
    return torch.cat([points - distances[..., :2], points + distances[..., 2:]], -1)


def cell_points(height: int, width: int, stride: int) -> Tensor:
    """Return the points (height * width, 2) x y of a level's cells, by row: the middles of the cells."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (torch.stack([x, y], -1).reshape(-1, 2) * stride + stride // 2).float()
