"""Assign cells to objects: inside the box, near its centre, at the level of its size."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from pcan_model.core.sipmask_config import SipMaskConfig
from pcan_model.sipmask.boxes import area, boxes_around, cell_points
from pcan_model.sipmask.strides import STRIDES

BACKGROUND = -1
NO_LIMIT = 1e8  # pixels; the coarsest level takes whatever is larger than the others' ranges


@dataclass(frozen=True, slots=True, eq=False)
class ImageCells:
    """All P cells of an image, level by level, by row."""

    points: Tensor  # (P, 2) x y of the middles, pixels
    strides: Tensor  # (P,) pixels
    ranges: Tensor  # (P, 2) smallest and largest distance to a side that the level learns, pixels


@dataclass(frozen=True, slots=True, eq=False)
class CellTargets:
    """Targets of the cells of one image."""

    index: Tensor  # (P,) row of the object, or BACKGROUND
    labels: Tensor  # (P,) class of the object, or BACKGROUND
    distances: Tensor  # (P, 4) from the point to the object's left, top, right, bottom; 0 for background

    @property
    def positive(self) -> Tensor:
        """Return the positive cells (R,), in order."""
        return (self.index != BACKGROUND).nonzero()[:, 0]


def image_cells(sizes: list[tuple[int, int]], config: SipMaskConfig, device: torch.device) -> ImageCells:
    """Lay out the cells of levels of these (height, width)."""
    points = [cell_points(h, w, stride) for (h, w), stride in zip(sizes, STRIDES, strict=True)]
    limits = [-1.0, *config.ranges, NO_LIMIT]
    counts = torch.tensor([len(p) for p in points])
    ranges = torch.tensor(list(pairwise(limits)))
    per_level = (torch.tensor(STRIDES, dtype=torch.float32), ranges)
    strides, ranges = (x.repeat_interleave(counts, 0).to(device) for x in per_level)
    return ImageCells(torch.cat(points).to(device), strides, ranges)


def assign(cells: ImageCells, boxes: Tensor, labels: Tensor, config: SipMaskConfig) -> CellTargets:
    """Assign each cell an object: of several the smallest, of equally small ones the first.

    boxes   (G, 4) x1 y1 x2 y2 in pixels; G may be 0
    labels  (G,) class
    """
    if not len(boxes):
        nothing = torch.full((len(cells.points),), BACKGROUND, device=cells.points.device)
        return CellTargets(nothing, nothing, cells.points.new_zeros(len(nothing), 4))
    distances = side_distances(cells.points[:, None], boxes)  # (P, G, 4)
    reach = (distances.amax(-1) >= cells.ranges[:, :1]) & (distances.amax(-1) <= cells.ranges[:, 1:])
    areas = area(boxes, 1.0).expand(reach.shape)
    areas = areas.masked_fill(~(reach & near_centre(cells, boxes, config.radius)), torch.inf)
    smallest, index = areas.min(1)
    index = torch.where(smallest.isinf(), BACKGROUND, index)
    found = index != BACKGROUND
    chosen = index.clamp_min(0)
    own = distances[torch.arange(len(chosen), device=chosen.device), chosen]
    return CellTargets(index, torch.where(found, labels[chosen], BACKGROUND), own * found[:, None])


def side_distances(points: Tensor, boxes: Tensor) -> Tensor:
    """Return distances (..., 4) from points (..., 2) to the left, top, right and bottom of boxes (..., 4)."""
    return torch.cat([points - boxes[..., :2], boxes[..., 2:] - points], -1)


def near_centre(cells: ImageCells, boxes: Tensor, radius: float) -> Tensor:
    """Return whether cells are inside boxes (G, 4) and in a square around their centres: (P, G)."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    square = boxes_around(centres, (radius * cells.strides)[:, None, None].expand(-1, len(boxes), 4))
    low, high = torch.maximum(square[..., :2], boxes[:, :2]), torch.minimum(square[..., 2:], boxes[:, 2:])
    region = torch.cat([low, high], -1)  # (P, G, 4)
    return side_distances(cells.points[:, None], region).amin(-1) > 0


def centreness(distances: Tensor) -> Tensor:
    """Return 1 at the middle of an object, 0 at its border: distances (R, 4) to its sides -> (R,)."""
    left, top, right, bottom = distances.unbind(-1)
    across = torch.minimum(left, right) / torch.maximum(left, right)
    down = torch.minimum(top, bottom) / torch.maximum(top, bottom)
    return (across * down).sqrt()
