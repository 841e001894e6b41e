"""Proposals and detections with shapes that depend on the image."""

from __future__ import annotations

import torch
from support.parity import recorded, worst

from pcan_model.core.config import HeadConfig
from pcan_model.model.roi_pooling import pool_by_level
from pcan_model.released.detection import choose_boxes, keep_best, read_boxes, suppress_exactly


def test_regions_are_pooled_as_recorded() -> None:
    arrays = recorded("blocks")
    levels, rois = [arrays[f"roi_in{i}"] for i in range(4)], arrays["rois"]
    ours = {
        f"roi_feats{cells}": pool_by_level(levels, rois[:, 1:], rois[:, 0], cells, samples=0)
        for cells in (7, 14)
    }
    assert max(worst(ours, {name: arrays[name] for name in ours}).values()) < 1e-5


def test_suppression_within_groups_is_the_recorded_one() -> None:
    arrays = recorded("blocks")
    kept = suppress_exactly(arrays["nms_boxes"], arrays["nms_scores"], arrays["nms_ids"], 0.5)
    assert kept.tolist() == arrays["nms_keep"].tolist()


def test_detections_of_all_classes_are_the_recorded_ones() -> None:
    arrays = recorded("blocks")
    config = HeadConfig(score_threshold=0.3, nms_iou=0.5, detections=20)
    every = arrays["mc_boxes"].unflatten(1, (8, 4))
    boxes, scores, labels = choose_boxes(every, arrays["mc_scores"][:, :8], config)
    assert labels.tolist() == arrays["mc_labels"].tolist()
    ours = torch.cat([boxes, scores[:, None]], 1)
    assert max(worst({"mc_dets": ours}, {"mc_dets": arrays["mc_dets"]}).values()) < 1e-5


def test_boxes_compete_within_their_group_only() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10]])
    scores = torch.tensor([0.5, 0.9, 0.7])
    assert suppress_exactly(boxes, scores, torch.tensor([0, 0, 1]), 0.5).tolist() == [1, 2]
    assert suppress_exactly(boxes[:0], scores[:0], torch.zeros(0).long(), 0.5).tolist() == []


def test_one_region_may_be_of_two_classes_and_weak_ones_of_none() -> None:
    logits = torch.tensor([[2.0, 2.0, -9.0], [0.0, 0.0, 9.0]])
    proposals = torch.tensor([[0.0, 0, 20, 20], [30, 30, 50, 50]])
    config = HeadConfig(score_threshold=0.4)
    boxes, _, labels = read_boxes(logits, torch.zeros(2, 2, 4), proposals, (64, 64), config)
    assert sorted(labels.tolist()) == [0, 1] and torch.equal(boxes, proposals[[0, 0]])
    agnostic, _, labels = read_boxes(logits, torch.zeros(2, 1, 4), proposals, (64, 64), config)
    assert sorted(labels.tolist()) == [0, 1] and torch.equal(agnostic, boxes)


def test_levels_are_suppressed_apart_and_the_best_of_all_kept() -> None:
    anchors = torch.tensor([[0.0, 0, 20, 20], [2, 0, 22, 20], [40, 40, 60, 60]])
    logits = torch.tensor([1.0, 3.0, 2.0])
    rows = [(logits, torch.zeros(3, 4), anchors), (logits + 0.5, torch.zeros(3, 4), anchors)]
    boxes, scores = keep_best(rows, (64, 64), 3, 3, 0.7)
    assert torch.equal(boxes, anchors[[1, 1, 2]])
    torch.testing.assert_close(scores, torch.tensor([3.5, 3.0, 2.5]).sigmoid())
    assert len(keep_best(rows, (64, 64), 10, 1, 0.7)[0]) == 2
