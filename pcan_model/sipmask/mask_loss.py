"""Mask loss inside the predicted boxes, weighted by the quality of box and class."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from pcan_model.sipmask.boxes import overlap
from pcan_model.sipmask.masks import STRIDE, THRESHOLD, crop_masks, quadrants
from pcan_model.sipmask.positives import Kept

EPS = 1e-4


def mask_loss(predicted: Tensor, target: Tensor, boxes: Tensor, weights: Tensor) -> Tensor:
    """Sum of the weighted mean cross-entropies of an image's masks; 0 without any.

    predicted, target  (R, h, w) probabilities, and 0 or 1
    boxes              (R, 4) in pixels of the basis
    weights            (R,) with mean 1
    """
    if not len(boxes):
        return predicted.sum()
    loss = functional.binary_cross_entropy(predicted, target, reduction="none").sum((1, 2))
    sides = boxes[:, 2:] - boxes[:, :2]
    return (loss / sides[:, 0] / sides[:, 1] / len(boxes) * weights).sum()


def predict_masks(basis: Tensor, coefficients: Tensor, kept: Kept) -> Tensor:
    """Return the masks (R, h, w) of positives from the basis (M, h, w) and all cells' (P, 4 M)."""
    return crop_masks(basis, coefficients[kept.cells], kept.basis_boxes)


def mask_targets(masks: Tensor, kept: Kept) -> Tensor:
    """Return the mask targets (R, H / 2, W / 2), 0 or 1, of positives.

    masks  (G, H, W) bool, of the objects
    """
    size = masks.shape[-2] // STRIDE, masks.shape[-1] // STRIDE
    if not len(kept.cells):
        return torch.zeros(0, *size, device=masks.device)
    used, row = kept.objects.unique(return_inverse=True)
    small = functional.interpolate(masks[used][None].float(), size=size, mode="bilinear", align_corners=False)
    _, inside = quadrants(kept.basis_boxes, *size)
    return ((small[0] > THRESHOLD)[row] & inside).float()


def box_quality(kept: Kept, boxes: Tensor) -> Tensor:
    """Return the overlap (R,) of positives' predicted boxes with their objects' (G, 4), in basis pixels."""
    return overlap(boxes[kept.objects] / STRIDE, kept.basis_boxes, extra=1)


def mask_weights(kept: Kept, boxes: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """Weigh masks by the probability of the true class times the overlap of the box; without gradient.

    boxes, labels  (G, 4), (G,) of the objects
    logits         (P, classes)
    returns        (R,) with mean 1
    """
    chance = logits.detach()[kept.cells, labels[kept.objects]].sigmoid()
    weights = chance * box_quality(kept, boxes)
    return weights / (weights.sum() + EPS) * len(weights)
