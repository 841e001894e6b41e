"""Outputs of a one-stage detector per cell, and their decoding to boxes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

MAX_LOG_SIZE = 6.0  # a box is at most e^6 = 403 strides wide


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The A cells of all levels of B images, level by level, row by row."""

    classes: Tensor  # (B, A, K) logits
    offsets: Tensor  # (B, A, 4) centre x, y in cells off the cell's own corner, log width, log height
    objectness: Tensor  # (B, A) logits

    def scores(self) -> Tensor:
        """Return the score of each class, (B, A, K): objectness times class."""
        return self.classes.sigmoid() * self.objectness.sigmoid()[..., None]


def grid(sizes: list[tuple[int, int]], strides: tuple[int, ...]) -> Tensor:
    """Return column, row and stride of every cell, (A, 3) float32, of levels of these heights and widths."""
    parts = []
    for (height, width), stride in zip(sizes, strides, strict=True):
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        cells = torch.stack([x, y, torch.full_like(x, stride)], -1)
        parts.append(cells.reshape(-1, 3).float())
    return torch.cat(parts)


def decode_cells(offsets: Tensor, cells: Tensor) -> Tensor:
    """Return boxes (..., 4), x1 y1 x2 y2 in pixels of the network input, of offsets and their `grid` rows."""
    stride = cells[..., 2:]
    centre = (offsets[..., :2] + cells[..., :2]) * stride
    half = 0.5 * offsets[..., 2:].clamp_max(MAX_LOG_SIZE).exp() * stride
    return torch.cat([centre - half, centre + half], -1)
