"""Losses of classes, boxes and centre-ness over all cells of a batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from pcan_model.core.sipmask_config import SipMaskConfig
from pcan_model.sipmask.boxes import boxes_around, overlap
from pcan_model.sipmask.targets import BACKGROUND, centreness

LEAST_IOU = 1e-6  # whose logarithm the box loss goes no further than


def class_loss(logits: Tensor, labels: Tensor, counted: Tensor, images: int, config: SipMaskConfig) -> Tensor:
    """Sigmoid focal loss, summed, per positive and image.

    logits   (P, classes)
    labels   (P,) class or BACKGROUND
    counted  (P,) bool, cells that are not in an ignore region
    """
    positives = labels != BACKGROUND
    target = torch.zeros_like(logits)
    target[positives, labels[positives]] = 1
    loss = sigmoid_focal_loss(logits, target, alpha=config.focal_alpha, gamma=config.focal_gamma)
    return (loss * counted[:, None]).sum() / (positives.sum() + images)


def box_loss(points: Tensor, predicted: Tensor, target: Tensor) -> Tensor:
    """Mean negative logarithm of the overlap, weighted by centre-ness; 0 without any.

    points             (R, 2)
    predicted, target  (R, 4) distances to left, top, right, bottom, pixels
    """
    iou = overlap(boxes_around(points, predicted), boxes_around(points, target), extra=1)
    weight = centreness(target)
    return -(iou.clamp_min(LEAST_IOU).log() * weight).sum() / weight.sum().clamp_min(LEAST_IOU)


def centre_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Mean binary cross-entropy of centre-ness logits (R,) and distances (R, 4); 0 without any."""
    loss = functional.binary_cross_entropy_with_logits(logits, centreness(target), reduction="sum")
    return loss / max(len(logits), 1)
