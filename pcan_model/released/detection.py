"""Detection in the released variant: greedy NMS, shapes that depend on the image."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import nms

from pcan_model.core.config import HeadConfig
from pcan_model.model.boxes import decode
from pcan_model.model.detector import with_p6
from pcan_model.model.heads import STD as BOX_STD
from pcan_model.model.proposals import STD, ProposalHead


class Proposer(nn.Module):
    """Returns the best proposals of an image with their scores."""

    def __init__(self, head: ProposalHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, levels: list[Tensor], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Apply NMS per level, then keep the best of all levels.

        levels   P2..P5 of one image
        size     (height, width) of the image inside the padding, to which boxes are clipped
        returns  (P, 4) boxes in pixels of the network input and (P,) scores, descending
        """
        pyramid = with_p6(levels)
        logits, offsets = self.head(pyramid)
        rows = zip(logits, offsets, self.head.anchors(pyramid), strict=True)
        config = self.head.config
        best = [(a[0], b[0], c) for a, b, c in rows]
        return keep_best(best, size, config.count, config.per_level, config.nms_iou)


def keep_best(
    rows: list[tuple[Tensor, Tensor, Tensor]], size: tuple[int, int], count: int, per_level: int, iou: float
) -> tuple[Tensor, Tensor]:
    """Select the best `count` boxes of one image from at most `per_level` boxes of each level.

    rows     per level: logits (A,), offsets (A, 4), anchors (A, 4)
    iou      NMS threshold within a level
    returns  (P, 4) boxes and (P,) scores, descending
    """
    boxes, scores, groups = [], [], []
    for level, (logits, offsets, anchors) in enumerate(rows):
        best, order = logits.sigmoid().sort(descending=True)
        order = order[:per_level]
        boxes.append(decode(offsets[order], anchors[order], STD, size))
        scores.append(best[: len(order)])
        groups.append(torch.full_like(order, level))
    found, score = torch.cat(boxes), torch.cat(scores)
    keep = suppress_exactly(found, score, torch.cat(groups), iou)[:count]
    return found[keep], score[keep]


def read_boxes(
    logits: Tensor, offsets: Tensor, proposals: Tensor, size: tuple[int, int], config: HeadConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """Convert the box head's output on P proposals to N detections, by descending score.

    logits   (P, K + 1), offsets (P, K, 4), proposals (P, 4)
    returns  (N, 4) boxes in pixels of the network input, (N,) scores, (N,) labels
    """
    every = decode(offsets, proposals[:, None], BOX_STD, size)
    return choose_boxes(every, logits.softmax(1)[:, :-1], config)


def choose_boxes(every: Tensor, scores: Tensor, config: HeadConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Select detections from P boxes (P, K or 1, 4) with scores (P, K), by NMS within each class.

    returns  as for `read_boxes`
    """
    row, label = (scores > config.score_threshold).nonzero().unbind(1)
    boxes = every[row, label if every.shape[1] > 1 else 0]
    keep = suppress_exactly(boxes, scores[row, label], label, config.nms_iou)[: config.detections]
    return boxes[keep], scores[row, label][keep], label[keep]


def suppress_exactly(boxes: Tensor, scores: Tensor, groups: Tensor, iou: float) -> Tensor:
    """Greedy non-maximum suppression within groups; returns the kept rows, by descending score.

    Groups are separated by an offset of the boxes, with the same rounding as in the released code.
    """
    if not len(boxes):
        return torch.zeros(0, dtype=torch.long, device=boxes.device)
    apart = groups.to(boxes.dtype)[:, None] * (boxes.max() + 1)
    kept: Tensor = nms(boxes + apart, scores, iou)
    return kept
