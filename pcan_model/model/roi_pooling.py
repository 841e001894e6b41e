"""RoIAlign without an operator of its own: the pyramid in one picture, read by one bilinear sampling.

TensorRT has RoIAlign as a plugin, which TensorRT-RTX lacks when it builds without a GPU; sampling is
everywhere. The result is that of `heads.pool_regions`, for boxes inside the picture.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SAMPLES = 2  # of a cell, along each side


def sample_regions(levels: list[Tensor], boxes: Tensor, level: Tensor, cells: int) -> Tensor:
    """RoIAlign (aligned, 2 x 2 samples a cell), each box from its own level of one picture's pyramid.

    levels  P2..P5, (1, C, H / stride, W / stride)
    boxes   (R, 4) pixels of the network input, inside the picture
    level   (R,)   which level each box is read from, P2 = 0
    returns (R, C, cells, cells)
    """
    atlas, corners = pack(levels)
    own = (level[:, None] == torch.arange(len(levels), device=level.device)).float()  # (R, L)
    sides = torch.tensor([[x.shape[3], x.shape[2]] for x in levels], dtype=torch.float32)
    strides = torch.tensor([2.0 ** (i + 2) for i in range(len(levels))])
    corner, side, stride = own @ corners, own @ sides, own @ strides[:, None]  # (R, 2), (R, 2), (R, 1)

    steps = SAMPLES * cells
    along = (torch.arange(steps) + 0.5) / steps
    first, last = boxes[:, None, :2].float(), boxes[:, None, 2:].float()
    places = (first + along[:, None] * (last - first)) / stride[
        :, None
    ] - 0.5  # (R, steps, 2) cells of a level
    places = torch.minimum(places.clamp_min(0), side[:, None] - 1) + corner[:, None]
    extent = torch.tensor([atlas.shape[3], atlas.shape[2]], dtype=torch.float32)
    x, y = ((2 * places + 1) / extent - 1).unbind(-1)  # (R, steps) each, in [-1, 1] over the atlas

    shape = (len(boxes), steps, steps)
    grid = torch.stack([x[:, None].expand(shape), y[..., None].expand(shape)], -1)  # (R, steps, steps, 2)
    sampled = F.grid_sample(
        atlas.float(), grid.reshape(1, -1, steps, 2), "bilinear", "border", align_corners=False
    )
    pooled = F.avg_pool2d(sampled, SAMPLES)[0].unflatten(1, (len(boxes), cells))  # (C, R, cells, cells)
    return pooled.transpose(0, 1).to(levels[0].dtype)


def pack(levels: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Lay P3, P4, … side by side below P2.

    returns (1, C, H, W), and the upper left corner (x, y) of each level in it, (L, 2)
    """
    finest, *others = levels
    height = others[0].shape[2]
    row = torch.cat([F.pad(x, (0, 0, 0, height - x.shape[2])) for x in others], 3)
    width = max(row.shape[3], finest.shape[3])
    parts = [F.pad(x, (0, width - x.shape[3])) for x in (finest, row)]
    return torch.cat(parts, 2), corners([(x.shape[2], x.shape[3]) for x in levels])


def corners(sizes: list[tuple[int, int]]) -> Tensor:
    """Return where `pack` puts levels of these heights and widths: upper left corners (x, y), (L, 2)."""
    (below, _), *others = sizes
    lefts = [sum(width for _, width in others[:i]) for i in range(len(others))]
    return torch.tensor([[0.0, 0.0], *([float(left), float(below)] for left in lefts)])
