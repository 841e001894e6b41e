"""Losses of a one-stage detector: objectness of all cells, classes and boxes of the positive cells."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from pcan_model.one_stage.cells import Cells, decode_cells
from pcan_model.training.one_stage.assignment import assign_cells
from pcan_model.training.targets import BACKGROUND, UNUSED, GroundTruth

BOX_WEIGHT = 5.0  # of the overlap loss, as in YOLOX
RARE = 4.0  # weight of the positive cells of a new class, because they are few
WEAK = (0.05, 0.3)  # scores before training at which an unlabelled cell may be an object


def detection_losses(
    cells: Cells, places: Tensor, targets: list[GroundTruth], before: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the losses of objectness, classes and boxes, each divided by the number of positive cells.

    places   (A, 3)  see `grid`
    before   (B, A)  best scores of the detector before training. Labels omit many distant objects, so an
                     unlabelled cell with a score in WEAK has no loss; None: it is background
    """
    assigned = [assign_cells(cells, places, target, i) for i, target in enumerate(targets)]
    found, overlap = (torch.stack(parts) for parts in zip(*assigned, strict=True))  # (B, A)
    if before is not None:
        weak = (before > WEAK[0]) & (before < WEAK[1])
        found = torch.where((found == BACKGROUND) & weak, UNUSED, found)
    positive = found >= 0
    count = positive.sum().clamp_min(1)
    used = found != UNUSED
    objectness = functional.binary_cross_entropy_with_logits(
        cells.objectness[used].float(), positive[used].float(), reduction="sum"
    )
    labels, boxes = _answers(found, positive, targets)
    logits = cells.classes[positive].float()
    goal = functional.one_hot(labels, logits.shape[1]) * overlap[positive][:, None]
    classes = functional.binary_cross_entropy_with_logits(logits, goal, reduction="sum")
    own = decode_cells(cells.offsets[positive].float(), places.expand(len(targets), -1, -1)[positive])
    lost = (1 - paired_overlap(own, boxes).square()).sum()
    return objectness / count, classes / count, BOX_WEIGHT * lost / count


def new_class_loss(cells: Cells, places: Tensor, targets: list[GroundTruth], new: Tensor) -> Tensor:
    """Return the loss of classes added to a trained detector, over the number of positive cells.

    Each new class is trained twice on every positive cell: by its own probability, and by its logit minus
    the best logit of the other classes, since a cell takes the class with the best score.

    places  (A, 3)  see `grid`
    new     (K,) bool, the classes to train
    """
    found = torch.stack([assign_cells(cells, places, target, i)[0] for i, target in enumerate(targets)])
    positive = found >= 0
    labels, _ = _answers(found, positive, targets)
    logits, rows = cells.classes[positive].float(), new.nonzero()[:, 0].to(found.device)
    own, best = logits[:, rows], logits[:, ~new.to(found.device)].amax(1, keepdim=True).detach()
    goal = (labels[:, None] == rows).float()
    weight = 1 + (RARE - 1) * goal
    losses = (
        functional.binary_cross_entropy_with_logits(x, goal, weight, reduction="sum")
        for x in (own, own - best)
    )
    return sum(losses, logits.sum() * 0) / positive.sum().clamp_min(1)


def _answers(found: Tensor, positive: Tensor, targets: list[GroundTruth]) -> tuple[Tensor, Tensor]:
    """Return the target label (P,) and box (P, 4) of each positive cell."""
    pairs = list(zip(targets, found, positive, strict=True))
    labels = [target.labels[index[chosen]] for target, index, chosen in pairs]
    boxes = [target.boxes[index[chosen]] for target, index, chosen in pairs]
    return torch.cat(labels), torch.cat(boxes)


def paired_overlap(a: Tensor, b: Tensor) -> Tensor:
    """Row-wise IoU of boxes (P, 4)."""
    sides = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp_min(0)
    shared = sides.prod(1)
    areas = sum((x[:, 2:] - x[:, :2]).prod(1) for x in (a, b))
    return shared / (areas - shared).clamp_min(1e-6)
