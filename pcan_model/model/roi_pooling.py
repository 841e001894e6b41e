"""RoIAlign over a feature pyramid (aligned; Mask R-CNN, sec. 3): each box is pooled from one level.

Three implementations with the same result for boxes inside the image:

  pool_by_level    one RoIAlign per level; shapes depend on the data
  pool_packed      one RoIAlign over all levels packed into one map; static shapes
  sample_regions   one bilinear grid sampling of the packed pyramid; static shapes, no RoIAlign operator:
                   TensorRT has it as a plugin, which TensorRT-RTX lacks when building without a GPU
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import roi_align

FINEST = 56.0  # pixels; boxes below twice this side are pooled from P2, one level up for each doubling
SAMPLES = 2  # per cell along each axis

Sizes = list[tuple[int, int]]  # (height, width) of each level


def levels_of(boxes: Tensor) -> Tensor:
    """Return the level index of each box: P2 = 0 below twice FINEST, one more for each doubling."""
    side = (boxes[:, 2:] - boxes[:, :2]).prod(-1).clamp_min(0).sqrt()
    return (side >= FINEST * 2).long() + (side >= FINEST * 4).long() + (side >= FINEST * 8).long()


def pool_by_level(
    levels: list[Tensor], boxes: Tensor, image: Tensor, cells: int, *, samples: int = SAMPLES
) -> Tensor:
    """Pool each box from its own level.

    levels  P2..P5, (B, C, H / stride, W / stride)
    boxes   (R, 4) pixels of the network input, inside the image
    image   (R,)   index of each box's image, 0 to B - 1
    samples per cell along each axis; 0: one per pixel of the level
    returns (R, C, cells, cells)
    """
    level, rois = levels_of(boxes), _rois(boxes, image)
    own = [(level == i).nonzero()[:, 0] for i in range(len(levels))]
    pooled = torch.cat([_align(levels, i, rois[index], cells, samples) for i, index in enumerate(own)])
    return pooled[torch.cat(own).argsort()]


def pool_regions(levels: list[Tensor], boxes: Tensor, image: Tensor, cells: int) -> Tensor:
    """Pool as `pool_by_level` does, 2 x 2 samples per cell, with static shapes: from the packed pyramid."""
    sizes = [(level.shape[2], level.shape[3]) for level in levels]
    return pool_packed(pack_with_edges(levels), sizes, boxes, image, cells).to(levels[0].dtype)


def pool_packed(
    packed: Tensor, sizes: Sizes, boxes: Tensor, image: Tensor, cells: int, *, samples: int = SAMPLES
) -> Tensor:
    """Pool as `pool_by_level` does, from the packed pyramid of levels of these heights and widths.

    packed  (B, C, H, W) from `pack_with_edges`
    """
    level = levels_of(boxes)
    scale = boxes.new_tensor([2.0 ** -(i + 2) for i in range(len(sizes))], dtype=torch.float32)[level]
    first = corners([(height + 2, width + 2) for height, width in sizes]).to(boxes.device) + 1
    rois = _rois(boxes.float() * scale[:, None] + first[level].repeat(1, 2), image)
    return roi_align(packed, rois, cells, 1.0, samples, True)


def sample_regions(levels: list[Tensor], boxes: Tensor, level: Tensor, cells: int) -> Tensor:
    """Pool each box from its own level of one image's pyramid, by 2 x 2 bilinear samples per cell.

    levels  P2..P5, (1, C, H / stride, W / stride)
    boxes   (R, 4) pixels of the network input, inside the image
    level   (R,)   level index of each box, P2 = 0
    returns (R, C, cells, cells)
    """
    packed, corners = pack(levels)
    own = (level[:, None] == torch.arange(len(levels), device=level.device)).float()  # (R, L)
    sides = torch.tensor([[x.shape[3], x.shape[2]] for x in levels], dtype=torch.float32)
    strides = torch.tensor([2.0 ** (i + 2) for i in range(len(levels))])
    corner, side, stride = own @ corners, own @ sides, own @ strides[:, None]  # (R, 2), (R, 2), (R, 1)

    steps = SAMPLES * cells
    along = (torch.arange(steps) + 0.5) / steps
    first, last = boxes[:, None, :2].float(), boxes[:, None, 2:].float()
    points = first + along[:, None] * (last - first)
    points = points / stride[:, None] - 0.5  # (R, steps, 2) cells of a level
    points = torch.minimum(points.clamp_min(0), side[:, None] - 1) + corner[:, None]
    extent = torch.tensor([packed.shape[3], packed.shape[2]], dtype=torch.float32)
    x, y = ((2 * points + 1) / extent - 1).unbind(-1)  # (R, steps) each, in [-1, 1] over the packed pyramid

    shape = (len(boxes), steps, steps)
    grid = torch.stack([x[:, None].expand(shape), y[..., None].expand(shape)], -1)  # (R, steps, steps, 2)
    sampled = functional.grid_sample(
        packed.float(), grid.reshape(1, -1, steps, 2), "bilinear", "border", align_corners=False
    )
    pooled = functional.avg_pool2d(sampled, SAMPLES)[0].unflatten(1, (len(boxes), cells))
    return pooled.transpose(0, 1).to(levels[0].dtype)  # from (C, R, cells, cells)


def pack_with_edges(levels: list[Tensor]) -> Tensor:
    """Pack the levels (B, C, H, W), each padded with its edge values, as RoIAlign extrapolates."""
    return pack([functional.pad(level.float(), (1, 1, 1, 1), mode="replicate") for level in levels])[0]


def pack(levels: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Pack the pyramid into one map: P2 on top, P3, P4, … side by side below it.

    returns (B, C, H, W), and the top left corner (x, y) of each level in it, (L, 2)
    """
    finest, *others = levels
    height = others[0].shape[2]
    row = torch.cat([functional.pad(x, (0, 0, 0, height - x.shape[2])) for x in others], 3)
    width = max(row.shape[3], finest.shape[3])
    parts = [functional.pad(x, (0, width - x.shape[3])) if width > x.shape[3] else x for x in (finest, row)]
    return torch.cat(parts, 2), corners([(x.shape[2], x.shape[3]) for x in levels])


def corners(sizes: Sizes) -> Tensor:
    """Return the top left corners (x, y), (L, 2), of levels of these heights and widths in the packed map."""
    (below, _), *others = sizes
    lefts = [sum(width for _, width in others[:i]) for i in range(len(others))]
    return torch.tensor([[0.0, 0.0], *([float(left), float(below)] for left in lefts)])


def _rois(boxes: Tensor, image: Tensor) -> Tensor:
    return torch.cat([image.to(boxes.dtype)[:, None], boxes], 1)


def _align(levels: list[Tensor], i: int, rois: Tensor, cells: int, samples: int) -> Tensor:
    """Pool one level in at least float32: bfloat16 would shift a box at column 500 by up to a pixel."""
    wide = torch.promote_types(levels[i].dtype, torch.float32)
    pooled = roi_align(levels[i].to(wide), rois.to(wide), cells, 2.0 ** -(i + 2), samples, True)
    return pooled.to(levels[i].dtype)
