"""Loss functions that torch does not have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

from pcan_model.model.prototypes import full_precision

AUXILIARY_MARGIN = 0.3  # a negative pair's cosine may be this large for free
DICE_EPS = 1e-3  # of either sum of squares
HARD_NEGATIVES = 3  # per positive pair, in the auxiliary loss


@dataclass(frozen=True, slots=True, eq=False)
class LossParts:
    """The parts of a training loss, each a number () with its weight applied."""

    def total(self) -> Tensor:
        """Return the sum of all parts."""
        return torch.stack([getattr(self, field.name) for field in fields(self)]).sum()


@dataclass(frozen=True, slots=True, eq=False)
class Losses(LossParts):
    """Losses of the two-stage detector and of YOLOX."""

    objectness: Tensor  # proposals: object or not
    proposals: Tensor  # proposals: box offsets
    classes: Tensor  # box head: class
    boxes: Tensor  # box head: box offsets
    masks: Tensor  # initial masks
    embedding: Tensor  # quasi-dense contrastive loss
    auxiliary: Tensor  # its cosine regression
    refined: Tensor  # final masks


@full_precision
def products(keys: Tensor, references: Tensor) -> Tensor:
    """Dot products of all pairs of rows, (K, E) and (R, E) -> (K, R) float32, also under autocast."""
    return keys.float() @ references.float().T


def quasi_dense(similarity: Tensor, same: Tensor) -> Tensor:
    """Multi-positive cross-entropy of quasi-dense matching (QDTrack, used by PCAN sec. 4.1).

    similarity (K, R)  dot products of key and reference embeddings
    same       (K, R)  bool, whether both regions show one object
    returns    ()      mean over keys with positives and negatives of log(1 + sum_neg sum_pos exp(neg - pos))
    """
    negatives = similarity.masked_fill(same, float("-inf")).logsumexp(1)
    positives = (-similarity).masked_fill(~same, float("-inf")).logsumexp(1)
    used = same.any(1) & (~same).any(1)
    if not used.any():
        return similarity.sum() * 0
    return functional.softplus(negatives[used] + positives[used]).mean()


def cosine_regression(cosine: Tensor, same: Tensor) -> Tensor:
    """Pull cosines of equal objects to 1 and of others under a margin (QDTrack's auxiliary loss).

    cosine (K, R), same (K, R) bool; only the hardest negatives count, three per positive
    """
    positive = (1 - cosine[same]).square()
    negative = (cosine[~same] - AUXILIARY_MARGIN).clamp(0, 1).square()
    negative = negative.topk(min(len(negative), HARD_NEGATIVES * max(len(positive), 1))).values
    return (positive.sum() + negative.sum()) / max(len(positive) + len(negative), 1)


def dice(logits: Tensor, target: Tensor) -> Tensor:
    """Mean dice loss of masks (R, m, m)."""
    p, y = logits.sigmoid().flatten(1), target.flatten(1)
    shared, total = (p * y).sum(1), p.square().sum(1) + y.square().sum(1)
    return (1 - 2 * shared / (total + 2 * DICE_EPS)).mean()


def mask_criterion(dice_weight: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Choose the loss of masks (R, m, m), logits and target: cross-entropy, and dice if it counts."""
    entropy = functional.binary_cross_entropy_with_logits
    if not dice_weight:
        return entropy
    return lambda logits, target: entropy(logits, target) + dice_weight * dice(logits, target)


def smooth_l1(offsets: Tensor, target: Tensor, beta: float) -> Tensor:
    """Sum of the smooth L1 distance over all elements."""
    return functional.smooth_l1_loss(offsets, target, beta=beta, reduction="sum")
