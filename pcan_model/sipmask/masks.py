"""Mask assembly: a linear combination of basis masks per quadrant of a box."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from pcan_model.sipmask.head import QUADRANTS

STRIDE = 2  # pixels of the network input per pixel of the basis
MARGIN = 0.1  # added to a box's sides before halving, so that the last pixel lies in the second half
THRESHOLD = 0.5  # a pixel above it is on the object


def quadrant_logits(basis: Tensor, coefficients: Tensor) -> Tensor:
    """Combine the basis with the coefficients of every quadrant.

    basis        (M, h, w)
    coefficients (N, 4 M)  upper left, upper right, lower left, lower right
    returns      (N, 4, h, w) logits
    """
    return torch.einsum("nqm,mhw->nqhw", coefficients.unflatten(1, (QUADRANTS, -1)), basis)


def quadrants(boxes: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return the quadrant of a box in which each pixel lies.

    boxes   (N, 4) in pixels of the basis, not rounded
    returns (N, height, width) int64 quadrant, 0 outside; and bool, whether inside the box
    """
    rows, row_inside = halves(boxes[:, 1], boxes[:, 3], height)
    columns, column_inside = halves(boxes[:, 0], boxes[:, 2], width)
    inside = row_inside[:, :, None] & column_inside[:, None]
    return torch.where(inside, 2 * rows[:, :, None] + columns[:, None], 0), inside


def halves(low: Tensor, high: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return along one axis the half of [low, high), (N,) each, and whether pixels are inside: (N, size)."""
    at = torch.arange(size, dtype=low.dtype, device=low.device)
    inside = (at >= low[:, None]) & (at < high[:, None])
    half = (high - low + MARGIN) / 2
    return ((at - low[:, None]) / half[:, None]).floor().nan_to_num().clamp(0, 1).long(), inside


def crop_masks(basis: Tensor, coefficients: Tensor, boxes: Tensor) -> Tensor:
    """Return mask probabilities, 0 outside the box.

    basis        (M, h, w)
    coefficients (N, 4 M)
    boxes        (N, 4) in pixels of the basis
    returns      (N, h, w)
    """
    part, inside = quadrants(boxes, *basis.shape[-2:])
    logits = quadrant_logits(basis, coefficients).gather(1, part[:, None])[:, 0]
    return torch.where(inside, logits.sigmoid(), 0.0)


def enlarge(masks: Tensor, factor: float, *, exact_ratio: bool = True) -> Tensor:
    """Resize masks (N, h, w) bilinearly by a factor, sides rounded down.

    exact_ratio  sample with the ratio of the sizes, as PyTorch did before 1.6; else with 1 / factor
    """
    if not len(masks):
        return masks.new_zeros(0, *(math.floor(side * factor) for side in masks.shape[-2:]))
    if not exact_ratio:
        return functional.interpolate(masks[None], scale_factor=factor, mode="bilinear")[0]
    size = [math.floor(side * factor) for side in masks.shape[-2:]]
    return functional.interpolate(masks[None], size=size, mode="bilinear", align_corners=False)[0]


def paste(probabilities: Tensor, size: tuple[int, int]) -> Tensor:
    """Return masks (N, height, width) bool in the camera image, cut or filled at the right and below."""
    height, width = size
    masks = probabilities[:, :height, :width] > THRESHOLD
    return functional.pad(masks, (0, width - masks.shape[2], 0, height - masks.shape[1]))
