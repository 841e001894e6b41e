"""Region proposals: order, static count, suppression per level."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import batched_nms

from pcan_model.core.config import BackboneConfig, ProposalConfig
from pcan_model.model.boxes import decode
from pcan_model.model.proposals import STD, STRIDES, ProposalHead

SIZE = (128, 192)
CONFIG = ProposalConfig(per_level=40, count=30, nms_steps=30)


def head_and_levels(config: ProposalConfig = CONFIG) -> tuple[ProposalHead, list[Tensor]]:
    torch.manual_seed(0)
    head = ProposalHead(BackboneConfig(channels=8), config)
    torch.nn.init.normal_(head.objectness.weight, std=1)
    torch.nn.init.normal_(head.offsets.weight, std=0.3)
    return head, [torch.randn(2, 8, SIZE[0] // s, SIZE[1] // s) for s in STRIDES]


def test_every_anchor_has_a_score_and_offsets_in_its_own_place() -> None:
    head, levels = head_and_levels()
    logits, offsets = head(levels)
    anchors = head.anchors(levels)
    for level, own, moves, boxes in zip(levels, logits, offsets, anchors, strict=True):
        count = level.shape[2] * level.shape[3] * 3
        assert own.shape == (2, count) and moves.shape == (2, count, 4) and boxes.shape == (count, 4)
    whole = head.objectness(head.layer(levels[2]).relu())  # (B, ratio, row, column)
    row, column, ratio, width = 3, 5, 2, levels[2].shape[3]
    assert logits[2][1, 3 * (row * width + column) + ratio] == whole[1, ratio, row, column]


def test_the_chosen_boxes_are_those_of_an_obvious_search() -> None:
    head, levels = head_and_levels()
    logits, offsets = head(levels)
    anchors = head.anchors(levels)
    chosen, settled = head.propose(logits, offsets, anchors, SIZE, CONFIG.count)
    assert bool(settled)
    for pixels in range(2):
        scores, boxes, groups = [], [], []
        for i in range(len(levels)):
            best = logits[i][pixels].topk(min(40, logits[i].shape[1])).indices
            scores.append(logits[i][pixels][best])
            boxes.append(decode(offsets[i][pixels][best], anchors[i][best], STD, SIZE))
            groups.append(torch.full_like(best, i))
        order = torch.cat(scores).argsort(descending=True)[: 2 * CONFIG.count]
        candidates = torch.cat(boxes)[order], torch.cat(scores)[order], torch.cat(groups)[order]
        expected = candidates[0][batched_nms(*candidates, CONFIG.nms_iou)][: CONFIG.count]
        torch.testing.assert_close(chosen[pixels, : len(expected)], expected)


def test_the_count_is_static_even_when_little_is_left() -> None:
    head, levels = head_and_levels()
    same = [torch.zeros(2, level.shape[2] * level.shape[3] * 3, 4) for level in levels]
    anchors = [torch.tensor([10.0, 10, 50, 60]).expand(offsets.shape[1], 4) for offsets in same]
    chosen, _ = head.propose(head(levels)[0], same, anchors, SIZE, 30)
    assert chosen.shape == (2, 30, 4)
    torch.testing.assert_close(chosen, torch.tensor([10.0, 10, 50, 60]).expand(2, 30, 4))


def test_all_lie_inside_the_image() -> None:
    head, levels = head_and_levels()
    logits, offsets = head(levels)
    chosen, _ = head.propose(logits, offsets, head.anchors(levels), SIZE, 30)
    assert (
        (chosen >= 0).all() and (chosen[..., 0::2] <= SIZE[1]).all() and (chosen[..., 1::2] <= SIZE[0]).all()
    )
