"""Fast NMS: every class at once, and a suppressed box still suppresses others."""

from __future__ import annotations

from torch import Tensor

from pcan_model.sipmask.boxes import overlap
from pcan_model.sipmask.config import DetectionConfig


def fast_nms(boxes: Tensor, scores: Tensor, config: DetectionConfig) -> tuple[Tensor, Tensor]:
    """Choose the best boxes of all classes.

    A box goes when it overlaps any higher ranked box of its class by more than `iou`, whether that one
    stays or not. Overlaps that are not a number (two boxes without area) count as more.

    boxes   (N, 4)
    scores  (N, C)  in [0, 1]
    returns (n,) rows and (n,) classes by falling score; equal scores by class, then row
    """
    ranked, order = scores.T.sort(dim=1, descending=True, stable=True)  # (C, N)
    ranked, order = ranked[:, : config.per_class], order[:, : config.per_class]
    rivals = boxes[order]  # (C, K, 4)
    over = ~(overlap(rivals[:, :, None], rivals[:, None], extra=0) <= config.iou)
    keep = ~over.triu(1).any(1) & (ranked > config.score)
    classes, ranks = keep.nonzero(as_tuple=True)
    best = ranked[classes, ranks].argsort(descending=True, stable=True)[: config.count]
    classes, ranks = classes[best], ranks[best]
    return order[classes, ranks], classes
