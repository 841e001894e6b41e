"""Decode head outputs to detections: candidates per level, boxes in camera pixels, fast NMS."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pcan_model.sipmask.boxes import boxes_around, cell_points
from pcan_model.sipmask.head import HeadMaps
from pcan_model.sipmask.strides import STRIDES
from pcan_model.sipmask.suppression import DetectionLimits, fast_nms


@dataclass(frozen=True, slots=True, eq=False)
class ScoredCells:
    """K cells of one image that may become detections."""

    cells: Tensor  # (K,) running number over all levels, by row
    boxes: Tensor  # (K, 4) x1 y1 x2 y2 in camera pixels
    scores: Tensor  # (K, classes) class times centre-ness


@dataclass(frozen=True, slots=True, eq=False)
class SipMaskDetections:
    """N detections of one image by descending score; N may be 0."""

    cells: Tensor  # (N,) where each comes from, running number over all levels
    boxes: Tensor  # (N, 4) x1 y1 x2 y2 in camera pixels
    scores: Tensor  # (N,) in (0, 1)
    labels: Tensor  # (N,) class
    coefficients: Tensor  # (N, 4 * basis) of the mask's quadrants


def candidates(
    maps: HeadMaps, image: int, size: tuple[int, int], factor: float, limits: DetectionLimits
) -> ScoredCells:
    """Return the best cells of every level.

    image   row of the batch
    size    (height, width) of the resized image, without the padding; boxes are cut to its pixels
    factor  network pixels per camera pixel; 1 leaves boxes in network pixels
    """
    parts, first = [], 0
    for level, stride in enumerate(STRIDES):
        logits, centres = maps.logits[level][image].flatten(1).T, maps.centres[level][image].flatten()
        points = cell_points(maps.logits[level].shape[2], maps.logits[level].shape[3], stride).to(
            logits.device
        )
        boxes = boxes_around(points, maps.distances[level][image].flatten(1).T)
        scores = logits.sigmoid() * centres.sigmoid()[:, None]
        best = best_cells(scores, limits.per_level)
        parts.append((best + first, boxes[best], scores[best]))
        first += len(scores)
    cells, boxes, scores = (torch.cat(part) for part in zip(*parts, strict=True))
    return ScoredCells(cells, cut(boxes, size) / boxes.new_tensor(factor), scores)


def best_cells(scores: Tensor, count: int) -> Tensor:
    """Return the rows of scores (K, C) with the largest best class; all in order where `count` suffice."""
    if len(scores) <= count:
        return torch.arange(len(scores), device=scores.device)
    return scores.amax(1).argsort(descending=True, stable=True)[:count]


def cut(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut boxes (N, 4) to the pixels 0 to width - 1 and 0 to height - 1."""
    x, y = boxes[:, 0::2].clamp(0, size[1] - 1), boxes[:, 1::2].clamp(0, size[0] - 1)
    return torch.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], 1)


def detect(maps: HeadMaps, image: int, chosen: ScoredCells, limits: DetectionLimits) -> SipMaskDetections:
    """Return the detections among an image's candidates."""
    rows, labels = fast_nms(chosen.boxes, chosen.scores, limits)
    cells = chosen.cells[rows]
    coefficients = torch.cat([x[image].flatten(1).T for x in maps.coefficients])[cells]
    return SipMaskDetections(cells, chosen.boxes[rows], chosen.scores[rows, labels], labels, coefficients)
