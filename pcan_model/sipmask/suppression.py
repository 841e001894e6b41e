"""Fast NMS: all classes at once; suppressed boxes still suppress others."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pcan_model.core.config import Config
from pcan_model.sipmask.boxes import overlap


@dataclass(frozen=True, slots=True)
class DetectionLimits:
    """Limits of detection."""

    per_level: int  # cells of a level
    per_class: int  # boxes of a class that enter suppression
    iou: float  # a box goes when it overlaps a higher ranked one by more
    score: float  # detections are above it
    count: int  # detections of a frame


def detection_limits(config: Config) -> DetectionLimits:
    """Return the limits that a configuration sets."""
    own, heads = config.sipmask, config.heads
    return DetectionLimits(
        own.per_level, own.per_class, heads.nms_iou, heads.score_threshold, heads.detections
    )


def fast_nms(boxes: Tensor, scores: Tensor, limits: DetectionLimits) -> tuple[Tensor, Tensor]:
    """Choose the best boxes of all classes.

    A box goes when it overlaps any higher ranked box of its class by more than `iou`, whether that one
    stays or not. Overlaps that are not a number (two boxes without area) count as more.

    boxes   (N, 4)
    scores  (N, C)  in [0, 1]
    returns (n,) rows and (n,) classes by falling score; equal scores by class, then row
    """
    ranked, order = scores.T.sort(dim=1, descending=True, stable=True)  # (C, N)
    ranked, order = ranked[:, : limits.per_class], order[:, : limits.per_class]
    rivals = boxes[order]  # (C, K, 4)
    over = ~(overlap(rivals[:, :, None], rivals[:, None], extra=0) <= limits.iou)
    keep = ~over.triu(1).any(1) & (ranked > limits.score)
    classes, ranks = keep.nonzero(as_tuple=True)
    best = ranked[classes, ranks].argsort(descending=True, stable=True)[: limits.count]
    classes, ranks = classes[best], ranks[best]
    return order[classes, ranks], classes
